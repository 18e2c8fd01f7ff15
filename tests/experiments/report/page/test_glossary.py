"""What the report says of models, figures and settings is what they are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from planted_results import Planted

from recbole_store.experiments.report.page import glossary
from recbole_store.experiments.report.page.data import read_results
from recbole_store.experiments.report.page.page import subjects_of
from recbole_store.experiments.report.page.sections import items, protocol
from recbole_store.experiments.report.page.sections.models import (
    LONGEST,
    first_sentence,
    line_of,
    models,
)
from recbole_store.experiments.results import list_metrics
from recbole_store.experiments.results.tidy import figures
from recbole_store.settings.property_files import PLUGIN_MODELS, properties_folder, variants_of


def test_every_figure_of_lists_search_and_semantic_ids_is_explained():
    arrays = {"item_counts": np.array([0, 3, 1])}
    for name in ("unfiltered", "filtered"):
        arrays[f"recommended_{name}"] = np.array([0, 1, 1])
    kept = SimpleNamespace(
        result={
            "valid": {},
            "test": {},
            "certain_topk": {"filtered": {"10": 0.5}},
            "store": {"items": 2, "utilisation": [1.0], "dead_codes": [0], "distinct": 2}
            | {"collision_rate": 0.0, "largest_group": 1, "entropy_bits": [1.0]}
            | {"items_without_text": 0, "reconstruction_loss": 2.0, "retokenized_same": 0.5},
        },
        arrays={**arrays, "depth": np.array(10)},
        masks={},
        own_slice="unfiltered/all",
    )
    names = {metric.partition("@")[0] for _, metric in figures(kept)} - set(items.DROPPED)
    assert names == {*glossary.LISTS, *glossary.SEARCH, *glossary.SEMANTIC_IDS}


@pytest.mark.parametrize(("n_items", "said"), [(10, "0.2303"), (1000, "0.0069")])
def test_shannon_entropy_falls_as_the_glossary_says(n_items, said):
    value = list_metrics.shannon_entropy(np.array([0] + [4] * n_items))
    assert f"{value:.4f}" == said
    assert f"give {said}" in glossary.LISTS["shannonentropy"]


def test_the_tail_of_tail_share_is_the_one_that_is_computed():
    """Of twenty items the two least popular: a tenth, as the glossary says of both tails."""
    assert list_metrics.TAIL_SHARE == 0.1
    for said in (glossary.LISTS["tailpercentage"], glossary.WORDS["tail"]):
        assert "least popular tenth" in said


def test_terms_without_semantic_ids():
    found = dict(glossary.terms({"ndcg", "giniindex"}))
    assert {"NDCG@k", "Gini index@k", "tail"} <= set(found)
    assert not {"semantic ID", "Recall@k", "dead codes"} & set(found)


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
    (facts,) = models(["STORE:amazon", "Pop", "STORE", "STORE:codes_alone"]).blocks
    assert [label for label, _ in facts.pairs] == [
        *("STORE", "STORE:amazon", "STORE:codes_alone", "Pop")
    ]
    assert ["2409.07276" in said for _, said in facts.pairs] == [True, False, False, False]


def test_the_training_filter_is_said_where_runs_have_it(tmp_path):
    skill = {"STORE": 0.8, "SASRecAll": 0.6, "SASRecAll:without_training_filter": 0.5, "Pop": 0.2}
    one = Planted(tmp_path, seeds=(2020,), skill=skill, tokenized=(), without_folder=skill)
    one.write()
    assert "Training filter" not in protocol_of(one)
    for label in skill:
        one.change(label, protocol={"filter_history": True})
    one.change("STORE", settings={"filter_training": None})
    one.change("SASRecAll", settings={"filter_training": True})
    one.change("SASRecAll:without_training_filter", hashed_settings={"filter_training": False})
    said = protocol_of(one)["Training filter"]
    assert "left out for SASRecAll and STORE; not left out for SASRecAll:without" in said
    assert said.endswith("not recorded, or no such setting, for Pop.")


def protocol_of(one: Planted) -> dict[str, str]:
    (subject,) = subjects_of(read_results(one.results))
    return dict(protocol.protocol(subject).blocks[0].pairs)
