"""The property files that are shipped: their keys, what the comments say, and who reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from recbole_store.settings.checks import check_rules
from recbole_store.settings.declared import ANYTHING, comment_of
from recbole_store.settings.defaults import recbole_defaults, shipped_defaults
from recbole_store.settings.keys import (
    RENAMED,
    check_data_keys,
    check_keys,
    declared_in,
    declared_keys,
)
from recbole_store.settings.profile import profile_file
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    properties_folder,
    read_list,
    read_properties,
    recbole_folder,
    variant_file,
    variants_of,
)
from recbole_store.settings.resolve import resolve
from recbole_store.tokenizer.quantizers.base import NOTHING, TEXT_EMBEDDING
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS

FROZEN = (TEXT_EMBEDDING, NOTHING)
ROOT = properties_folder()
PACKAGE = ROOT.parent / "recbole_store"
TRIALS = sorted(ROOT.glob("trials/*.yaml"))
SHIPPED = sorted(set(ROOT.rglob("*.yaml")) - set(TRIALS))
# What says of keys what they may hold.
NAMES = ("recbole", "recbole_models", "overall", "dataset/sample")
DECLARING = [ROOT / f"{name}.yaml" for name in NAMES]
DECLARING += sorted([*(ROOT / "model").glob("*.yaml"), *(ROOT / "tokenizer").glob("*.yaml")])
VARIANTS = sorted((ROOT / "variant").glob("*.yaml"))


def name_of(path) -> str:
    return str(path.relative_to(ROOT))


def test_shipped_files():
    names = {name_of(path) for path in SHIPPED}
    assert {"overall.yaml", "model/STORE.yaml", "profile/full.yaml", "dataset/sample.yaml"} <= names
    assert {path.stem for path in (ROOT / "model").glob("*.yaml")} == set(PLUGIN_MODELS)


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_every_file_loads(path):
    content = read_properties(path)
    assert content and all(isinstance(key, str) for key in content)
    lines = re.findall(r"^(\w+):", path.read_text(), re.MULTILINE)
    assert sorted(lines) == sorted(content), "a key is given twice"


@pytest.mark.parametrize("path", DECLARING, ids=name_of)
def test_every_key_says_what_it_may_hold_and_means(path):
    lines = {line.partition(":")[0]: line for line in path.read_text().splitlines()}
    for key, value in read_properties(path).items():
        declared = declared_in(path)[key]
        assert declared != ANYTHING and declared.forms, key
        declared.check(key, value)
        comment = comment_of(lines[key])
        assert re.search(rf"#\s\({re.escape(comment)}\) \S.*\.$", lines[key]), lines[key]


@pytest.mark.parametrize("path", sorted(set(SHIPPED) - set(DECLARING)), ids=name_of)
def test_no_other_file_says_what_a_key_may_hold(path):
    """Said twice, it would be wrong once."""
    if path.parent.name != "published":
        assert all(known == ANYTHING for known in declared_in(path).values())


@pytest.mark.parametrize("model", PLUGIN_MODELS)
def test_defaults_keep_the_rules(model):
    check_rules({**recbole_defaults(model, "no such data set"), **shipped_defaults(model)})


def test_recbole_s_values_are_its_own():
    """recbole.yaml says what RecBole's keys may hold; it is no place for other values."""
    theirs = recbole_defaults("Pop", "no such data set")
    for key, value in read_properties(ROOT / "recbole.yaml").items():
        assert theirs.get(key) == value, key


def test_recbole_s_keys_hold_what_its_files_hold():
    """None of its own values may be refused, whatever its comments say."""
    for path in (recbole_folder() / "properties" / "model").glob("*.yaml"):
        check_keys(read_properties(path), declared_keys([path.stem]))


def test_a_name_of_two_models_means_what_it_means_to_the_last():
    """GRU4Rec and TIGER both have layers; RecBole sets no bounds."""
    assert declared_keys(["TIGER", "GRU4Rec"])["num_layers"].fits(0)
    assert not declared_keys(["GRU4Rec", "TIGER"])["num_layers"].fits(0)
    assert "num_decoder_layers" in declared_keys(["TIGER", "GRU4Rec"])


def test_tokenizers_are_those_that_exist():
    (form,) = declared_keys(["STORE"])["tokenizer"].forms
    assert set(form.choices) == set(QUANTIZERS)
    (others,) = declared_keys(["TIGER"])["tokenizer"].forms
    reading_no_llm = {name for name, kind in QUANTIZERS.items() if kind.reads in FROZEN}
    assert set(others.choices) == reading_no_llm
    assert {path.stem for path in (ROOT / "tokenizer").glob("*.yaml")} <= set(QUANTIZERS)


def test_tokenizers_that_share_a_key_agree_on_it():
    """All of them are read, whichever is chosen."""
    found: dict = {}
    for path in (ROOT / "tokenizer").glob("*.yaml"):
        for key, value in read_properties(path).items():
            said = (value, declared_in(path)[key])
            assert found.setdefault(key, said) == said, key


def test_a_model_knows_the_keys_of_the_tokenizers_it_may_have():
    assert {"pca_dim", "rqvae_beta", "token_to_text_weight"} <= declared_keys(["STORE"]).keys()
    assert {"pca_dim", "rqvae_beta"} <= declared_keys(["TIGER"]).keys()
    assert "token_to_text_weight" not in declared_keys(["TIGER"])
    assert "pca_dim" not in declared_keys(["SASRecAll"])


def test_store_has_few_keys():
    """What nobody ever varied is a constant; a new key needs a strong reason."""
    assert len(read_properties(ROOT / "model" / "STORE.yaml")) <= 42


def test_former_keys_have_become_others():
    known = declared_keys(["STORE", "TIGER"])
    assert not RENAMED.keys() & known.keys() and set(RENAMED.values()) <= known.keys()


def test_every_key_of_ours_is_read():
    """As ``config["key"]`` or ``config.get("key")``, by what runs models, not what checks settings.

    A list of names, such as what a hash is made of, reads nothing.
    """
    run = PACKAGE / "experiments" / "run"
    sources = [
        path.read_text()
        for path in PACKAGE.rglob("*.py")
        if path.is_relative_to(run)
        or not any(path.is_relative_to(PACKAGE / part) for part in ("settings", "experiments"))
    ]
    read = set(re.findall(r'(?:\[|\.get\()"(\w+)"', "\n".join(sources)))
    read |= {key for kind in QUANTIZERS.values() for key in kind.keys}
    theirs = recbole_folder() / "properties"
    known = {*declared_in(theirs / "overall.yaml"), *declared_in(theirs / "dataset/sample.yaml")}
    # What RecBole's own classes read of the models that are made of them.
    known |= set(declared_in(theirs / "model" / "SASRec.yaml"))
    known |= {"embedding_size", "dropout_prob"}  # and of BPR and GRU4Rec
    known |= {"teacher", "n_cate"}  # and of KD_DAGFM and LDiffRec
    for path in DECLARING:
        assert not set(read_properties(path)) - known - read, path


@pytest.mark.parametrize("path", TRIALS, ids=name_of)
def test_every_trial_can_be_run(path):
    listed = read_list(path)
    known = declared_keys([path.stem.partition("-")[0]])
    assert len(listed) > 1
    for trial in listed:
        check_keys(trial, known)


@pytest.mark.parametrize("path", sorted((ROOT / "profile").glob("*.yaml")), ids=name_of)
def test_profiles_hold_known_keys_and_good_values(path):
    resolved = resolve("STORE", "ml-100k", [profile_file(path.stem)], {})
    for key, value in read_properties(path).items():
        assert resolved[key] == value or key == "eval_args"


@pytest.mark.parametrize("path", VARIANTS, ids=name_of)
def test_variants_hold_good_values(path):
    model, _, variant = path.stem.partition("-")
    assert variant_file(model, variant) == path and variant in variants_of(model)
    resolved = resolve(model, "ml-100k", [], {}, variant=variant)
    content = read_properties(path)
    assert content and {key: resolved[key] for key in content} == content


def test_an_ablation_changes_what_it_says_and_no_more():
    names = variants_of("STORE")
    assert {"without_reconstruction", "without_contrastive", "without_alignment"} <= set(names)
    plain = resolve("STORE", "ml-100k", [], {})
    for name in names:
        content = read_properties(variant_file("STORE", name))
        assert content and all(plain.get(key) != value for key, value in content.items()), name


@pytest.mark.parametrize("path", sorted((ROOT / "dataset").rglob("*.yaml")), ids=name_of)
def test_dataset_files_describe_data(path):
    """They are copied to where data sets are, and read from there."""
    check_data_keys(yaml.safe_load(path.read_text()), Path("films.yaml"))
