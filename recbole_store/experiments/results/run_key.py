"""What a run is known by: data set, label and seed."""

from __future__ import annotations

from dataclasses import dataclass, field


def label_of(model: str, variant: str) -> str:
    """Example: ``SASRec``, ``tuned`` -> ``SASRec:tuned``; Pop and no variant -> ``Pop``"""
    return f"{model}:{variant}" if variant else model


@dataclass(frozen=True)
class Run:
    """One model, its variant ("" for the defaults) and a seed on a data set.

    Attributes:
        variant_file: the variant's property file, where it is not one of the package's own.
    """

    dataset: str
    model: str
    variant: str
    seed: int
    variant_file: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        return label_of(self.model, self.variant)

    @property
    def typed(self) -> str:
        """How the label is typed."""
        return label_of(self.model, self.variant_file or self.variant)

    @property
    def stem(self) -> str:
        """Name of the run's files, e.g. ``SASRec-tuned-seed2020``."""
        return f"{self.label.replace(':', '-')}-seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.label} on {self.dataset}, seed {self.seed}"
