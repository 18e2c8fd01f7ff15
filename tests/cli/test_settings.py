"""What `settings` shows is what the property files say, and docs/settings.md is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_store import cli
from recbole_store.cli.settings import listing
from recbole_store.cli.settings_page import page
from recbole_store.settings.defaults import recbole_defaults, shipped_defaults
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import PLUGIN_MODELS, parse_value, properties_folder
from recbole_store.settings.reference import Entry, entries, of_model

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_s_entries(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(
        "# A toy.\n\n# Widths\nwidth: 5e-4     # (float > 0 or null) How wide.\n"
        "depth: ~  # (int in [0, 9]) How deep; # is no end.\n\n# Names\n"
        "names:   # (dict) Of it.\n  first: a # (str) not a key\nbare: x\n"
    )
    assert entries(file) == [
        Entry("width", "a number above 0, or null", "0.0005", "How wide.", "Widths"),
        Entry("depth", "an integer in [0, 9]", "null", "How deep; # is no end.", "Widths"),
        Entry("names", "a mapping {key: value}", "{first: a}", "Of it.", "Names"),
        Entry("bare", "", "x", "", "Names"),
    ]


@pytest.mark.parametrize("model", [*PLUGIN_MODELS, "SASRec", "Pop"])
def test_every_key_of_a_model_is_listed_with_its_default(model):
    listed = {e.key: e for part in reversed(of_model(model).values()) for e in part}
    # RecBole's keys of data, such as columns, stand in its own documentation.
    of_data = {"USER_ID_FIELD", "load_col", "unload_col", "LABEL_FIELD", "threshold"}
    missing = declared_keys([model]).keys() - listed.keys()
    assert of_data & missing <= {"USER_ID_FIELD", "unload_col", "LABEL_FIELD", "threshold"}
    defaults = {**recbole_defaults(model, "none"), **shipped_defaults(model)}
    tokenizers = of_model(model).keys() - {model}
    shared = {e.key for title in tokenizers if "tokenizer" in title for e in of_model(model)[title]}
    for key, entry in listed.items():
        if key in defaults and key not in shared:
            assert parse_value(entry.value) == defaults[key], key


@pytest.mark.parametrize("model", PLUGIN_MODELS)
def test_every_key_of_ours_has_a_type_and_a_meaning(model):
    for path in [properties_folder() / "model" / f"{model}.yaml"]:
        assert all(entry.form and entry.meaning.endswith(".") for entry in entries(path))


def test_the_listing_of_a_variant_has_its_values(capsys):
    shown = listing("STORE:text", ["tokenizer", "stopping_step"])
    assert "tokenizer = tower in STORE:text, else palette   (one of palette, tower" in shown
    assert "stopping_step = 2   (an integer of at least 0)" in shown and "num_beams" not in shown
    assert cli.main(["settings", "TIGER", "d_model"]) == 0
    assert "d_model = 128" in capsys.readouterr().out


def test_the_page_is_up_to_date(tmp_path, capsys):
    """`recbole-store settings --page docs/settings.md` writes it."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page()
    assert cli.main(["settings", "--page", str(tmp_path / "settings.md")]) == 0
    assert (tmp_path / "settings.md").read_text(encoding="utf-8") == page()
    for model in PLUGIN_MODELS:
        assert f"\n## {model}\n" in page()
    assert (
        "`STORE:text`: " in page() and "| `num_beams` | `20` | an integer of at least 1 |" in page()
    )
