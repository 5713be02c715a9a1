"""Terminal: the console of a person, and the only module that prints.

Many texts come from others: a registry's answer, a name in a certificate, a file's name. Each is made visible here,
the one place that all of them pass: none can move the cursor, set a title or hide.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

from trusted_registry.console import Operator, Progress, current_folder, pasteable, visible
from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table
from trusted_registry.run_log import RunLog

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_SHOW_AFTER = 0.5
"""Seconds of work before a progress bar appears."""
_SAY_AFTER = 1.0
"""Seconds of work before a line tells of that, where no bar can move."""
_DIM, _RED, _YELLOW, _GREEN = "2", "1;31", "33", "32"
_LONG_LINE = 4096
"""Characters of standard input read for one line; no password may be longer."""


class Terminal:
    """Console on a terminal: results on stdout, warnings on stderr.

    Args:
        dry: Whether commands are only shown.
        echo: Whether commands are shown when they are run.
        yes: Whether every question is answered with yes.
        out: Stream for results; standard output by default.
        as_json: Whether results are JSON, for programs: nothing but the report is shown.
        log: Log that keeps the commands of the run.
    """

    def __init__(  # noqa: PLR0913 - all that decides what is shown
        self,
        *,
        dry: bool = False,
        echo: bool = False,
        yes: bool = False,
        out: TextIO | None = None,
        as_json: bool = False,
        log: RunLog | None = None,
    ) -> None:
        self.dry = dry
        self._shows_commands = (dry or echo) and not as_json
        self._log = log
        self._yes = yes
        self._out = out or sys.stdout
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that knows no "…" is no reason to fail
        self._json = as_json

    def command(self, argv: Sequence[str]) -> None:
        """Note a command, and show the line on request, to be pasted in this folder: paths below are relative."""
        line = visible(pasteable([_below(part) for part in argv]))
        if self._log and not self.dry:
            self._log.command(line)
        if self._shows_commands:
            self._line(_coloured(f"$ {line}", _DIM, self._out))

    def advise(self, argv: Sequence[str]) -> None:
        """Show a command that is left to the reader."""
        self.say(f"$ {pasteable([_below(part) for part in argv])}")

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._json:
            mark, colon, rest = visible(text).partition(":")
            self._line(f"{_coloured(mark + colon, _GREEN, self._out) if mark == 'proof' else mark + colon}{rest}")

    def say_idle(self, text: str) -> None:
        """Print a line for whoever watches: a log of cron's gets no line from a run that had nothing to do."""
        if self._out.isatty():
            self.say(text)

    def warn(self, text: str) -> None:
        """Print a note on standard error."""
        sys.stderr.write(f"{_coloured('note:', _YELLOW, sys.stderr)} {_one_paragraph(text)}\n")

    def ask(self, question: str) -> bool:
        """Ask a person; a dry run and --yes answer yes.

        Raises:
            RegistryError: Standard input is no terminal, so nobody can answer.
        """
        if self._yes or self.dry:
            return True
        if not sys.stdin.isatty():
            raise RegistryError(f"Nobody is here to answer: {question}", cure="Add --yes to the command.")
        with contextlib.suppress(EOFError):
            return input(f"{visible(question)} [y/N] ").strip().lower() in ("y", "yes")
        return False

    def secret(self, question: str, *, known: bool = False, check: Callable[[str], object] | None = None) -> str:
        """Ask for a password without echo, twice for a new one; without a terminal, read one line of standard input.

        Raises:
            RegistryError: No password was entered, or the two differ.
        """
        if not sys.stdin.isatty():
            try:
                return sys.stdin.readline(_LONG_LINE).removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError:
                cure = "Pass the password as one line in the terminal's encoding, mostly UTF-8."
                raise RegistryError("Standard input is no text.", cure=cure) from None
        import getpass

        try:
            first = getpass.getpass(f"{visible(question)}: ")
            if check:  # what will be refused need not be typed twice
                check(first)
            second = first if known else getpass.getpass(f"{visible(question)}, again: ")
        except EOFError:
            raise RegistryError("No password was given.", cure="Type one at the prompt.") from None
        if first != second:
            raise RegistryError("The two passwords differ.", cure="Repeat the command.")
        return first

    def progress(self, title: str, unit: str = "bytes") -> AbstractContextManager[Progress]:
        """Show a bar on a terminal, for work that takes longer than half a second; elsewhere a line after a second."""
        if self._json or self.dry:
            return contextlib.nullcontext(_Unwatched())
        if self._out.isatty():
            return contextlib.closing(_Bar(visible(title), unit))
        return contextlib.closing(_Unwatched(threading.Timer(_SAY_AFTER, self._say_late, [f"{title} …"])))

    def _say_late(self, text: str) -> None:
        """Print a line from a thread; a reader that is gone is told by the next line of the task itself."""
        with contextlib.suppress(OSError):
            self.say(text)

    def report(self, report: Report) -> None:
        """Print a report as JSON, or as a table and lines; then raise its failure.

        Raises:
            RegistryError: The report is one of a failure.
        """
        if self._json:
            self._line(json.dumps(report.content, indent=2))
        elif report.table:
            self._table(report.table)
        for line in report.lines:
            self.say(line)
        if report.failure:
            raise report.failure

    def _table(self, table: Table) -> None:
        if not self._out.isatty():
            for line in _plain(table):
                self.say(line)
            return
        from rich.console import Console
        from rich.table import Table as RichTable

        made = RichTable(title=visible(table.title), title_justify="left", title_style="bold")
        for column in table.columns:
            made.add_column(visible(column), overflow="fold")
        for cells in table.rows:
            made.add_row(*map(visible, cells))
        Console(file=self._out, highlight=False, markup=False, emoji=False).print(made)

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def explain(error: RegistryError) -> str:
    """Return the text of an error: its message, then its cure."""
    wrong = f"{_coloured('error:', _RED, sys.stderr)} {_one_paragraph(error.message)}"
    return f"{wrong}\n   do: {_one_paragraph(error.cure)}" if error.cure else wrong


def _coloured(text: str, colour: str, stream: TextIO) -> str:
    """Return a text, in a colour on the terminal of a person who wants colours (no-color.org)."""
    return f"\033[{colour}m{text}\033[0m" if stream.isatty() and "NO_COLOR" not in os.environ else text


def _plain(table: Table) -> list[str]:
    """Return a table as lines without a box, a row each, however long: for logs, and for grep."""
    rows = [[" ".join(visible(cell).split("\n")) for cell in cells] for cells in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [table.title, *lines]


def _below(part: str) -> str:
    """Return a word of a command without the current folder before it; the shell's own stay unchanged."""
    return part if isinstance(part, Operator) else part.removeprefix(f"{current_folder()}/")


def _one_paragraph(text: str) -> str:
    """Return a text with its further lines indented: none of them passes for a line of this project."""
    return visible(text).replace("\n", "\n         ")


class _Unwatched:
    """Progress that nobody watches; a timer may tell of work that takes long."""

    def __init__(self, timer: threading.Timer | None = None) -> None:
        self._timer = timer
        if timer:
            timer.daemon = True
            timer.start()

    def update(self, part: str, done: int, total: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """End the work."""
        if self._timer:
            self._timer.cancel()


class _Bar:
    """Progress bar by rich that appears after half a second of work, if at all; a thread runs its clock."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._parts: dict[str, tuple[int, int]] = {}
        self._done = self._total = self._unknown = 0
        self._rich: RichProgress | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(_SHOW_AFTER, self._appear)
        self._timer.daemon = True
        self._timer.start()

    def _appear(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        # What has no parts moves nothing that could be counted: making a key.
        counted = DownloadColumn() if self._unit == "bytes" else MofNCompleteColumn()
        moved = (counted, TimeRemainingColumn()) if self._parts else ()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), *moved, TimeElapsedColumn())
        with self._lock:
            if self._closed:
                return
            self._rich = Progress(*columns, transient=True)
            self._task = self._rich.add_task(self._title, total=None)
            self._rich.start()

    def update(self, part: str, done: int, total: int) -> None:
        """Add up the parts and move the bar."""
        with self._lock:
            before = self._parts.get(part)
            self._parts[part] = (done, total)
            done_before, total_before = before or (0, 0)
            self._done += done - done_before
            self._total += total - total_before
            self._unknown += (not total) - (before is not None and not total_before)
            if self._rich:
                size = None if self._unknown else self._total
                self._rich.update(self._task, completed=self._done, total=size)

    def close(self) -> None:
        """Remove the bar."""
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._rich:
                self._rich.stop()
