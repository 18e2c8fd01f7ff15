"""One thing that a check has found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """A sentence for the user.

    Attributes:
        changes_results: of some model under RecBole; else it is only worth knowing.
        stops: a run refuses it.
    """

    changes_results: bool
    text: str
    stops: bool = False
