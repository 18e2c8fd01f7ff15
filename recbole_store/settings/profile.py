"""Profiles: STORE's settings as a whole, under which variants, files and flags lie on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recbole_store.errors import SettingsError
from recbole_store.settings.descriptions import whole_comment
from recbole_store.settings.property_files import (
    is_path,
    nearest,
    properties_folder,
    read_properties,
)

AUTO = "auto"  # chosen from the data and the machine: recbole_store/plugin/profiles/
NONE = "none"  # the model's defaults as they stand
_OF_ALL = "MAX_ITEM_LIST_LENGTH"  # what baselines take of a profile


class Choice(NamedTuple):
    """Settings that were chosen together, and why."""

    settings: dict
    why: str


@dataclass(frozen=True)
class Profile:
    """Settings of STORE under one name.

    Attributes:
        name: as it is asked for, such as ``quick``.
        place: what an error calls it, such as " in FILE".
        said: what holds of it as a whole: a file's comment, or the facts that it was chosen by.
    """

    name: str
    settings: dict
    place: str
    said: str
    choices: tuple[Choice, ...] = ()

    @classmethod
    def of_file(cls, name: str) -> Profile:
        """A named profile, e.g. ``full``, or a property file of one's own.

        Raises:
            SettingsError: there is no such profile, or it cannot be read.
        """
        path = profile_file(name)
        return cls(name, read_properties(path), f" in {path}", whole_comment(path))

    @classmethod
    def of_kept(cls, kept: dict) -> Profile:
        """What :meth:`kept` said, of a run that goes on."""
        choices = tuple(Choice(c["settings"], c["why"]) for c in kept["choices"])
        return cls(kept["name"], kept["settings"], " in the run's folder", kept["said"], choices)

    def of_model(self, model: str) -> dict:
        """What a model takes of it."""
        if model == "STORE":
            return self.settings
        return {_OF_ALL: self.settings[_OF_ALL]} if _OF_ALL in self.settings else {}

    def told(self, settings: dict) -> list[str]:
        """Lines on it for a person; what was set otherwise is told as well.

        Args:
            settings: that the run has.
        """
        lines = [f"--profile={self.name}: {self.said}"]
        for choice in self.choices:
            lines.append(f"  {choice.why}: {in_words(choice.settings)}")
        others = {k: settings[k] for k, v in self.settings.items() if settings.get(k, v) != v}
        if others:
            lines.append(f"  set otherwise by variant, file or flag: {in_words(others)}")
        return lines

    def kept(self, settings: dict) -> dict:
        """What result.json says of it."""
        chosen = [{"settings": c.settings, "why": c.why} for c in self.choices]
        others = {k: settings[k] for k, v in self.settings.items() if settings.get(k, v) != v}
        found = {"name": self.name, "said": self.said, "settings": self.settings}
        return {**found, "choices": chosen, "set_otherwise": others}


def in_words(settings: dict) -> str:
    """Example: {"epochs": 3, "tuning": None} -> "epochs 3, tuning null" """
    return ", ".join(f"{k} {'null' if v is None else v}" for k, v in settings.items())


def profile_names() -> list[str]:
    """Names that ``--profile`` takes."""
    return sorted([AUTO, NONE, *(f.stem for f in (properties_folder() / "profile").glob("*.yaml"))])


def profile_file(name: str) -> Path:
    """The property file of a named profile, e.g. ``full``, or its own path.

    Raises:
        SettingsError: there is no such profile.
    """
    path = Path(name) if is_path(name) else properties_folder() / "profile" / f"{name}.yaml"
    if not path.is_file():
        known = profile_names()
        raise SettingsError(
            f"Unknown profile `{name}`{nearest(name, known)}; known: {', '.join(known)}, or a "
            "property file of your own, FILE.yaml."
        )
    return path
