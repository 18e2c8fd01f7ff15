"""Settings with which STORE trains on dataset/sample in seconds, on a tiny LLM of its words."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml
from planted_data import ROOT
from tiny_llm import write_tiny_llm

SAMPLE = ROOT / "dataset" / "sample"


def write_sample_settings(folder: Path) -> Path:
    """Write the LLM and a property file below a folder; the property file."""
    with open(SAMPLE / "products.csv", encoding="utf-8", newline="") as file:
        words = {word for row in csv.DictReader(file) for word in " ".join(row.values()).split()}
    llm = write_tiny_llm(folder / "llm", [*sorted(words), ":", "brand", "category"])
    settings = {
        "backbone": str(llm),
        "backbone_layers": None,
        "precision": "fp32",
        "tokenizer_epochs": 2,
        "tokenizer_batch_size": 64,
        "train_batch_size": 64,
        "epochs": 2,
        "MAX_ITEM_LIST_LENGTH": 6,
        "gpu_id": "",
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path
