"""A lock on an open file that the system takes off when its process ends, however it ends."""

from __future__ import annotations

import os
import sys

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
