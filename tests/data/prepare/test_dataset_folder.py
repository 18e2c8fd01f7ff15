"""A data set appears whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from planted_data import ROOT

from recbole_store.data.prepare import dataset_folder
from recbole_store.data.prepare.dataset_folder import appearing_folder
from recbole_store.errors import DataError, SettingsError


def write(target: Path, text: str, force: bool = False) -> None:
    with appearing_folder(target, force) as folder:
        (folder / "toy.inter").write_text(text)
        (folder / "toy.card.json").write_text(json.dumps({"files": {"toy.inter": {}}}))


@pytest.fixture(params=[True, False], ids=["here", "Windows"])
def system(request, monkeypatch):
    """Whether folders can be opened, to write them out."""
    monkeypatch.setattr(dataset_folder, "CAN_OPEN_FOLDERS", request.param)


@pytest.mark.usefixtures("system")
def test_it_appears_at_the_end(tmp_path):
    target = tmp_path / "dataset" / "toy"
    with appearing_folder(target) as folder:
        (folder / "toy.inter").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["toy"]
    assert (target / "toy.inter").read_text() == "x"


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("error", [DataError("bad"), KeyboardInterrupt(), OSError("disk full")])
def test_nothing_is_left_after_an_error(tmp_path, error):
    with pytest.raises(type(error)), appearing_folder(tmp_path / "toy") as folder:
        (folder / "half").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("system")
def test_force_replaces_only_what_was_prepared(tmp_path):
    target = tmp_path / "toy"
    write(target, "old")
    with pytest.raises(DataError, match="toy exists already; --force"):
        write(target, "new")
    assert (target / "toy.inter").read_text() == "old"
    write(target, "new", force=True)
    assert (target / "toy.inter").read_text() == "new"
    (target / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds notes\.txt"):
        write(target, "newer", force=True)
    assert (target / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_force_does_not_remove_anything_else(tmp_path):
    """Such as the folder of all data sets."""
    write(tmp_path / "dataset" / "toy", "old")
    with pytest.raises(DataError, match="not prepared here"):
        write(tmp_path / "dataset", "new", force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        write(tmp_path / "file", "new", force=True)


def test_an_error_while_replacing_keeps_the_old(tmp_path):
    write(tmp_path / "toy", "old")
    with pytest.raises(ValueError), appearing_folder(tmp_path / "toy", force=True):
        raise ValueError
    assert (tmp_path / "toy" / "toy.inter").read_text() == "old"


def test_a_replacement_that_died_halfway_is_undone(tmp_path):
    write(tmp_path / "toy", "old")
    left = tmp_path / ".toy.partial-x1"
    left.mkdir()
    (tmp_path / "toy").rename(left / "replaced")
    with pytest.raises(DataError, match="exists already"):
        write(tmp_path / "toy", "new")
    assert (tmp_path / "toy" / "toy.inter").read_text() == "old"


@pytest.mark.usefixtures("system")
def test_two_at_once(tmp_path):
    with appearing_folder(tmp_path / "toy") as folder:
        (folder / "toy.inter").write_text("first")
        with pytest.raises(DataError, match="Another process is preparing"):
            write(tmp_path / "toy", "second")
    assert (tmp_path / "toy" / "toy.inter").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_another_that_was_faster_is_not_overwritten(tmp_path):
    with pytest.raises(DataError, match="exists already"), appearing_folder(tmp_path / "toy") as f:
        (f / "toy.inter").write_text("slow")
        (tmp_path / "toy").mkdir()
        (tmp_path / "toy" / "toy.inter").write_text("fast")
    assert (tmp_path / "toy" / "toy.inter").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("name", [".toy.partial", ".toy.partial-x1", ".toy.replaced"])
def test_no_link_is_followed(tmp_path, name):
    """Whoever may write into the folder of all data sets could have foreign files deleted."""
    mine = tmp_path / "mine"
    (mine / "replaced").mkdir(parents=True)
    (mine / "replaced" / "notes.txt").write_text("keep")
    parent = tmp_path / "dataset"
    parent.mkdir()
    (parent / name).symlink_to(mine)
    for force in (False, True):
        write(parent / "toy", "x", force)
    assert (mine / "replaced" / "notes.txt").read_text() == "keep"
    assert sorted(path.name for path in mine.iterdir()) == ["replaced"]
    assert (parent / "toy" / "toy.inter").read_text() == "x" and not (parent / "toy").is_symlink()


def test_a_link_as_lock_is_not_followed(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    left = tmp_path / ".toy.partial-x1"
    left.mkdir()
    (left / "lock").symlink_to(tmp_path / "mine.txt")
    write(tmp_path / "toy", "x")
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_link_as_target_is_refused(tmp_path):
    write(tmp_path / "toy", "x")
    (tmp_path / "link").symlink_to(tmp_path / "toy")
    with pytest.raises(DataError, match="link is a link"):
        write(tmp_path / "link", "y", force=True)


def test_others_may_read_it(tmp_path):
    """The folder in the making is the user's own; the data set is as any folder."""
    (tmp_path / "plain").mkdir()
    write(tmp_path / "toy", "x")
    assert (tmp_path / "toy").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["a,b", ".hidden", "-x", "tab\there", "x" * 101, "line\nline"])
def test_names_that_no_run_could_take(tmp_path, name):
    with pytest.raises(SettingsError, match="cannot be the name of a data set"):
        write(tmp_path / name, "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my shop [2024]*", "Mein Gesch\u00e4ft", "a.b-c_d"])
def test_names_that_are_odd_and_work(tmp_path, name):
    write(tmp_path / name, "x")
    (tmp_path / f".{name}.partial-x").mkdir()
    with pytest.raises(DataError, match="exists already"):
        write(tmp_path / name, "y")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed(tmp_path, number):
    """While it reads: half a million rows take long enough."""
    (tmp_path / "raw.csv").write_text("u,i,t\n" + "a,x,1\n" * 500_000)
    words = ["table", "--raw", "raw.csv", "--out", "dataset/toy", "--user=u", "--item=i"]
    script = [sys.executable, str(ROOT / "run_recbole_store.py"), "prepare", *words, "--time=t"]
    process = subprocess.Popen(
        script,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A test suite in the background has Ctrl-C ignored, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list((tmp_path / "dataset").glob(".toy.partial-*/files/working")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert not (tmp_path / "dataset" / "toy").exists()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert stderr == "interrupted: dataset/toy was not written.\n"
        assert not (tmp_path / "dataset").exists()
    write(tmp_path / "dataset" / "toy", "next")
    assert [path.name for path in (tmp_path / "dataset").iterdir()] == ["toy"]
    assert (tmp_path / "dataset" / "toy" / "toy.inter").read_text() == "next"
