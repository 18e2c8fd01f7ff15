"""RecBole's own launchers of many trainings, and who does their work for this package's models."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from functools import wraps
from pathlib import Path

import yaml
from recbole.evaluator import smaller_metrics
from recbole.utils import get_local_time

from recbole_store.errors import RunError, SettingsError
from recbole_store.settings.property_files import PLUGIN_MODELS

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_OWN_WORDS = ("model", "dataset", "config_files", "nproc", "ip", "port", "world_size")
_OWN_WORDS += ("group_offset", "run_dir")


def launch_by_torchrun() -> None:
    """Let RecBole's ``nproc`` share out a model of this package, as torchrun does.

    RecBole's own processes know no plugin, and join by nccl, GPUs or not. Upstream has no issue.
    """
    package = importlib.import_module("recbole.quick_start")
    launch = package.run
    words = inspect.signature(launch)

    @wraps(launch)
    def run(*args, **kwargs):
        given = words.bind(*args, **kwargs)
        given.apply_defaults()
        asked = given.arguments
        if asked["model"] in PLUGIN_MODELS and (asked["nproc"] > 1 or asked["world_size"] > 1):
            return _run_by_torchrun(**asked)
        return launch(*args, **kwargs)

    package.run = importlib.import_module("recbole.quick_start.quick_start").run = run


def _run_by_torchrun(
    model, dataset, config_file_list, config_dict, saved, nproc, world_size, ip, port, group_offset
) -> dict | None:
    """RecBole's ``run`` with several processes; its result, on the first machine.

    The run leaves its folder, whatever ``saved`` says.

    Raises:
        SettingsError: there are no such processes, or values that no YAML holds.
        RunError: the run failed; what it said is on stderr.
    """
    n_machines, rest = divmod(max(world_size, nproc), nproc)
    if rest:
        raise SettingsError(
            f"`world_size` is {world_size}, which is no multiple of `nproc` {nproc}."
        )
    where = ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]
    if n_machines > 1:
        where = [f"--nnodes={n_machines}", f"--node_rank={group_offset // nproc}"]
        where += [f"--master_addr={ip}", f"--master_port={port}"]
    settings = dict(config_dict or {})
    run_dir = Path(settings.get("checkpoint_dir", "saved"))
    run_dir = run_dir / f"{model}-{dataset}-{get_local_time()}-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "config_dict.yaml"
        try:
            own.write_text(yaml.safe_dump(settings), encoding="utf-8")
        except yaml.YAMLError as error:
            raise SettingsError(f"`config_dict` holds what no YAML does: {error}.") from error
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={nproc}"]
        command += [*where, "-m", "recbole_store.cli", f"--model={model}", f"--dataset={dataset}"]
        command += [f"--run_dir={run_dir}", "--no_table", *_typed()]
        command += ["--config_files", *(config_file_list or []), str(own)]
        paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        status = subprocess.run(command, env=environment).returncode
    if status:
        raise RunError(f"The processes of `nproc` {nproc} failed; what they said stands above.")
    if group_offset:
        return None
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    metric = result["valid_metric"].lower()
    return {
        "best_valid_score": result["valid"].get(metric),
        "valid_score_bigger": metric.split("@")[0] not in smaller_metrics,
        "best_valid_result": result["valid"],
        "test_result": result["test"],
    }


def _typed() -> list[str]:
    """Settings of the command line, which RecBole's Config reads by itself."""
    pairs = (word for word in sys.argv[1:] if word.startswith("--") and "=" in word)
    return [word for word in pairs if word[2:].split("=")[0] not in _OWN_WORDS]


def explain_hyper_tuning() -> None:
    """Let RecBole's search of settings say what to use where there is no hyperopt that it knows.

    RecBole asks for none, and hands those since 0.2.7 a generator that they cannot draw by (1868).
    """
    tuning = importlib.import_module("recbole.trainer.hyper_tuning").HyperTuning
    for name in ("__init__", "run"):
        setattr(tuning, name, _explained(getattr(tuning, name)))


def _explained(method):
    @wraps(method)
    def explained(*args, **kwargs):
        try:
            return method(*args, **kwargs)
        except (ModuleNotFoundError, AttributeError) as error:
            if "hyperopt" not in str(error) and "RandomState" not in str(error):
                raise
            raise SettingsError(
                f"RecBole's HyperTuning wants hyperopt 0.2.5 ({error}): `recbole-store tune "
                "--model=MODEL` searches settings of any model without it."
            ) from error

    return explained
