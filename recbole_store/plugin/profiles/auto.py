"""A profile by its name; ``auto``, STORE's own, looks at the data and the machine first."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.plugin.profiles.facts import data_facts, machine_facts
from recbole_store.plugin.profiles.rules import choose
from recbole_store.settings.checks import check_rules
from recbole_store.settings.defaults import shipped_defaults
from recbole_store.settings.keys import check_values, declared_keys
from recbole_store.settings.profile import AUTO, NONE, Profile
from recbole_store.settings.resolve import unchecked


def profile_of(
    name: str | None,
    label: tuple[str, str],
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str],
) -> Profile | None:
    """The profile of a model's run. STORE by itself has ``auto``; a variant says what it is.

    Args:
        name: of the profile that was asked for; None: none was.
        label: model and variant.
        files, typed: that say where the data lie and how they are read, among what else they say of
            these models.

    Raises:
        SettingsError: there is no such profile or data set.
    """
    if name is None:
        name = AUTO if label == ("STORE", "") else NONE
    told = unchecked("STORE", dataset, files, typed, [*models, "STORE"]) if name == AUTO else {}
    return profile_by_name(name, told, dataset)


def profile_by_name(name: str, told: dict, dataset: str) -> Profile | None:
    """The profile of a name; None for "none".

    Args:
        told: settings with all defaults, for "auto"; they say where the data lie and how they are
            read.

    Raises:
        SettingsError: there is no such profile or data set.
    """
    if name == NONE:
        return None
    if name != AUTO:
        return Profile.of_file(name)
    return _auto(told, dataset)


def _auto(settings: dict, dataset: str) -> Profile:
    check_values(settings, declared_keys(["STORE"]))
    check_rules(settings)
    data, machine = data_facts(settings, dataset), machine_facts(settings)
    choices, said = choose(data, machine), f"{data}; {machine}"
    chosen: dict = {}
    for choice in choices:
        chosen.update(choice.settings)
    if not choices:
        said += ": STORE's defaults fit"
    elif against := _contradiction(chosen, settings):
        choices, chosen = [], {}
        said += f": STORE's defaults; what fits these data does not go with what is set: {against}"
    return Profile(AUTO, chosen, f" of --profile={AUTO}", said, tuple(choices))


def _contradiction(chosen: dict, settings: dict) -> str | None:
    """What of the choice does not go with settings that are somebody's own."""
    defaults = shipped_defaults("STORE")
    free = {k: v for k, v in chosen.items() if settings.get(k) == defaults.get(k)}
    try:
        check_rules({**settings, **free})
    except SettingsError as error:
        return str(error)
    return None
