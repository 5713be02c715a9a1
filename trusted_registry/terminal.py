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
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from trusted_registry.console import Operator, Progress, pasteable, visible
from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_SHOW_AFTER = 0.5
"""Seconds of work before a progress bar appears."""
_LONG_LINE = 4096
"""Characters of standard input read for one line; no password may be longer."""


class Terminal:
    """Console on a terminal: results on stdout, warnings on stderr.

    Args:
        dry: Whether commands are only shown.
        yes: Whether every question is answered with yes.
        out: Stream for results; standard output by default.
        as_json: Whether results are JSON, for programs: nothing but the report is shown.
    """

    def __init__(
        self, *, dry: bool = False, yes: bool = False, out: TextIO | None = None, as_json: bool = False
    ) -> None:
        self.dry = dry
        self._yes = yes
        self._out = out or sys.stdout
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that knows no "…" is no reason to fail
        self._json = as_json

    def command(self, argv: Sequence[str]) -> None:
        """Show a command that can be pasted in this folder: paths below the folder are relative."""
        line = visible(f"$ {pasteable([_below(part) for part in argv])}")
        if not self._json:
            dim = self._out.isatty() and "NO_COLOR" not in os.environ
            self._line(f"\033[2m{line}\033[0m" if dim else line)

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._json:
            self._line(visible(text))

    def warn(self, text: str) -> None:
        """Print a note on standard error."""
        sys.stderr.write(f"note: {_one_paragraph(text)}\n")

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

    def secret(self, question: str, *, known: bool = False) -> str:
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
            second = first if known else getpass.getpass(f"{visible(question)}, once more: ")
        except EOFError:
            raise RegistryError("No password was given.", cure="Type one at the prompt.") from None
        if first != second:
            raise RegistryError("The two passwords differ.", cure="Repeat the command.")
        return first

    def progress(self, title: str) -> AbstractContextManager[Progress]:
        """Show a progress bar on a terminal, for work that takes longer than half a second."""
        return contextlib.closing(_Bar(visible(title), shown=self._out.isatty() and not self._json))

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
    wrong = f"error: {_one_paragraph(error.message)}"
    return f"{wrong}\n   do: {_one_paragraph(error.cure)}" if error.cure else wrong


def _below(part: str) -> str:
    """Return a word of a command without the current folder before it; the shell's own stay what they are."""
    return part if isinstance(part, Operator) else part.removeprefix(f"{Path.cwd()}/")


def _one_paragraph(text: str) -> str:
    """Return a text with its further lines indented: none of them passes for a line of this project."""
    return visible(text).replace("\n", "\n         ")


class _Bar:
    """Progress bar by rich that appears after half a second of work, if at all; a thread runs its clock."""

    def __init__(self, title: str, *, shown: bool) -> None:
        import threading

        self._title = title
        self._parts: dict[str, tuple[int, int]] = {}
        self._rich: RichProgress | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(_SHOW_AFTER, self._appear)
        self._timer.daemon = True
        if shown:
            self._timer.start()

    def _appear(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

        # Bytes are shown for transfers alone: making a key has none.
        bytes_moved = (DownloadColumn(),) if self._parts else ()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), *bytes_moved, TimeElapsedColumn())
        with self._lock:
            if self._closed:
                return
            self._rich = Progress(*columns, transient=True)
            self._task = self._rich.add_task(self._title, total=None)
            self._rich.start()

    def update(self, part: str, done: int, total: int) -> None:
        """Add up the parts and move the bar."""
        self._parts[part] = (done, total)
        with self._lock:
            if self._rich:
                totals = [total for _, total in self._parts.values()]
                size = sum(totals) if all(totals) else None
                self._rich.update(self._task, completed=sum(done for done, _ in self._parts.values()), total=size)

    def close(self) -> None:
        """Remove the bar."""
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._rich:
                self._rich.stop()
