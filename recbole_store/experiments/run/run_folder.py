"""A run's own folder: one process at a time, what was asked for, and room for what is to come.

::

    RUN/run.json         which run it is, and the hash of all that its figures depend on
    RUN/settings.json    its settings, a property file
    RUN/state/           how far it is; gone once it has finished
    RUN/tensorboard/     its losses and validation, for `tensorboard --logdir`
    RUN/result.json      what came of it, the last file to be written
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import recbole_store.processes.ranks as ranks
from recbole_store.data.file_lock import hold
from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments.results.result_file import ANY_TEXT, OBJECT, TEXT, complaint
from recbole_store.experiments.results.results_folder import replace_file

TENSORBOARD = "tensorboard"
IDENTITY, SETTINGS, RESULT = "run.json", "settings.json", "result.json"
STATES = "state"  # a folder a stage
_LOCK = ".lock"
_PARTS = (".best*", ".*.json.*", "*.part", "state/*/.*")  # what is written before it is moved
_KNOWN_BY = {"model": TEXT, "variant": ANY_TEXT, "dataset": TEXT, "models": [TEXT]}
_KNOWN_BY |= {"protocol_hash": TEXT, "hashed_settings": OBJECT}
_CHOICE = {"settings": OBJECT, "why": TEXT}
_PROFILE = {"name": TEXT, "said": ANY_TEXT, "settings": OBJECT, "choices": [_CHOICE]}
_MAY_HOLD = {"profile": _PROFILE, "results": TEXT}


@contextmanager
def opened(folder: Path, is_new: bool = False) -> Iterator[None]:
    """Make a run's folder, for this process alone; a refused run leaves none that it has made.

    Of a run's several processes the first one does, for all.

    Args:
        is_new: whether the folder was made for this run, if it is there.

    Raises:
        SettingsError: it cannot be made, or another process runs in it.
    """
    if not ranks.is_first():
        yield
        return
    made = [folder] if is_new or not folder.exists() else []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / _LOCK, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise SettingsError(
            f"Cannot make the run's folder {folder}: {error.strerror}; name another with --run_dir."
        ) from error
    with lock:
        try:
            hold(lock.fileno())
        except OSError as error:
            lock.seek(0)
            raise SettingsError(
                f"{folder} belongs to a run that goes on in process {lock.read() or '?'}: wait for "
                "it, or name another folder with --run_dir."
            ) from error
        for part in _PARTS:  # of a process that was killed
            for path in folder.glob(part):
                path.unlink()
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        except InputError:
            if any((folder / STATES).glob("*/*")):  # refused by what its training has come to
                raise
            for path in made:
                shutil.rmtree(path, ignore_errors=True)
                with suppress(OSError):  # other runs' folders are there
                    path.parent.rmdir()
            raise


def is_free(folder: Path) -> bool:
    """Whether no process runs in a run's folder at present."""
    try:
        with open(folder / _LOCK, "r+", encoding="utf-8") as lock:
            hold(lock.fileno())
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False


def write_identity(folder: Path, identity: dict, settings: dict) -> None:
    """Keep what was asked for, so that the run can go on from its folder alone.

    Args:
        identity: model, variant, dataset, models of the comparison, what
            :func:`recbole_store.experiments.run.fingerprint.identity` says, ``profile``, where the
            settings are by one, and ``results``, where it is kept in a results folder.
        settings: as resolved; the data's place is kept in full, whoever goes on from elsewhere.
    """
    data_path = str(Path(settings["data_path"]).resolve()) if "data_path" in settings else None
    whole = {**settings, **({"data_path": data_path} if data_path else {})}
    replace_file(folder / SETTINGS, _json(whole))
    known = {key: identity[key] for key in _KNOWN_BY}
    known |= {key: identity[key] for key in _MAY_HOLD if identity.get(key)}
    replace_file(folder / IDENTITY, _json(known))


def read_identity(folder: Path) -> dict:
    """What :func:`write_identity` kept.

    Raises:
        SettingsError: the folder holds no run.
    """
    path = folder / IDENTITY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(key in found for key in _KNOWN_BY):
            raise ValueError("it lacks what a run is known by")
        if said := complaint(found, _KNOWN_BY | {f"{key}?": of for key, of in _MAY_HOLD.items()}):
            raise ValueError(said)
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or error
        raise SettingsError(f"{folder} holds no run to go on with: {path}: {said}.") from error
    return found


def _json(content: dict) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def bytes_of_run(model) -> int:
    """What the folder of a torch model's run takes at most.

    Two states and the next one, as many best epochs, RecBole's checkpoint, and ranked lists.
    """
    everything = sum(part.nbytes for part in [*model.parameters(), *model.buffers()])
    frozen = sum(part.nbytes for part in model.parameters() if not part.requires_grad)
    trained = sum(part.nbytes for part in model.parameters() if part.requires_grad)
    optimizer = 2 * trained  # two numbers a weight, at most
    state = everything - frozen + optimizer
    return 3 * state + 3 * everything + everything + optimizer + 2**24


def can_go_on(folder: Path, identity: dict) -> bool:
    """Whether a run of this identity was cut off in the folder and has states to go on from.

    Raises:
        SettingsError: another run was cut off there, which would be lost.
    """
    if not is_unfinished(folder):
        return False
    earlier = read_identity(folder)
    if earlier["protocol_hash"] == identity["protocol_hash"]:
        return True
    raise SettingsError(
        f"{folder} holds a run that was cut off, of {difference(earlier, identity)}: name another "
        "folder with --run_dir, or begin anew there with --again."
    )


def difference(earlier: dict, identity: dict) -> str:
    """What tells two runs from each other.

    Example: ``other settings (epochs 5, now 3)``
    """
    theirs, ours = earlier["hashed_settings"], identity["hashed_settings"]
    differ = sorted(k for k in theirs.keys() | ours.keys() if theirs.get(k) != ours.get(k))
    if differ:
        key = differ[0]
        return f"other settings ({key} {theirs.get(key)}, now {ours.get(key)})"
    return "other data, or of other versions"


# Of the system's errors those that are the disk's affair, and not a fault of ours.
_DISK = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
_DISK |= {getattr(errno, "EDQUOT", errno.ENOSPC)}  # a quota, where there are any


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Tell of a full, closed or broken disk in one sentence.

    Raises:
        RunError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        place = error.filename or folder
        raise RunError(
            f"Cannot go on with {place}: {error.strerror}. Mend that, and go on with "
            f"--resume={folder}."
        ) from error


def is_unfinished(folder: Path) -> bool:
    """Whether a run has states in its folder, and no result yet."""
    return not (folder / RESULT).exists() and any((folder / STATES).glob("*/*"))
