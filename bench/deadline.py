"""Bounds in time: a deadline that interrupts a measure, and a pace that makes fewer runs of a slow one."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from bench.timing import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FEWEST_WHERE_SLOW = 3
"""Runs of each side that even a slow measure gets: the least that has a median and a spread."""


class DeadlineError(BenchError):
    """A measure did not end in time."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the body after some seconds; of the main thread only, as signals are.

    Raises:
        DeadlineError: The body did not end in time.
    """

    def late(*_: object) -> NoReturn:
        raise DeadlineError(f"did not end within {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Pace:
    """The number of runs of each side: as many as asked for, fewer where they would take too long.

    Args:
        runs: As many as asked for.
        until: When no further run should begin that would end later, by `time.monotonic`.
    """

    runs: int
    until: float = math.inf

    def times(self, factor: int) -> Pace:
        """Return a pace of more runs in the same time."""
        return Pace(self.runs * factor, self.until)

    def share(self, part: float) -> Pace:
        """Return a pace of as many runs in a part of the time that is left: 0 to 1."""
        now = time.monotonic()
        return Pace(self.runs, now + (self.until - now) * part)

    def enough(self, took: Sequence[float]) -> bool:
        """Return whether rounds that took so many seconds each are enough."""
        if len(took) >= self.runs:
            return True
        return len(took) >= FEWEST_WHERE_SLOW and time.monotonic() + max(took) > self.until
