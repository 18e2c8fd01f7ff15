"""What a run writes of its figures are figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from recbole_store.experiments.run.run import as_json


def test_numbers_of_numpy_and_torch_are_numbers():
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": torch.tensor(0.25), "d": Path("x/y")}
    written = json.loads(json.dumps(values, default=as_json))
    assert written == {"a": 0.5, "b": 3, "c": 0.25, "d": "x/y"}
