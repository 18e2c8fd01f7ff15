"""docs/first_hour.ipynb runs from its first cell to its last, on the sample with a tiny LLM."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from planted_data import ROOT
from sample_settings import SAMPLE, write_sample_settings

NOTEBOOK = ROOT / "docs" / "first_hour.ipynb"


@pytest.fixture
def cells() -> list[dict]:
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert book["nbformat"] == 4
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def test_outputs_are_cleared(cells):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_its_cells_run_in_their_order(cells, tmp_path, capfd):
    shutil.copytree(SAMPLE, tmp_path / "dataset" / "sample")
    settings, known = write_sample_settings(tmp_path), {}
    for cell in cells:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), known)
        if "parameters" in cell["metadata"].get("tags", []):
            known["more"] = f"--config_files={settings}"
    said = capfd.readouterr().out
    assert re.search(r"^STORE († )?(is|cannot be told from) ", said, re.M)
    store, why = known["store"], known["why"]
    assert len(store) == 302 and known["added"].raw_ids == ["N1", "N2"]
    assert why.item_id == known["first"] and why.rank <= 3  # two were bought
    assert len(why.moved) > 0
    assert (tmp_path / "saved" / "shop_with_new" / "config.json").is_file()
