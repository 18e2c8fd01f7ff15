"""A profile by its name; ``auto`` looks at the data and the machine first."""

from __future__ import annotations

from pathlib import Path

from recbole_store.experiments.profiles.facts import data_facts, machine_facts
from recbole_store.experiments.profiles.rules import choose
from recbole_store.settings.profile import AUTO, Profile
from recbole_store.settings.resolve import unchecked


def named_profile(
    name: str, dataset: str, files: list[Path], typed: dict[str, str], models: list[str]
) -> Profile:
    """The profile that a command line names.

    Args:
        files, typed: that say where the data lie and how they are read, among what else they say of
            these models.

    Raises:
        SettingsError: there is no such profile or data set.
    """
    if name != AUTO:
        return Profile.of_file(name)
    settings = unchecked("STORE", dataset, files, typed, [*models, "STORE"])
    data, machine = data_facts(settings, dataset), machine_facts(settings)
    choices = choose(data, machine)
    chosen: dict = {}
    for choice in choices:
        chosen.update(choice.settings)
    said = f"{data}; {machine}" + ("" if choices else ": STORE's defaults fit")
    return Profile(name, chosen, f" of --profile={name}", said, tuple(choices))
