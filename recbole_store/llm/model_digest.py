"""What a language model or text encoder is made of, as one hash: other weights, another hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recbole_store.data.checksums import sha256
from recbole_store.llm.model_files import DEFAULT_BACKBONE, EMBEDDED_SHA256

# Of a model's folder what transformers reads: weights, configuration, vocabulary, chat template;
# and where sentence-transformers says how states are pooled.
_SUFFIXES = (".safetensors", ".bin", ".json", ".txt", ".model", ".jinja")
_FOLDERS = (".", "1_Pooling")


def model_digest(name: str | None) -> str | None:
    """Hash of a model's content.

    Of an embedded model it is that of the file it is fetched in, so nothing is fetched to know it;
    of a model of a hub the commit, which is a hash of all its files.

    Args:
        name: as for the settings ``backbone`` and ``text_encoder``; None: the default LLM.

    Returns:
        None for a hub's model that cannot be had, which loading it will say.
    """
    name = DEFAULT_BACKBONE if name is None else name
    if name in EMBEDDED_SHA256:
        return EMBEDDED_SHA256[name]
    return _folder_digest(Path(name)) if Path(name).is_dir() else _hub_commit(name)


def _folder_digest(folder: Path) -> str:
    """Of the names and all bytes of a model's files."""
    files = [path for part in _FOLDERS for path in (folder / part).glob("*")]
    content = hashlib.sha256()
    for path in sorted(file for file in files if file.suffix in _SUFFIXES and file.is_file()):
        content.update(f"{path.relative_to(folder)} {sha256(path)}\n".encode())
    return content.hexdigest()


def _hub_commit(name: str) -> str | None:
    from huggingface_hub import hf_hub_download

    try:
        # .../snapshots/COMMIT/config.json
        return Path(hf_hub_download(name, "config.json")).parent.name
    except (OSError, ValueError):
        return None
