"""How far a run is, in one line: which stage, which epoch, what share of it, how long it will take.

In a terminal the line stands at the bottom and changes in place. Elsewhere, as in a file or under a
scheduler, it is a plain line every half a minute. It goes to stderr and has no colours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

EVERY_S = {True: 0.2, False: 30.0}  # between two lines, in a terminal and elsewhere


def duration(seconds: float) -> str:
    """Example: 40 -> ``40 s``, 600 -> ``10 min``, 9000 -> ``2.5 h``"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Status:
    """The line of one process.

    Use: ``status.begin("stage 1 of 2", {"training": 800})``, and ``status.step("training")`` after
    each step. Work of several kinds, such as training and evaluation, has its own pace each.

    Args:
        shown: False says nothing at all.
        stream: stderr, as it is when a line is written.
        clock: seconds.
    """

    def __init__(
        self,
        shown: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.shown, self._stream, self._clock = shown, stream, clock
        self._bar: tqdm | None = None
        self._last = clock()
        self._stage, self._place = "", ""
        self._of: dict[str, int] = {}  # kind of work -> its steps in the stage
        self._done: dict[str, int] = {}
        self._own: dict[str, tuple[int, float]] = {}  # steps of this process, and their seconds
        self._at, self._until, self._ends_early = clock(), None, False

    def begin(
        self,
        stage: str,
        steps: dict[str, int],
        done: dict[str, int] | None = None,
        most_s: float | None = None,
        ends_early: bool = False,
    ) -> None:
        """A stage begins, or goes on.

        Args:
            steps: kind of work -> number of its steps; the stage's share is that of the first.
            done: steps of an earlier process.
            most_s: seconds after which the stage ends whatever is left of it.
            ends_early: whether it may well end before, so that what is left is an upper bound.
        """
        self._stage, self._place, self._of = stage, "", steps
        self._done, self._own = {**dict.fromkeys(steps, 0), **(done or {})}, {}
        self._at = self._clock()
        self._until = None if most_s is None else self._at + most_s
        self._ends_early = ends_early
        self._show()

    def step(self, kind: str, place: str = "", n: int = 1) -> None:
        """So many steps were done; seconds since the last ones count for this kind of work.

        Args:
            place: within the stage, such as ``epoch 3/8``.
        """
        if not self.shown:
            return
        now = self._clock()
        steps, seconds = self._own.get(kind, (0, 0.0))
        self._own[kind] = (steps + n, seconds + now - self._at)
        self._done[kind] = self._done.get(kind, 0) + n
        self._at, self._place = now, place
        self._show()

    def line(self) -> str:
        """Example: ``stage 2 of 2 · epoch 3/8 · 41% · about 6 min left``"""
        parts = [self._stage, self._place]
        first = next(iter(self._of), None)
        if first is not None and self._of[first] > 0:
            parts.append(f"{min(self._done[first] / self._of[first], 1):.0%}")
        left = self._left()
        if left is not None:
            parts.append(f"{'at most' if self._ends_early else 'about'} {duration(left)} left")
        return " · ".join(filter(None, parts))

    def _left(self) -> float | None:
        """Seconds that the stage will take, by the pace of each kind of work so far."""
        paces = {kind: seconds / steps for kind, (steps, seconds) in self._own.items()}
        if next(iter(self._of), None) not in paces:
            return None
        left = sum(max(self._of[k] - self._done[k], 0) * paces.get(k, 0.0) for k in self._of)
        if self._until is not None:
            left = min(left, max(self._until - self._clock(), 0.0))
        return left

    def close(self) -> None:
        """Take the line away; what comes next shows it again."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self) -> None:
        if not self.shown:
            return
        stream, now = self._stream or sys.stderr, self._clock()
        is_terminal = stream.isatty()
        if now - self._last < EVERY_S[is_terminal]:
            return
        self._last = now
        if not is_terminal:
            print(self.line(), file=stream, flush=True)
            return
        if self._bar is None:
            # A line of tqdm's: whatever is logged meanwhile goes above it, see `above`.
            self._bar = tqdm(
                bar_format="{desc}", file=stream, leave=False, dynamic_ncols=True, mininterval=0
            )
        self._bar.set_description_str(self.line())


SILENT = Status(shown=False)


def above(text: str, stream: TextIO) -> None:
    """Write a line without breaking into the status line, if there is one."""
    tqdm.write(text, file=stream)
