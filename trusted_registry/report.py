"""Report: the findings of a task, of which the terminal makes a table, JSON or a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trusted_registry.errors import RegistryError


@dataclass(frozen=True)
class Table:
    """Title, columns and rows of a table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """Findings of a task.

    Args:
        content: The findings as lists and dicts, for --json.
        table: The findings for a person.
        lines: Texts below the table, or instead of one.
        failure: Error that ends the task after everything was shown; None if all is well.
    """

    content: object = None
    table: Table | None = None
    lines: Sequence[str] = ()
    failure: RegistryError | None = None
