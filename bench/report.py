"""What was measured, as a table, a sentence and data; what misses its target says so in each."""

from __future__ import annotations

import enum
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.timing import Spread


_WIDE = 240
"""Columns of a table that goes to a file: no cell is broken."""


class Compared(enum.Enum):
    """How two medians become the figure that the target is about."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    ALONE = "alone"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        what: This project's side.
        against: The other side; empty where there is none.
        unit: Of both spreads.
        ours: This project's figures.
        theirs: The other side's.
        compared: What the target is about.
        target: Its bound; None for a row that is for information.
        at_least: Whether the bound is the least that will do rather than the most.
    """

    what: str
    against: str
    unit: str
    ours: Spread
    theirs: Spread | None
    compared: Compared
    target: float | None = None
    at_least: bool = False

    @property
    def figure(self) -> float:
        """What the target is about: from medians."""
        if self.theirs is None:
            return self.ours.median
        if self.compared is Compared.RATIO:
            return self.ours.median / self.theirs.median
        return self.ours.median - self.theirs.median

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return {None: "for information", True: "met", False: "MISSED"}[self.met]

    def measured(self, figure: float) -> str:
        """Return a figure of the kind that the target is about, with its unit."""
        if self.compared is Compared.RATIO:
            return f"{figure:.2f} times"
        if self.compared is Compared.DIFFERENCE:
            return f"{figure:+.2f} {self.unit}"
        return f"{figure:.{_places(self.unit)}f} {self.unit}"


def show(rows: Sequence[Row], machine: Mapping[str, str], console: Console | None = None) -> None:
    """Print the table, and under it the machine it was measured on."""
    console = console or _console()
    # Markdown where nobody watches: for docs/bench.md, or a log.
    shape = box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN
    table = Table(title="Medians (least to most), both sides in turn", title_justify="left", box=shape)
    for column in ("This project", "Against", "Ours", "Theirs", "Compared", "Target", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row), style="bold red" if row.met is False else "")
    console.print(table)
    for name, value in machine.items():
        console.print(f"{name}: {value}")


def _console() -> Console:
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDE)


def _cells(row: Row) -> list[str]:
    theirs = _spread(row.theirs, row.unit) if row.theirs else ""
    return [
        row.what,
        row.against,
        _spread(row.ours, row.unit),
        theirs,
        row.measured(row.figure),
        _target(row),
        row.verdict,
    ]


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{'at least' if row.at_least else 'at most'} {row.measured(row.target)}"


def _places(unit: str) -> int:
    return 2 if unit == "s" else 0


def _spread(spread: Spread, unit: str) -> str:
    places = _places(unit)
    low, high = f"{spread.low:.{places}f}", f"{spread.high:.{places}f}"
    return f"{spread.median:.{places}f} {unit} ({low} to {high})"


def line(row: Row) -> str:
    """Return a row as a sentence, for who watches."""
    ours = f"{row.what}: {_spread(row.ours, row.unit)}"
    theirs = f", {row.against}: {_spread(row.theirs, row.unit)}" if row.theirs else ""
    compared = f"; {row.measured(row.figure)}" if row.theirs else ""
    return f"{ours}{theirs}{compared}{_bound(row)}; {_runs(row.ours)}"


def _bound(row: Row) -> str:
    return "" if row.target is None else f", {_target(row)}: {row.verdict}"


def _runs(spread: Spread) -> str:
    number = len(spread.figures)
    return f"{number} run{'' if number == 1 else 's'}"


def as_data(rows: Sequence[Row], machine: Mapping[str, str]) -> dict[str, object]:
    """Return all of it, every single figure included."""
    entries = [
        {**asdict(row), "compared": row.compared.value, "figure": row.figure, "verdict": row.verdict} for row in rows
    ]
    return {"machine": dict(machine), "rows": entries}
