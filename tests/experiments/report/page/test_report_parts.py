"""Small parts of the report: marks, verdicts, words, colours, the choice of users and items."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from recbole_store.experiments.report.page import examples, figures, formats, item_map
from recbole_store.experiments.report.page.blocks import Cell, Table
from recbole_store.experiments.report.page.page import chart_json
from recbole_store.experiments.report.page.sections.overview import started
from recbole_store.experiments.report.page.sections.protocol import flattened
from recbole_store.experiments.report.page.sections.quality import marks
from recbole_store.experiments.report.page.sections.training import curve_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.3, 0.1, None, 0.2], ["best", "", "", "second"]),
        ([0.30001, 0.30002, 0.1], ["best", "best", "second"]),
        ([0.2, 0.2], ["", ""]),
        ([0.2], [""]),
        ([float("nan"), 0.1, 0.2], ["", "second", "best"]),
    ],
)
def test_marks(values, expected):
    assert marks(values) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.06159, "0.0616"), (1.0, "1.0000"), (1682, "1,682"), (7, "7"), (None, "–"), (0, "0.0000")],
)
def test_figures_as_text(value, expected):
    assert formats.figure(value) == expected


def test_counts_have_no_four_decimals():
    found = [formats.of_metric("dead_codes", v) for v in (0.0, 2.5, 1154.0)]
    assert found == ["0", "2.5", "1,154"]
    assert formats.of_metric("averagepopularity@10", 478.0) == "478.0"
    assert formats.of_metric("giniindex@10", 0.8637) == "0.8637"
    assert [formats.minutes(s) for s in (0.5, 90.0, None)] == ["<0.1", "1.5", "–"]


def test_words_for_metrics():
    names = ("ndcg@10", "recall@5", "collision_rate", "giniindex@10", "fit_s")
    assert [formats.metric_name(name) for name in names] == [
        *("NDCG@10", "Recall@5", "collision rate", "Gini index@10", "training, s")
    ]
    assert formats.listed(["a"]) == "a" and formats.listed(["a", "b", "c"]) == "a, b and c"


def test_columns_of_words_are_told_from_columns_of_figures():
    rows = [[Cell("A"), Cell("0.1"), Cell("tie"), Cell("−0.2"), Cell("<0.001"), Cell("7.3M")]]
    assert Table("t", "", [], rows).word_columns == {0, 2}


def test_started():
    assert started("saved/Pop-ml-100k-seed2020-20261122-165520") == "2026-11-22"
    assert started("saved/Pop-ml-100k-seed2020-20261122-165520-2") == "2026-11-22"
    assert started("saved/mine") is None


def test_flattened():
    nested = {"a": {"b": [1, 2]}, "c": [{"d": True}], "e": None}
    assert list(flattened(nested)) == [("a.b", "1, 2"), ("c[0].d", "True"), ("e", "None")]


def test_a_curve_begins_with_the_tokenizer_and_skips_epochs_without_evaluation():
    rows = [
        {"epoch": 0, "train_s": 60},
        {"epoch": 1, "train_s": 60, "valid_s": 30, "valid_score": 0.5},
    ]
    run = SimpleNamespace(result={"curve": rows, "store": {"tokenizer_s": 30}})
    assert curve_of(run) == [(2, 3.0, 0.5)]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def schemes(css: str) -> list[dict[str, str]]:
    """The colour variables of the light scheme, then of the dark one."""
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    return [dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in blocks]


def test_texts_and_marks_have_contrast_in_both_schemes(report):
    found = schemes(report.page.texts["style"][0])
    assert len(found) == 2 and found[0]["paper"] != found[1]["paper"]
    for scheme in found:
        for name in ("text", "quiet", "accent"):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5, (name, scheme)
        for ground in ("tint", "target"):
            assert contrast(scheme["text"], scheme[ground]) >= 4.5
            assert contrast(scheme["quiet"], scheme[ground]) >= 4.5
        for colour in figures.COLOURS:
            assert contrast(colour, scheme["paper"]) >= 3, colour


def test_labels_beyond_the_colours_differ_in_shape():
    labels = [f"M{n}" for n in range(2 * len(figures.COLOURS))]
    styles = figures.Styles(labels)
    looks = {(styles.colour(one), styles.dash(one), styles.symbol(one)) for one in labels}
    assert len(looks) == len(labels)


def test_no_text_can_end_a_chart_s_script():
    figure = figures.points(
        [("</script>", 1.0, 0.5, False)], "x", "y", figures.Styles(["</script>"])
    )
    assert "<" not in chart_json(SimpleNamespace(figure=figure))


def test_colours_of_codes_are_steps():
    """Code n falls into step n of the scale, whatever the number of codes."""
    codes = np.array([0, 2, 1])
    figure = figures.item_map(np.zeros((3, 2)), codes, ["a", "b", "c"], ["0", "2", "1"])
    marker = figure.data[0].marker
    for code in range(3):
        place = (code - marker.cmin) / (marker.cmax - marker.cmin)
        below = [tone for edge, tone in marker.colorscale if edge <= place][-1]
        above = [tone for edge, tone in marker.colorscale if edge >= place][0]
        assert below == above == marker.colorscale[2 * code][1]


def test_t_sne_keeps_groups_apart_and_is_repeatable():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 20)
    vectors = rng.normal(size=(40, 8)) + 20 * groups[:, None]
    places = item_map.in_the_plane(vectors)
    assert np.array_equal(places, item_map.in_the_plane(vectors))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (groups[distances.argmin(axis=1)] == groups).all()


def test_large_catalogues_are_sampled():
    assert item_map.chosen_items(7, most=9).tolist() == list(range(7))
    chosen = item_map.chosen_items(1000, most=9)
    assert len(set(chosen.tolist())) == 9 and chosen.tolist() == sorted(chosen)
    assert chosen.tolist() == item_map.chosen_items(1000, most=9).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brand: OPI categories: Beauty, Nails title: Nail Lacquer: Red", "Nail Lacquer: Red"),
        ("class: Comedy movie_title: Toy Story release_year: 1995", "Toy Story"),
        ("categories: RPG title: The Elder Scrolls IV: Oblivion", "The Elder Scrolls IV: Oblivion"),
        ("name: Café 21 categories: Bars", "Café 21"),
        ("A red nail lacquer", "A red nail lacquer"),
        ("title: ", "title: "),
    ],
)
def test_the_title_is_found_in_the_text(text, expected):
    assert examples.name_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("a  b\nc", "a b c"),
        ("one two three four", "one two…"),
        ("x" * 20, "x" * 9 + "…"),
    ],
)
def test_shortened(text, expected):
    assert examples.shortened(text, most=10) == expected


def lists(label: str, ranks: list[int]) -> SimpleNamespace:
    users = [f"u{n}" for n in range(len(ranks))]
    return SimpleNamespace(label=label, users=users, ranks=np.array(ranks))


def test_half_of_the_users_are_those_on_whom_models_differ():
    one = lists("A", [1, 1, 0, 0, 5, 5, 0, 3])
    other = lists("B", [1, 1, 0, 0, 0, 12, 0, 3])
    chosen = examples.chosen_users([one, other])
    assert len(set(chosen)) == 4
    assert {"u4", "u5"} == set(chosen[:2])
    assert chosen == examples.chosen_users([other, one]), "whatever the models' names and order"


def test_where_models_agree_all_users_are_drawn():
    assert len(set(examples.chosen_users([lists("A", [1] * 8), lists("B", [2] * 8)]))) == 4
    assert examples.chosen_users([lists("A", [1, 0])]) in (["u0", "u1"], ["u1", "u0"])
