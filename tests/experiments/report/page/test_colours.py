"""Texts and marks have contrast in the light and in the dark scheme."""

from __future__ import annotations

import re

from recbole_store.experiments.report.page.chapter import N_COLOURS


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
    css = report.page.texts["style"][0]
    found = schemes(css)
    models = re.findall(r"\.m(\d) \{ --mark: (#\w{6});", css)
    assert [int(n) for n, _ in models] == list(range(1, N_COLOURS)), "the first is the accent"
    assert len(found) == 2 and found[0]["paper"] != found[1]["paper"]
    for scheme in found:
        for name in ("text", "quiet", "accent"):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5, (name, scheme)
        for ground in ("tint", "target"):
            assert contrast(scheme["text"], scheme[ground]) >= 4.5
            assert contrast(scheme["quiet"], scheme[ground]) >= 4.5
        for _, colour in models:
            assert contrast(colour, scheme["paper"]) >= 3, colour
