"""What a suite of faults came to: trials and losses, a row a kind, for the summary and for the README's table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.report import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.conftest import Run


@dataclass(frozen=True)
class Row:
    """One kind of fault: how often it was met, what was lost by it, and what else was counted."""

    kind: str
    trials: int
    losses: int
    figures: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as a line for the summary."""
        more = "".join(f", {value:g} {what}" for what, value in self.figures.items())
        return f"faults: {self.kind}: {self.trials} trials, {self.losses} losses{more}"


def keep(run: Run, part: str, rows: Iterable[Row]) -> None:
    """Put rows into the run's summary, and into e2e-report/faults-PART.json beside those of other kinds."""
    kept = {row.kind: asdict(row) for row in rows}
    run.notes.extend(str(Row(**row)) for row in kept.values())
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"faults-{part}.json"
    before = {row["kind"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    path.write_text(json.dumps([*{**before, **kept}.values()], indent=2) + "\n")
