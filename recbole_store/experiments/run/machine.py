"""The machine and the software under a run: memory, versions, hardware, commit."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

import recbole_store.processes.ranks as ranks

VERSIONS_OF = ("recbole", "torch", "transformers", "peft", "numpy", "pandas", "scikit-learn")


def keep_freed_memory() -> None:
    """Let malloc keep what tensors free instead of returning it to the system.

    Training frees and allocates the same large blocks at every step; mapping them anew costs a
    page fault for each 4 KB, hundreds of thousands a batch for SASRec on a CPU. Linux only.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # names in <malloc.h>
            libc.mallopt(m_mmap_max, 0)
            libc.mallopt(m_trim_threshold, 2**31 - 1)
            libc.mallopt(m_top_pad, 2**26)


def peak_memory_gb() -> float:
    """The most memory that this process has held so far, in GB."""
    if sys.platform == "win32":
        import psutil  # RecBole brings it

        return psutil.Process().memory_info().peak_wset / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def versions() -> dict[str, str]:
    """Python's and the packages' versions that figures may depend on."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in VERSIONS_OF}


def hardware(device: torch.device) -> dict:
    """What the run ran on."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = platform.processor() or platform.machine()
        info = Path("/proc/cpuinfo")
        models = [
            line.split(":", 1)[1].strip()
            for line in (info.read_text(encoding="utf-8").splitlines() if info.is_file() else [])
            if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "device": device.type,
        "name": name,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "world_size": ranks.world_size(),
    }


def git_commit() -> str | None:
    """The checkout's commit, ``-dirty`` where what figures come from is changed; None outside one.

    What runs write themselves is no such change.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    sources = ["recbole_store", "properties", "run_recbole_store.py"]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        changes = [*git, "diff", "--quiet", "HEAD", "--", *sources]
        is_dirty = subprocess.run(changes, capture_output=True, check=False).returncode == 1
    except OSError:  # a checkout on a machine without git
        return None
    return (commit + "-dirty" * is_dirty) if commit else None
