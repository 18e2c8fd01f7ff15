"""RecBole's own launcher of several processes, which cannot share out this package's models."""

from __future__ import annotations

import importlib
import inspect
from functools import wraps

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import PLUGIN_MODELS


def refuse_nproc() -> None:
    """Let RecBole's launcher say that it cannot share out a model of this package.

    It starts processes that know no plugin, and joins them by nccl, GPUs or not. Upstream has no
    issue.
    """
    package = importlib.import_module("recbole.quick_start")
    launch = package.run
    words = inspect.signature(launch)

    @wraps(launch)
    def run(*args, **kwargs):
        given = words.bind(*args, **kwargs)
        given.apply_defaults()
        model, n_processes = given.arguments["model"], given.arguments["nproc"]
        if model in PLUGIN_MODELS and (n_processes > 1 or given.arguments["world_size"] > 1):
            raise SettingsError(
                f"`nproc` is {n_processes}, but RecBole's own launcher cannot share out {model}: "
                f"`torchrun --nproc_per_node={n_processes} run_recbole_store.py --model={model}` "
                "can."
            )
        return launch(*args, **kwargs)

    package.run = importlib.import_module("recbole.quick_start.quick_start").run = run
