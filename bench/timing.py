"""Runs commands in turn and keeps what each run took."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.deadline import Pace

_STOPWATCH = Path(__file__).with_name("stopwatch.py")
_GRACE = 10
"""Seconds that a command which is interrupted has to clean up."""


class BenchError(Exception):
    """A command that is to be timed failed: a figure of it would mean nothing."""


@dataclass(frozen=True)
class Taken:
    """What one run took: seconds, and bytes of memory at the peak of its largest process."""

    seconds: float
    peak: int


@dataclass(frozen=True)
class Spread:
    """The figures of several runs of one side, in any one unit."""

    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that half of the runs stayed below."""
        return statistics.median(self.figures)

    @property
    def low(self) -> float:
        """The least."""
        return min(self.figures)

    @property
    def high(self) -> float:
        """The most."""
        return max(self.figures)


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Side:
    """One of the things that are compared: a command, and what puts the world in order before each of its runs."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    before: Callable[[], None] = field(default=_nothing)
    statuses: tuple[int, ...] = (0,)
    """Exit statuses that count as success."""

    def run(self) -> Taken:
        """Put the world in order, untimed, and time the command.

        Raises:
            BenchError: It failed; its last lines are told.
        """
        self.before()
        return timed(self.argv, env=self.env, cwd=self.cwd, statuses=self.statuses)


def timed(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, statuses: tuple[int, ...] = (0,)) -> Taken:
    """Run a command and return what it took.

    Raises:
        BenchError: It ended with another status.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-log-") as log:
        watch = [sys.executable, "-I", "-S", str(_STOPWATCH), log.name, *argv]
        # A session of its own, so that Ctrl-C meets this program first, which then ends the whole group and waits.
        with subprocess.Popen(
            watch, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                said, _ = process.communicate()
            except BaseException:
                _end(process)
                raise
        found = json.loads(said) if process.returncode == 0 else {"code": process.returncode}
        if found["code"] not in statuses:
            last = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-5:])
            raise BenchError(f"{' '.join(argv)[:200]} ended with status {found['code']}:\n{last}")
    return Taken(found["seconds"], found["peak"])


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and what it started: kindly first, since it has something to clean up."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            return


def in_turn(sides: Mapping[str, Side], *, pace: Pace, warm: bool = True) -> dict[str, list[Taken]]:
    """Run all sides one after the other, then all again: what slows the machine down meanwhile slows them alike.

    Each time in another order: none is always the one after the same other one, whose end it may still be feeling.

    Args:
        sides: By name.
        pace: How often each is timed.
        warm: Whether each runs once more before, untimed, so that every file is in the page cache and every module
            is compiled.
    """
    if warm:
        for side in sides.values():
            side.run()
    taken: dict[str, list[Taken]] = {name: [] for name in sides}
    took: list[float] = []
    while not pace.enough(took):
        begun = time.monotonic()
        for name in random.sample(list(sides), len(sides)):
            taken[name].append(sides[name].run())
        took.append(time.monotonic() - begun)
    return taken


def seconds(taken: Sequence[Taken]) -> Spread:
    """Return the seconds of several runs."""
    return Spread(tuple(one.seconds for one in taken))


def megabytes(taken: Sequence[Taken]) -> Spread:
    """Return the peak memory of several runs, in MB."""
    return Spread(tuple(one.peak / 1e6 for one in taken))
