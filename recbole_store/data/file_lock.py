"""A lock on an open file that the system takes off when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)  # by another process
_FAR = 2**30  # behind any content: what is locked on Windows can be read by nobody else


def hold(descriptor: int) -> None:
    """Keep other processes from holding the same file, or folder, until it is closed.

    Args:
        descriptor: of :func:`os.open` or ``file.fileno()``; on Windows of a file open for writing.

    Raises:
        OSError: another process holds it.
    """
    if sys.platform == "win32":
        import msvcrt

        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock file while the block runs; of several processes one does at a time.

    The file stays: if it were removed, another process could make a new one and hold that.

    Args:
        wait: until no other process holds it.

    Raises:
        BlockingIOError: another process holds it, and this one does not wait.
        OSError: the file cannot be written, or is a link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        while True:
            try:
                hold(descriptor)
                break
            except OSError as error:
                if error.errno not in _HELD:
                    raise
                if not wait:
                    raise BlockingIOError(error.errno, "another process holds it") from error
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)
