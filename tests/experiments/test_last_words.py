"""What comes next is typed as it stands: ids that the model knows, quoted for a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from planted_runs import write_run

from recbole_store.experiments.last_words import next_steps


def finished_run(histories: list[list[int]], with_model: bool = True) -> Path:
    """Users u2 and u0, whose first place is i1 for u0 and another item for u2."""
    run_dir = write_run(Path("run"), [1, 3, 0], [2, 1, 5])
    kept = np.array(histories, dtype=np.int32)
    np.savez(run_dir / "histories.npz", users=np.array(["u0", "u2"]), histories=kept)
    if with_model:
        (run_dir / "model").mkdir()
        (run_dir / "model" / "config.json").write_text("{}")
    return run_dir


def test_commands_name_items_of_a_user():
    title, *lines = next_steps(finished_run([[0, 5], [7, 5]]))
    assert title == "Next:"
    typed = [shlex.split(line.partition("   what")[0])[1:] for line in lines]
    assert typed[0] == ["recommend", "run/model", "--items", "i5"]
    assert typed[1][:6] == ["explain", "run/model", "--item", "i1", "--items", "i5"]


def test_ids_are_quoted_and_those_with_a_comma_left_out():
    run_dir = finished_run([[4, 5], [7, 5]])
    ranked = dict(np.load(run_dir / "ranked.npz"))
    names = ranked["raw_ids"].astype("U20")
    names[4], names[5] = "a,b", "it's"
    np.savez(run_dir / "ranked.npz", **{**ranked, "raw_ids": names})
    line = next_steps(run_dir)[1]
    assert shlex.split(line.partition("   what")[0])[-1] == "it's"


def test_a_run_without_lists_or_model_says_less():
    run_dir = finished_run([[0, 5], [7, 5]])
    (run_dir / "histories.npz").unlink()
    assert "--items ITEM,ITEM " in next_steps(run_dir)[1]
    assert next_steps(Path("nothing")) == []
