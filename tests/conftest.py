"""A tiny random LLM and a planted dataset, both made here: no test needs the network."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from pathlib import Path

import pytest
import torch
from planted_data import COLOURS, FOLLOWS, SHAPES, next_planted, planted_items
from raw_data import Prepared, write_raw_files
from tiny_llm import write_tiny_llm

import recbole_store  # noqa: F401 - mends RecBole before any test imports it

torch.set_num_threads(1)  # tiny models; more threads only wait for each other


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """No test reads or fills the user's cache."""
    os.environ["RECBOLE_STORE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch, tmp_path):
    """RecBole reads sys.argv and writes beside the working directory; keep both out of tests."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.chdir(tmp_path)
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        is_console = type(handler).__module__.startswith("recbole_store")
        if is_console or isinstance(handler, logging.FileHandler):
            root.removeHandler(handler)
            handler.close()


@pytest.fixture(autouse=True)
def _same_settings_for_all_data(request, monkeypatch):
    """STORE's own profile chooses by the data; tests of other things keep the defaults."""
    if "auto_profile" not in request.keywords:
        monkeypatch.setattr("recbole_store.plugin.profiles.auto.choose", lambda data, machine: [])


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory) -> Path:
    """Folder of a random LLM that knows the planted data's words."""
    words = [*COLOURS, *SHAPES, ":", ".", "The", "item", "text", "of", "this", "tokens", "colour"]
    return write_tiny_llm(tmp_path_factory.mktemp("llm"), words)


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """A data_path with the dataset ``planted``: texts determine what follows what.

    300 users, 60 items; with probability FOLLOWS the next item is the text's successor, else any.
    """
    data_path = tmp_path_factory.mktemp("data")
    folder = data_path / "planted"
    folder.mkdir()
    items = planted_items()
    by_text = {(colour, shape): name for name, colour, shape in items}
    rng = random.Random(11)
    rows = []
    for user in range(300):
        text = rng.choice(list(by_text))
        for step in range(rng.randint(6, 14)):
            # Seconds since 1970, one apart: float32 could not tell them from each other.
            rows.append(f"u{user}\t{by_text[text]}\t{1_600_000_000 + step}")
            follows = rng.random() < FOLLOWS
            text = next_planted(*text) if follows else rng.choice(list(by_text))
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "planted.inter").write_text("\n".join([header, *rows]) + "\n")
    lines = ["item_id:token\tcolour:token\tshape:token_seq"]
    lines += ["\t".join(item) for item in items]
    (folder / "planted.item").write_text("\n".join(lines) + "\n")
    return data_path


@pytest.fixture
def tiny_settings(tiny_llm, planted) -> dict:
    """Settings of a STORE run on the planted data that trains in seconds."""
    return {
        "data_path": str(planted),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "item_text": {"colour": "{}", "shape": "{}"},
        "backbone": str(tiny_llm),
        "backbone_layers": None,
        "precision": "fp32",
        "codebook_size": 16,
        "disambiguation_size": 16,
        "pca_dim": 16,
        "MAX_ITEM_LIST_LENGTH": 6,
        "topk": [1, 5, 10],
        "num_beams": 10,
        "item_head_weight": 0.0,
        "epochs": 2,
        "tokenizer_epochs": 2,
        "show_progress": False,
        "gpu_id": "",
        "checkpoint_dir": "saved",
    }


@pytest.fixture
def write_dataset(tmp_path):
    """Write a small dataset: ``write_dataset(name, inter_rows, item_lines=None, texts=None)``."""

    def write(name, inter_rows, item_lines=None, texts=None) -> Path:
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        header = "user_id:token\titem_id:token\ttimestamp:float"
        lines = [header, *("\t".join(map(str, row)) for row in inter_rows)]
        (folder / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if item_lines is not None:
            (folder / f"{name}.item").write_text("\n".join(item_lines) + "\n", encoding="utf-8")
        if texts is not None:
            rows = "\n".join(json.dumps(text, ensure_ascii=False) for text in texts)
            (folder / f"{name}.text.jsonl").write_text(rows + "\n", encoding="utf-8")
        return tmp_path / "data"

    return write


@pytest.fixture
def write_raw(tmp_path):
    """``write_raw({name: content})`` -> the folder; see ``raw_data.write_raw_files``."""
    return lambda files: write_raw_files(tmp_path / "raw", files)


@pytest.fixture
def prepare(tmp_path, write_raw):
    """``prepare(source, {name: content}, *options)`` -> Prepared; filters only if told."""

    def run(source: str, files: dict, *options: str) -> Prepared:
        out = tmp_path / "dataset" / "toy"
        from recbole_store.data.prepare import command

        words = [source, "--raw", str(write_raw(files)), "--out", str(out), "--k_core=1", *options]
        assert command.main(words) == 0
        return Prepared(out)

    return run


@pytest.fixture
def refused(tmp_path, write_raw, capsys):
    """``refused(source, {name: content}, *options)`` -> the one sentence; nothing is written."""

    def run(source: str, files: dict, *options: str) -> str:
        from recbole_store.data.prepare import command

        out = tmp_path / "dataset" / "toy"
        raw = write_raw(files) if isinstance(files, dict) else files
        capsys.readouterr()
        assert command.main([source, "--raw", str(raw), "--out", str(out), *options]) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ") and message.count("\n") == 1, message
        assert not out.parent.exists() or not list(out.parent.iterdir())
        return message.removeprefix("error: ").rstrip("\n")

    return run
