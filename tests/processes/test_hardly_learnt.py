"""Too few steps, or a loss of guessing, are told of; all else is not."""

from __future__ import annotations

import pytest

from recbole_store.processes.hardly_learnt import say_if_hardly_learnt


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((100, 100), "ended after 100 steps"),
        ((100, 100, 1.0, 2.0), "ended after 100 steps"),
        ((101, 100, 2.0, 2.0), "no better than guessing (2.0000)"),
        ((101, 100, 1.9, 2.0), None),
        ((101, 100, 2.5, None), None),
        ((101, 0), None),
        ((0, 100), None),
    ],
)
def test_what_is_told(numbers, said, caplog):
    say_if_hardly_learnt("Stage 1", *numbers)
    if said is None:
        assert not caplog.records
    else:
        (record,) = caplog.records
        assert record.levelname == "WARNING" and said in record.getMessage()
        assert record.getMessage().startswith("Stage 1 has ")
