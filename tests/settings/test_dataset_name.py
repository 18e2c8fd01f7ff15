"""A data set's name stays in its folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import run_recbole_store
from recbole_store.errors import SettingsError
from recbole_store.settings.dataset_name import check_dataset_name
from recbole_store.settings.resolve import resolve

OUTSIDE = ["../out/x", "/etc/x", "..", ".", "", "a/b", "a\\b", "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out(name, tmp_path):
    with pytest.raises(SettingsError, match="cannot be the name of a data set") as error:
        resolve("Pop", name, [], {"data_path": str(tmp_path)})
    assert "\n" not in str(error.value)


def test_the_command_line_refuses_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x.inter").write_text("user_id:token\titem_id:token\nu\ti\n")
    assert run_recbole_store.main(["--model=Pop", "--dataset=../x", f"--data_path={tmp_path}"]) == 2
    assert "--dataset=../x: `../x` is a path, no name" in capsys.readouterr().err


@given(st.text())
def test_no_name_leaves_its_folder(name):
    try:
        check_dataset_name(name)
    except SettingsError as error:
        assert "\n" not in str(error)
    else:
        assert "/" not in name and name not in ("", ".", "..")
