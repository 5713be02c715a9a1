"""Runs the measures one after the other: what is missing or fails is told, and the others go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench import processes, stand
from bench.deadline import DeadlineError, Pace, deadline
from bench.record import Unmeasured, say
from bench.timing import BenchError
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.catalogue import Measure, Setup
    from bench.record import Record

WHOLE = 540
"""Seconds that all measures may take; ten minutes with the start and the end of it."""
_LEAST = 10
"""Seconds without which no measure is begun."""
_IMAGE = 120
"""Seconds for getting the registry's image, by a network or from a package."""

FAILURES = (BenchError, RegistryError, OSError, AssertionError, ValueError)
"""What a measure ends with when a program or this machine fails it; the tests' sshd asserts."""


@dataclass(frozen=True)
class Runner:
    """One run of some measures.

    Args:
        setup: What they work with.
        record: What takes their rows.
        runs: Runs of each side.
        folder: The run's own, by which its processes are known.
        end: When the whole of it must end, by `time.monotonic`.
    """

    setup: Setup
    record: Record
    runs: int
    folder: str
    end: float

    def all(self, measures: Sequence[Measure]) -> None:
        """Measure each, or tell why not."""
        for measure in measures:
            missing = next((found for need in measure.needs if (found := need())), None)
            if missing:
                self.record.leave_out(_unmeasured(measure, missing.reason, missing.cure))
            elif self._left() < _LEAST:
                self._out_of_time(measure)
            elif not measure.image or self._has_image(measure):
                say(f"timing {measure.title} …")
                self._bounded(measure, measure.limit, partial(self._rows, measure))

    def _left(self) -> float:
        return self.end - time.monotonic()

    def _out_of_time(self, measure: Measure) -> None:
        # A measure that asks for little is what is to be tried next.
        self.record.leave_out(
            _unmeasured(measure, "the time for the whole bench is up", f"nox -s bench -- --only {measure.name}")
        )

    def _rows(self, measure: Measure) -> None:
        limit = min(measure.limit, self._left())
        pace = Pace(self.runs, time.monotonic() + limit * 2 / 3)
        for row in measure.rows(self.setup, pace):
            self.record.measured(row)

    def _bounded(self, measure: Measure, limit: float, body: Callable[[], None]) -> bool:
        """Run a body within its limit and what is left of the whole; return whether it came to its end."""
        left = self._left()
        try:
            with deadline(min(limit, left)):
                body()
        except DeadlineError as late:
            if left < limit:
                self._out_of_time(measure)
            else:
                self.record.fail(_unmeasured(measure, str(late)))
        except FAILURES as error:
            self.record.fail(_unmeasured(measure, _reason(error), getattr(error, "cure", "")))
        else:
            return True
        processes.kill(self.folder)
        return False

    def _has_image(self, measure: Measure) -> bool:
        """Get the registry's image by one `up` from wherever it can be had, once."""
        if self.setup.no_image:
            self.record.fail(_unmeasured(measure, self.setup.no_image))
        elif not self.setup.image:
            say("getting the registry's image …")
            self.setup.no_image = "the registry's image could not be had"
            if self._bounded(measure, _IMAGE, self._get_image):
                self.setup.no_image = ""
        return bool(self.setup.image)

    def _get_image(self) -> None:
        here = self.setup.small
        here.clear()
        here.inv("up")
        image = stand.output(["docker", "inspect", "--format", "{{.Config.Image}}", here.name])
        here.clear()
        self.record.machine["registry"] = image
        self.setup.image = stand.with_script(image, here.name, here.folder)


def _unmeasured(measure: Measure, reason: str, cure: str = "") -> Unmeasured:
    return Unmeasured(measure.name, measure.title, reason, cure)


def _reason(error: Exception) -> str:
    """Return an error's text, which may be a program's, as one line without control characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(text.split()) or type(error).__name__
