"""Console protocol: shows commands, says results and asks questions for the layers below the tasks."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Protocol


class Progress(Protocol):
    """Progress of one long operation made of parts, such as the layers of an image."""

    def update(self, part: str, done: int, total: int) -> None:
        """Report that `done` of `total` units (mostly bytes) of one part are finished; a total of 0 is unknown."""


class Console(Protocol):
    """Whoever runs a task: a terminal, a test, another program."""

    @property
    def dry(self) -> bool:
        """Dry run: commands are shown and not run, and nothing is changed."""

    def command(self, argv: Sequence[str]) -> None:
        """Note the command that a person would type for the next step, which a dry run and --echo show."""

    def advise(self, argv: Sequence[str]) -> None:
        """Show a command that the reader is to type."""

    def say(self, text: str) -> None:
        """Report a change, or that none was needed."""

    def say_idle(self, text: str) -> None:
        """Report that nothing was due, to somebody who watches."""

    def warn(self, text: str) -> None:
        """Report a problem that does not stop the task but deserves attention."""

    def ask(self, question: str) -> bool:
        """Ask a yes-or-no question; raise RegistryError if nobody can answer."""

    def secret(self, question: str, *, known: bool = False, check: Callable[[str], object] | None = None) -> str:
        """Ask for a password without echo, twice unless `known`; raise RegistryError if none is entered."""

    def progress(self, title: str, unit: str = "bytes") -> AbstractContextManager[Progress]:
        """Show the progress of a long operation, counted in a unit, until the context ends."""


class Operator(str):
    """A word of the shell's own in a command that is shown, such as a pipe; every other word is quoted."""

    __slots__ = ()


APPEND = Operator(">>")
PIPE = Operator("|")
PIPE_AFTER_END = (Operator("| { read=$(cat); printf '%s\\n' \"$read\" |"), Operator("; }"))
"""Words before and after a command that reads another one's output once that one has ended."""


def pasteable(argv: Sequence[str | PurePath]) -> str:
    """Return a command, or a part of one, quoted for a POSIX shell: whatever is in a word is a word."""
    return " ".join(part if isinstance(part, Operator) else shlex.quote(str(part)) for part in argv)


def here_document(text: str) -> Operator:
    """Return the words that give a command a text to read from its standard input."""
    return Operator(f"<<'END'\n{text.removesuffix(chr(10))}\nEND")


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return a text with each character that a terminal obeys, or does not show, spelled out, ESC by its number.

    These are the controls of both sets, and characters that turn the direction of writing or have no width (UTS #39).

    Args:
        text: Anybody's.
        keep: The controls that stay: our own lines have line ends and tabs, one foreign word has neither.
    """
    if text.isprintable():
        return text
    # A line end of Windows moves no cursor back over what was said.
    return re.sub(r"[^ -~]", lambda it: _spelled(it[0], keep), text.replace("\r\n", "\n"))


def _spelled(letter: str, keep: str) -> str:
    shown = letter in keep or letter.isprintable() or unicodedata.category(letter) == "Zs"
    return letter if shown else letter.encode("unicode_escape").decode("ascii")


def current_folder() -> Path:
    """Return the folder that the user is in; the root of all where that folder was removed under the shell."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
