"""The package as others install it: a wheel in a clean environment, used from another folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from planted_data import ROOT

pytestmark = pytest.mark.slow  # it installs everything

LEFT_OUT = (".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")


def call(*command, cwd: Path) -> str:
    """What a command says; none of this checkout is in its reach."""
    kept_out = ("PYTHONPATH", "RECBOLE_STORE_REGISTER")
    environment = {key: value for key, value in os.environ.items() if key not in kept_out}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    data_sets = {path for path in (ROOT / "dataset").iterdir() if path.is_dir()}
    large = {*data_sets, ROOT / "results", ROOT / "saved"}

    def ignored(place, names):
        ours = shutil.ignore_patterns(*LEFT_OUT)(place, names)
        return ours | {name for name in names if Path(place, name) in large}

    shutil.copytree(ROOT, source, ignore=ignored)
    make = "from setuptools.build_meta import *; build_sdist('..')"
    call(sys.executable, "-c", make, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    flags = ("--no-deps", "--no-build-isolation", "-w", folder)
    call(sys.executable, "-m", "pip", "wheel", *flags, unpacked, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """Folder of the commands of a clean environment, set up as README says."""
    folder = tmp_path_factory.mktemp("clean")
    call(sys.executable, "-m", "venv", folder, cwd=folder)
    commands = folder / ("Scripts" if sys.platform == "win32" else "bin")
    (wheel,) = built.glob("*.whl")
    pip = (commands / "python", "-m", "pip", "install", "--quiet")
    call(*pip, "--no-deps", "recbole==1.2.1", cwd=folder)
    call(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[tune]", cwd=folder)
    return commands


@pytest.fixture
def elsewhere(tmp_path, tiny_settings) -> Path:
    """A folder outside of the checkout: settings, a variant, a profile and a list of trials."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**tiny_settings, "epochs": 1}))
    (tmp_path / "STORE-more.yaml").write_text("learning_rate: 0.002\n")
    (tmp_path / "profile.yaml").write_text("MAX_ITEM_LIST_LENGTH: 6\n")
    (tmp_path / "list.yaml").write_text("- {num_beams: 11}\n")
    return tmp_path


def test_the_wheel_holds_all_that_is_read(built, installed):
    code = "import recbole_store; print(recbole_store.__file__, recbole_store.__version__)"
    where, version = call(installed / "python", "-c", code, cwd=built).split()
    package = Path(where).parent
    assert ROOT not in package.parents and package.parent.name == "site-packages"
    assert f"recbole_store-{version}-py3-none-any.whl" in os.listdir(built)
    for ours, theirs in ((ROOT / "properties", "properties"), (ROOT / "dataset", "dataset_pages")):
        pattern = "**/*.yaml" if theirs == "properties" else "*.md"
        names = {path.relative_to(ours) for path in ours.glob(pattern)}
        shipped = {path.relative_to(package / theirs) for path in (package / theirs).glob(pattern)}
        assert names == shipped and names
    pages = call(installed / "recbole-store", "prepare", "--help", cwd=built)
    assert str(package / "dataset_pages") in "".join(pages.split())


def test_it_runs_from_another_folder(installed, elsewhere):
    command = installed / "recbole-store"
    code = "import recbole; print(recbole.__file__)"
    site = Path(call(installed / "python", "-c", code, cwd=elsewhere))
    package = site.parents[1] / "recbole_store"
    before = set(package.rglob("*.[!p]*"))
    words = ("--dataset=planted", "--config_files=tiny.yaml")
    call(
        command,
        *words,
        "--model=STORE,STORE:STORE-more.yaml,STORE:codes_alone,Pop",
        "--profile=profile.yaml",
        cwd=elsewhere,
    )
    files = elsewhere.glob("results/planted/*.json")
    kept = {path.stem: json.loads(path.read_text()) for path in files}
    labels = ("STORE", "STORE-more", "STORE-codes_alone", "Pop")
    assert kept.keys() == {f"{label}-seed2020" for label in labels}
    assert kept["STORE-more-seed2020"]["settings"]["learning_rate"] == 0.002
    assert kept["STORE-seed2020"]["git_commit"] is None
    call(command, "tune", "--model=STORE", *words, "--list=list.yaml", cwd=elsewhere)
    assert (elsewhere / "results" / "trials" / "planted" / "STORE.json").is_file()
    assert "STORE:more" in call(command, "results", cwd=elsewhere)
    call(command, "report", cwd=elsewhere)
    assert "<svg" in (elsewhere / "results" / "report.html").read_text(encoding="utf-8")
    assert set(package.rglob("*.[!p]*")) == before, "nothing is written beside the code"
