"""RecBole 1.2.1 under newer versions of what it needs: NumPy 2, SciPy 1.13, pandas 3, no ray.

RecBole's own releases stop before them, so what broke is mended here, in RecBole's modules alone,
not in NumPy's or pandas' for everybody. Older versions go the same way: nothing here asks for a
version. Numbers are those of RecBole's issues; where there is none, the fault was found here.

The package imports this module before it imports RecBole, so that whoever imports the package can
import RecBole, too.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
from scipy.sparse import dok_matrix

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import recbole_folder


def mend_newer_versions() -> None:
    """Apply every change; called once, when :mod:`recbole_store.plugin` is imported.

    Raises:
        RecBoleMissing: there is no RecBole.
    """
    recbole_folder()
    _import_without_ray()
    _name_numpy_types()
    _fill_sparse_matrices()
    _keep_idioms_of_pandas()
    _explain_saved_data()


def _import_without_ray() -> None:
    """Import ``recbole.quick_start``, which imports ray.tune whether ray is used or not (2215).

    RecBole asks for ray<=2.6.3, which has no wheel for Python 3.12, does not know NumPy 2 and
    takes seconds to import. A stub stands in its place, and only meanwhile: left in, it would
    hide a real ray, and ``importlib.util.find_spec("ray")`` would fail.
    """
    if "ray.tune" in sys.modules:
        importlib.import_module("recbole.quick_start")
        return

    def report(**metrics) -> None:
        """Tell ray the metrics of a trial; where ray runs trials, its workers have imported it."""
        if "ray.tune" in sys.modules:
            sys.modules["ray.tune"].report(**metrics)

    before = {name: sys.modules.get(name) for name in ("ray", "ray.tune")}
    sys.modules["ray"] = ModuleType("ray")
    sys.modules["ray"].tune = sys.modules["ray.tune"] = ModuleType("ray.tune")
    sys.modules["ray.tune"].report = report
    try:
        importlib.import_module("recbole.quick_start")
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def _name_numpy_types() -> None:
    """Give NumPy the type names that RecBole uses, by names that NumPy 2 has as well (2215).

    RecBole does so in each ``Config``, by names that are gone. It is done once more now: metrics of
    a checkpoint need them in a process that made no ``Config``.
    """
    names = {"bool": np.bool_, "int": np.int_, "long": np.int_, "float": np.float64}
    names |= {"complex": np.complex128, "object": np.object_, "str": np.str_, "unicode": np.str_}

    def compatibility_settings(self=None) -> None:
        for name, kind in names.items():
            setattr(np, name, kind)

    config = importlib.import_module("recbole.config.configurator").Config
    config.compatibility_settings = compatibility_settings
    compatibility_settings()


def _fill_sparse_matrices() -> None:
    """Give SciPy's matrices back the method by which LightGCN and its kin fill theirs (2034)."""

    def update(self, values: dict) -> None:
        self._dict.update(values)

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = update


class _Column(pd.Series):
    """A column of a :class:`_Frame`, which it is bound to."""

    def agg(self, func=None, axis=0, *args, **kwargs):
        """pandas 3 calls ``len`` on the column; RecBole wants the length of each list in it."""
        if func is len:
            return self.map(len)
        return super().agg(func, axis, *args, **kwargs)

    def fillna(self, value=None, *, inplace=False, **kwargs):
        """pandas 3 fills a copy; RecBole means the frame that the column was taken from."""
        filled = super().fillna(value, **kwargs)
        if not inplace:
            return filled
        frame, name = self.taken_from
        frame[name] = filled
        return None


class _Frame(pd.DataFrame):
    """A frame on which RecBole's idioms of pandas 2 hold; it is saved as a plain one.

    Without it, pandas 3 fails over sequences and, silently, leaves holes as they are: missing
    floats stay NaN, missing tokens become the id -2**63.
    """

    @property
    def _constructor(self):
        return _Frame

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if not isinstance(value, pd.Series):
            return value
        column = _Column(value)
        object.__setattr__(column, "taken_from", (self, key))
        return column

    def __reduce_ex__(self, protocol):
        return pd.DataFrame, (pd.DataFrame(self),)


def _keep_idioms_of_pandas() -> None:
    """Let RecBole's data sets read their files into :class:`_Frame`.

    All of their frames come from these two functions, or from such frames. Upstream has no issue.
    """
    module = importlib.import_module("recbole.data.dataset.dataset")
    module.pd = SimpleNamespace(
        **vars(pd)
        | {
            "read_csv": lambda *args, **kwargs: _Frame(pd.read_csv(*args, **kwargs)),
            "merge": lambda *args, **kwargs: _Frame(pd.merge(*args, **kwargs)),
        }
    )


def _explain_saved_data() -> None:
    """Turn the failure to read a data set that RecBole saved into one sentence.

    pandas 2 cannot read what pandas 3 saved. Upstream has no issue.
    """

    def load(file):
        try:
            return pickle.load(file)
        except Exception as error:
            raise SettingsError(
                f"Cannot read the saved data {file.name} ({type(error).__name__}): another "
                f"pandas than {pd.__version__} or another RecBole saved it, or it is damaged; "
                "remove it, and it is made again."
            ) from error

    module = importlib.import_module("recbole.data.utils")
    module.pickle = SimpleNamespace(**vars(pickle) | {"load": load})
