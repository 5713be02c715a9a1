"""What came of each measure, told and written as soon as it is known."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench import report
from trusted_registry import files

if TYPE_CHECKING:
    from pathlib import Path

    from bench.report import Row


@dataclass(frozen=True)
class Unmeasured:
    """A measure without rows, or without all of them.

    Args:
        measure: Its name.
        title: Its title.
        reason: Why.
        cure: A command that mends it; empty where there is none.
    """

    measure: str
    title: str
    reason: str
    cure: str = ""

    def __str__(self) -> str:
        """Say so in a line."""
        return f"{self.title}: {self.reason}" + (f"; do: {self.cure}" if self.cure else "")


@dataclass
class Record:
    """All that is known so far; the file has it too.

    Args:
        path: The file, as JSON.
        machine: What the figures depend on, by name.
    """

    path: Path
    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    left_out: list[Unmeasured] = field(default_factory=list)
    failed: list[Unmeasured] = field(default_factory=list)

    def measured(self, row: Row) -> None:
        """Take a row."""
        self.rows.append(row)
        say(report.line(row))
        self.write()

    def leave_out(self, unmeasured: Unmeasured) -> None:
        """Take a measure that could not be tried."""
        self.left_out.append(unmeasured)
        say(f"left out: {unmeasured}")
        self.write()

    def fail(self, unmeasured: Unmeasured) -> None:
        """Take a measure that was tried."""
        self.failed.append(unmeasured)
        say(f"FAILED: {unmeasured}")
        self.write()

    def write(self) -> None:
        """Write all of it in one step: a reader finds the old file or the new one."""
        missing = {
            "left_out": [asdict(one) for one in self.left_out],
            "failed": [asdict(one) for one in self.failed],
        }
        files.write(
            self.path.absolute(),
            (json.dumps(report.as_data(self.rows, self.machine) | missing, indent=2) + "\n").encode(),
        )

    def show(self) -> None:
        """Print the table, and under it what is not in it."""
        report.show(self.rows, self.machine)
        for one in self.left_out:
            sys.stdout.write(f"left out: {one}\n")
        for one in self.failed:
            sys.stdout.write(f"failed: {one}\n")
        sys.stdout.flush()


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
