"""The shell's completion: what it offers, asked of a real bash."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from recbole_store import cli

pytest.importorskip("shtab")


@pytest.fixture(scope="module")
def script() -> str:
    import shtab

    from recbole_store.cli.completion import whole_parser

    return shtab.complete(whole_parser(), "bash")


def offered(script: str, words: list[str]) -> set[str]:
    """What bash completes the last word to."""
    asked = " ".join(f'"{word}"' for word in words)
    code = (
        f"{script}\nCOMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}\n"
        "_shtab_recbole_store; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(["bash"], input=code, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["recbole-store", ""], {"train", "compare", "recommend", "settings"}),
        (["recbole-store", "t"], {"train", "tune"}),
        (["recbole-store", "train", "--num_b"], {"--num_beams"}),
        (["recbole-store", "train", "--model", "STORE:t"], {"STORE:text"}),
        (["recbole-store", "train", "--tokenizer", "t"], {"tower"}),
        (["recbole-store", "results", "--re"], {"--readme", "--replace"}),
        (["recbole-store", "prepare", "table", "--bad_rows", "s"], {"skip", "stop"}),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_bash_offers(script, words, some):
    found = offered(script, words)
    assert some <= found
    assert all(word.startswith(words[-1]) for word in found)


def test_every_shell_gets_a_script(capsys):
    for shell in ("bash", "zsh", "tcsh"):
        assert cli.main(["completion", shell]) == 0
        shown = capsys.readouterr().out
        assert "recbole-store" in shown and "add-items" in shown


def test_without_the_library_it_says_what_is_missing(monkeypatch, capsys):
    from recbole_store.cli import completion

    monkeypatch.setattr(completion.importlib.util, "find_spec", lambda _: None)
    assert cli.main(["completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
