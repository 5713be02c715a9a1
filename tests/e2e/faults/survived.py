"""What a suite of faults came to: trials and losses, a row a kind, for the summary and for docs/proofs.md."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.report import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Done

UNTOLD = re.compile(r"Traceback|Errno|object at 0x")


@dataclass(frozen=True)
class FaultCount:
    """One kind of fault: how often it was met, what was lost by it, and what else was counted."""

    kind: str
    trials: int
    losses: int
    figures: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as a line for the summary."""
        more = "".join(f", {value:g} {what}" for what, value in self.figures.items())
        return f"faults: {self.kind}: {self.trials} trials, {self.losses} losses{more}"


@dataclass
class Trials:
    """What came of one kind of fault: how often a command failed of it, and what that cost."""

    kind: str
    failed: int = 0
    lost: list[str] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)

    def take(self, done: Done, before: str, after: str, what: str) -> None:
        """Judge a command that failed: what it said, and what it left behind."""
        self.failed += 1
        error = next((line for line in done.err.splitlines() if line.startswith("error: ")), "")
        self.said[error] = self.said.get(error, 0) + 1
        if done.code != 1 or not error or "do: " not in done.err or UNTOLD.search(done.said):
            self.lost.append(f"{what}: not in a person's words: {done}")
        if after != before:
            self.lost.append(f"{what}: it left\n{after}\nand there was\n{before}\nafter {done}")

    def row(self) -> FaultCount:
        """Return the row of the table."""
        return FaultCount(self.kind, self.failed, len(self.lost))


def keep(run: Run, part: str, rows: Iterable[FaultCount]) -> None:
    """Put rows into the run's summary, and into e2e-report/faults-PART.json beside those of other kinds."""
    kept = {row.kind: asdict(row) for row in rows}
    run.notes.extend(str(FaultCount(**row)) for row in kept.values())
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"faults-{part}.json"
    before = {row["kind"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    path.write_text(json.dumps([*{**before, **kept}.values()], indent=2) + "\n")
