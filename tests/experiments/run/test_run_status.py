"""A run in a terminal: its stages, epochs and shares in one line, and no bars of RecBole's."""

from __future__ import annotations

import io
import re
import sys

import pytest
import yaml

from recbole_store import cli
from recbole_store.processes import status


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(tiny_settings, tmp_path, monkeypatch):
    """``shown(model, terminal, **settings)`` -> all that stderr got while it ran."""

    def run(model: str, terminal: io.StringIO, **settings) -> str:
        shared = ("data_path", "load_col", "epochs", "topk", "gpu_id")
        keys = shared if model != "STORE" else [key for key in tiny_settings]
        own = {key: tiny_settings[key] for key in keys if key != "show_progress"}
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**own, **settings}))
        monkeypatch.setattr(status, "EVERY_S", {True: 0.0, False: 0.0})
        monkeypatch.setattr(sys, "stderr", terminal)
        words = [f"--model={model}", "--dataset=planted", f"--config_files={tmp_path}/tiny.yaml"]
        assert cli.main(["train", *words]) == 0, terminal.getvalue()
        return terminal.getvalue()

    return run


def test_store_has_two_stages_and_a_test(shown):
    lines = re.split(r"[\r\n]+", shown("STORE", Terminal()))
    said = "\n".join(line.strip() for line in lines)
    for stage in ("stage 1 of 2", "stage 2 of 2"):
        shares = re.findall(rf"{stage} · epoch ([12])/2 · (\d+)% · about \d+ s left", said)
        assert {epoch for epoch, _ in shares} == {"1", "2"}
        percents = [int(percent) for _, percent in shares]
        assert percents == sorted(percents) and percents[-1] == 100
    assert "stage 2 of 2 · epoch 2/2, evaluation · 100% · about 0 s left" in said
    assert re.search(r"^test · 100% · about 0 s left", said, re.MULTILINE)
    assert "it/s" not in said and "Train " not in said and "Evaluate" not in said
    assert not re.search(r"\x1b\[\d*m", said)


def test_codes_that_take_long_are_told_of(shown, tiny_llm):
    rqvae = {"tokenizer": "rqvae", "rqvae_epochs": 3, "text_encoder": str(tiny_llm)}
    rqvae["disambiguation_size"] = 60
    said = shown("STORE", Terminal(), **rqvae)
    for line in ("the encoder reads texts · 100%", "stage 1 of 2 · codes · epoch 3/3 · 100%"):
        assert line in said


def test_elsewhere_lines_are_plain(shown):
    said = shown("Neighbours", io.StringIO())
    assert "training" not in said  # there is none
    assert "validation · 100% · about 0 s left\n" in said
    assert "test · 100% · about 0 s left\n" in said and "\r" not in said and "\x1b" not in said


def test_show_progress_off_says_nothing(shown):
    assert shown("SASRecAll", Terminal(), show_progress=False) == ""
