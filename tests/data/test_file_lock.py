"""One process at a time, on any system."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from planted_data import ROOT

from recbole_store.data import file_lock


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be opened")
def test_a_folder_is_held_by_one_process_until_it_ends(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from recbole_store.data.file_lock import hold
hold(os.open({str(tmp_path)!r}, os.O_RDONLY))
print("held", flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "RECBOLE_STORE_REGISTER": "0"}
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout.readline() == b"held\n"
        descriptor = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(OSError):
            file_lock.hold(descriptor)
        process.kill()
        process.wait()
        file_lock.hold(descriptor)
        os.close(descriptor)


def test_on_windows_what_is_in_the_file_can_be_read_meanwhile(tmp_path, monkeypatch):
    """A locked byte can be read by nobody else there, so it is one that is never written."""
    locked = []

    def locking(descriptor, mode, n_bytes):
        locked.append((mode, os.lseek(descriptor, 0, os.SEEK_CUR), n_bytes))
        if len(locked) > 1:
            raise PermissionError

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    monkeypatch.setattr(file_lock, "sys", SimpleNamespace(platform="win32"))
    with (tmp_path / "lock").open("w+") as file:
        file.write("1234")
        file.flush()
        file_lock.hold(file.fileno())
        ((mode, place, n_bytes),) = locked
        assert (mode, n_bytes) == (2, 1) and place > 1e9
        with pytest.raises(OSError):
            file_lock.hold(file.fileno())
        assert file.tell() == os.lseek(file.fileno(), 0, os.SEEK_CUR) == 4


def test_who_waits_comes_next_and_who_does_not_is_told(tmp_path):
    path, order = tmp_path / "lock", []

    def second():
        with file_lock.locked(path):
            order.append("second")

    with file_lock.locked(path):
        with pytest.raises(BlockingIOError), file_lock.locked(path, wait=False):
            order.append("never")
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / "mine").write_text("keep")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError), file_lock.locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "mine").read_text() == "keep"
