"""RecBole under newer versions of what it needs, and that it still needs what is mended.

Tests that use :func:`pristine` fail on the day RecBole has mended it: then the mend can go.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from data_with_holes import CASES, config_of, digest, write_holes
from pristine import pristine
from recbole.data import create_dataset
from recbole.utils import get_model
from scipy.sparse import dok_matrix

from recbole_store.errors import SettingsError
from recbole_store.plugin import compatibility

ROOT = Path(__file__).resolve().parents[2]
IS_PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3

# By RecBole alone, with NumPy 1.26, pandas 2.3 and SciPy 1.12, for which it was made.
DIGESTS = {
    "plain": "8bcd2c4086ec1a67",
    "normalised": "1b84a66f752b4dc7",
    "numbers": "fdc928436da7b711",
    "discretised": "3075591c7390590f",
    "histories": "3f30034bd891b4b1",
    "histories of numbers": "59ff7d5409be78a9",
    "benchmark files": "b7c932cc2dd8c780",
    "knowledge": "dcc403c562c8f541",
}


@pytest.fixture
def holes(tmp_path):
    """``holes(case)`` -> a RecBole data set."""
    write_holes(tmp_path / "data")
    return lambda case, **more: create_dataset(config_of(case, tmp_path / "data", **more))


@pytest.fixture
def plain_pandas(monkeypatch):
    """RecBole's data sets on the pandas that is installed; its copies behave as those of 3."""
    monkeypatch.setattr(import_module("recbole.data.dataset.dataset"), "pd", pd)
    if IS_PANDAS_3:
        yield
    else:
        with pd.option_context("mode.copy_on_write", True):
            yield


def python(code: str) -> subprocess.CompletedProcess:
    """Run code in a process of its own, which finds this package."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True)


# The import


def test_in_a_fresh_process():
    """Everything but importing the package is the user's own."""
    done = python("""
import importlib.util, io, math
import pandas
read_csv, frame = pandas.read_csv, pandas.DataFrame
import recbole_store
from recbole.quick_start import run_recbole
assert "ray" not in sys.modules
importlib.util.find_spec("ray")  # a stub that was left in would fail here
assert (pandas.read_csv, pandas.DataFrame) == (read_csv, frame)
assert type(pandas.read_csv(io.StringIO("a,b"))["a"]) is pandas.Series
import numpy
from recbole.evaluator.metrics import NDCG  # of a checkpoint that was loaded, without a Config
metric = NDCG({"topk": [2], "metric_decimal_place": 4})
found = metric.metric_info(numpy.array([[False, True]]), numpy.array([1]))
assert math.isclose(found[0, 1], 1 / math.log2(3))
""")
    assert done.returncode == 0, done.stderr


def test_without_recbole():
    """Said where the package is imported, and where its command line is used."""
    done = python("""
sys.modules["recbole"] = None
import run_recbole_store
assert run_recbole_store.main(["--model=Pop"]) == 2
try:
    import recbole_store.plugin
except ImportError as error:
    print(error)
""")
    assert done.returncode == 0, done.stderr
    line = "RecBole is not installed: `pip install --no-deps recbole==1.2.1`."
    assert done.stdout == f"{line}\n" and done.stderr == f"error: {line}\n"


# ray


def test_recbole_imports_ray_to_run_any_model(monkeypatch):
    """2215"""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError):
        pristine("recbole.quick_start.quick_start")


def test_what_ray_is_told_reaches_a_ray_that_is_there(monkeypatch):
    told = []
    real = ModuleType("ray.tune")
    real.report = lambda **metrics: told.append(metrics)
    monkeypatch.delitem(sys.modules, "ray.tune", raising=False)
    monkeypatch.delitem(sys.modules, "recbole.quick_start", raising=False)
    monkeypatch.delitem(sys.modules, "recbole.quick_start.quick_start", raising=False)
    compatibility._import_without_ray()
    tune = sys.modules["recbole.quick_start.quick_start"].tune
    tune.report(recall=0.5)  # nobody listens
    monkeypatch.setitem(sys.modules, "ray.tune", real)
    tune.report(recall=0.5)
    assert told == [{"recall": 0.5}]


@pytest.mark.parametrize("imported", [("ray",), ("ray", "ray.tune")])
def test_a_ray_that_was_imported_before_stays(monkeypatch, imported):
    monkeypatch.delitem(sys.modules, "ray.tune", raising=False)
    modules = {name: ModuleType(name) for name in ("ray", "ray.tune")}
    modules["ray"].tune = modules["ray.tune"]
    for name in imported:
        monkeypatch.setitem(sys.modules, name, modules[name])
    for name in ("recbole.quick_start", "recbole.quick_start.quick_start"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    compatibility._import_without_ray()
    assert sys.modules["ray"] is modules["ray"]
    assert sys.modules.get("ray.tune") is (modules["ray.tune"] if len(imported) > 1 else None)
    tune = sys.modules["recbole.quick_start.quick_start"].tune
    assert (tune is modules["ray.tune"]) == (len(imported) > 1)


# NumPy


def test_recbole_asks_numpy_for_names_that_are_gone(monkeypatch):
    """2215, 2203: `np.float_` in each Config."""
    config = pristine("recbole.config.configurator").Config
    kept = ("bool_", "int_", "float64", "complex128", "object_", "str_")
    of_today = SimpleNamespace(**{name: getattr(np, name) for name in kept})
    monkeypatch.setitem(sys.modules, "numpy", of_today)
    with pytest.raises(AttributeError, match="float_"):
        config.compatibility_settings(None)


def test_numpy_has_the_names_that_recbole_uses(monkeypatch):
    names = ("bool", "int", "long", "float", "complex", "object", "str", "unicode")
    for name in names:
        monkeypatch.delattr(np, name, raising=False)
    compatibility._name_numpy_types()
    kinds = {name: np.dtype(getattr(np, name)) for name in names}
    assert {kinds["float"], kinds["complex"]} == {np.dtype("float64"), np.dtype("complex128")}
    assert (kinds["bool"], kinds["object"]) == (np.dtype("?"), np.dtype("O"))
    assert kinds["int"] == kinds["long"] == np.array([1]).dtype
    assert kinds["str"] == kinds["unicode"] == np.dtype("U")


# SciPy


def without_update(monkeypatch) -> None:
    for kind in dok_matrix.__mro__:
        if "_update" in vars(kind):
            monkeypatch.delattr(kind, "_update")


def test_lightgcn_uses_a_method_that_is_gone(holes, monkeypatch):
    """2034"""
    without_update(monkeypatch)
    dataset = holes("plain")
    (train, *_) = dataset.build()
    config = {**dataset.config.final_config_dict, "embedding_size": 4, "n_layers": 1}
    config |= {"reg_weight": 0.1, "require_pow": False, "device": "cpu"}
    with pytest.raises(AttributeError, match="_update"):
        get_model("LightGCN")(config, train)
    compatibility._fill_sparse_matrices()
    assert get_model("LightGCN")(config, train).norm_adj_matrix._nnz() > 0


def test_matrices_are_filled(monkeypatch):
    without_update(monkeypatch)
    compatibility._fill_sparse_matrices()
    filled, expected = (dok_matrix((3, 4), dtype=np.float32) for _ in range(2))
    values = {(0, 1): 1, (2, 3): 2, (2, 0): 5}
    filled._update(values)
    for place, value in values.items():
        expected[place] = value
    assert filled.dtype == expected.dtype and filled.nnz == 3
    assert (filled.toarray() == expected.toarray()).all()
    assert (filled.tocsr() != expected.tocsr()).nnz == 0


# pandas


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_is_that_of_the_versions_that_recbole_was_made_for(holes, case):
    assert digest(holes(case)) == DIGESTS[case]


@pytest.mark.skipif(not IS_PANDAS_3, reason="pandas 2 calls len on each value")
def test_recbole_takes_the_length_of_a_column_for_that_of_its_lists(holes, monkeypatch):
    """No issue is known."""
    monkeypatch.delattr(compatibility._Column, "agg")
    with pytest.raises(ValueError, match="Length of values"):
        holes("plain")


def test_recbole_fills_holes_of_a_copy(holes, plain_pandas):
    """No issue is known; nothing is said, so the figures are wrong."""
    no_lists = {
        "inter": ["user_id", "item_id", "timestamp", "stars"],
        "user": ["user_id", "age"],
        "item": ["item_id", "price"],
    }
    found = holes("plain", load_col=no_lists)
    assert found.item_feat["price"].isna().any() and found.user_feat["age"].isna().any()


def test_data_sets_are_saved_as_plain_frames(holes):
    """RecBole's own data sets are read where this package is not."""
    dataset = holes("plain", checkpoint_dir="saved")
    dataset.save()
    content = Path("saved/holes-Dataset.pth").read_bytes()
    assert b"recbole_store" not in content and b"_Frame" not in content
    saved = pickle.loads(content)
    frames = ("inter_feat", "user_feat", "item_feat")
    assert {type(getattr(saved, name)) for name in frames} == {pd.DataFrame}
    assert digest(saved) == digest(dataset) == DIGESTS["plain"]


class OfAnotherPandas:
    """Fails as pandas 2 does over a frame of pandas 3."""

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise NotImplementedError


@pytest.mark.parametrize("content", [pickle.dumps(OfAnotherPandas()), b"half a fi"])
def test_saved_data_that_cannot_be_read(holes, content):
    path = Path("saved/holes-Dataset.pth")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"Cannot read the saved data {path} .* remove it"):
        holes("plain", checkpoint_dir="saved")


# What the mends stand on


def test_a_frame_fills_its_own_column():
    frame = compatibility._Frame({"a": [1.0, None], "b": [None, "x"]})
    frame["a"].fillna(value=7, inplace=True)
    frame[frame["b"].isna()]["b"].fillna("", inplace=True)  # another frame
    assert frame["a"].tolist() == [1.0, 7.0] and frame["b"].isna().tolist() == [True, False]
    assert frame["b"].fillna("y").tolist() == ["y", "x"] and frame["b"].isna().any()


def test_parts_of_a_frame_are_such_frames():
    frame = compatibility._Frame({"a": [[1, 2], [3]], "b": [1, 2]})
    for part in (frame[frame["b"] > 0], frame.copy(), frame.drop(columns="b"), frame[["a"]]):
        assert part["a"].agg(len).tolist() == [2, 1]
    both = pd.concat([frame, pd.DataFrame({"a": [[]], "b": [3]})], ignore_index=True)
    assert both["a"].agg(len).tolist() == [2, 1, 0] and both["b"].agg("sum") == 6
    assert type(pickle.loads(pickle.dumps(frame))) is pd.DataFrame
