"""Models and variants in a line each, from their property files."""

from __future__ import annotations

import pytest

from recbole_store.settings.descriptions import LONGEST, described, first_sentence, line_of
from recbole_store.settings.property_files import PLUGIN_MODELS, properties_folder, variants_of


@pytest.mark.parametrize("model", PLUGIN_MODELS)
def test_every_model_and_variant_of_ours_has_a_short_line(model):
    for variant in ("", *variants_of(model)):
        said = line_of(model, variant)
        assert 20 < len(said) <= LONGEST + 1 and said.endswith(".") and "#" not in said


def test_lines_of_models():
    path = properties_folder() / "variant" / "STORE-without_item_head.yaml"
    assert path.read_text().startswith("# " + line_of("STORE", "without_item_head"))
    assert line_of("Pop", "") == "RecBole's Pop."
    assert line_of("BPR", "tuned").startswith("RecBole's BPR with several")
    assert line_of("STORE", "of_old") == "A variant of STORE that has no property file here."
    assert line_of("Mine", "") == "A model of unknown origin."


def test_a_comment_s_first_sentence(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text("# Wide and\n# deep. Slow.\nwidth: 9  # (int) Width.\n")
    assert first_sentence(path) == "Wide and deep."


def test_a_model_is_explained_before_its_variants_and_once():
    found = described(["STORE:x", "Pop", "STORE", "STORE:codes_alone"])
    assert [label for label, _ in found] == ["STORE", "STORE:x", "STORE:codes_alone", "Pop"]
    assert ["2409.07276" in said for _, said in found] == [True, False, False, False]
