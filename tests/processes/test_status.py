"""The status line: its words by a clock of ours, in a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from recbole_store.processes.status import Status, above, duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return Clock()


def steps(status: Status, clock: Clock, kind: str, n: int, seconds: float, place: str = "") -> None:
    for _ in range(n):
        clock.now += seconds
        status.step(kind, place)


def test_durations_are_rounded_to_what_is_known():
    assert [duration(s) for s in (40, 600, 9000)] == ["40 s", "10 min", "2.5 h"]


def test_what_is_left_goes_by_the_pace_of_each_kind_of_work(clock):
    status = Status(stream=io.StringIO(), clock=clock)
    status.begin("stage 2 of 2", {"training": 80, "evaluation": 8})
    assert status.line() == "stage 2 of 2 · 0%"
    steps(status, clock, "training", 10, 3, "epoch 1/8")
    assert status.line() == "stage 2 of 2 · epoch 1/8 · 12% · about 4 min left"  # 70 x 3 s
    steps(status, clock, "evaluation", 1, 30, "epoch 1/8, evaluation")
    # 70 steps of 3 s, and 7 evaluations of 30 s
    assert status.line() == "stage 2 of 2 · epoch 1/8, evaluation · 12% · about 7 min left"


def test_a_stage_that_goes_on_has_what_was_done_and_its_own_pace(clock):
    status = Status(stream=io.StringIO(), clock=clock)
    status.begin("stage 1 of 2", {"training": 100}, {"training": 50})
    steps(status, clock, "training", 10, 1)
    assert status.line() == "stage 1 of 2 · 60% · about 40 s left"


def test_a_bound_of_the_hours_and_an_early_end_are_told(clock):
    status = Status(stream=io.StringIO(), clock=clock)
    status.begin("training", {"training": 1000}, most_s=100, ends_early=True)
    steps(status, clock, "training", 10, 1)
    assert status.line() == "training · 1% · at most 90 s left".replace("90 s", "2 min")
    steps(status, clock, "training", 20, 1)
    assert status.line() == "training · 3% · at most 70 s left"


def test_elsewhere_it_is_a_plain_line_every_half_a_minute(clock):
    file = io.StringIO()
    status = Status(stream=file, clock=clock)
    status.begin("stage 1 of 2", {"training": 100})
    steps(status, clock, "training", 75, 1, "epoch 1/1")
    status.close()
    assert file.getvalue().splitlines() == [
        "stage 1 of 2 · epoch 1/1 · 30% · about 70 s left",
        "stage 1 of 2 · epoch 1/1 · 60% · about 40 s left",
    ]
    assert "\x1b" not in file.getvalue() and "\r" not in file.getvalue()


def test_in_a_terminal_it_is_one_line_that_is_gone_in_the_end(clock, capsys):
    terminal = Terminal()
    status = Status(stream=terminal, clock=clock)
    status.begin("stage 1 of 2", {"training": 100})
    steps(status, clock, "training", 50, 1)
    shown = terminal.getvalue()
    assert "stage 1 of 2 · 50% · about 50 s left" in shown
    assert "\n" not in shown and "it/s" not in shown and "|" not in shown
    status.close()
    assert terminal.getvalue().endswith("\r") and "\n" not in terminal.getvalue()


def test_lines_go_above_it():
    file = io.StringIO()
    above("epoch 0", file)
    assert file.getvalue() == "epoch 0\n"


def test_silence(clock):
    terminal = Terminal()
    status = Status(shown=False, stream=terminal, clock=clock)
    status.begin("stage 1 of 2", {"training": 100})
    steps(status, clock, "training", 100, 60)
    status.close()
    assert terminal.getvalue() == ""
