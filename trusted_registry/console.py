"""What the layers below the tasks may ask of whoever runs them: to show, to say, to ask, to hold back."""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """Follows one long piece of work made of parts, such as the layers of an image."""

    def update(self, part: str, done: int, total: int) -> None:
        """Report that `done` of `total` units (bytes, mostly) of one part are through; a total of 0 is unknown."""


class Console(Protocol):
    """Where the world begins: a terminal, a test, another program."""

    @property
    def dry(self) -> bool:
        """True when nothing may be changed: commands are shown and not run."""

    def command(self, argv: Sequence[str]) -> None:
        """Show the command that a person would type for what is about to happen."""

    def say(self, text: str) -> None:
        """Tell what was done, or that it was already so."""

    def warn(self, text: str) -> None:
        """Tell what went well enough to go on but deserves a look."""

    def ask(self, question: str) -> bool:
        """Put a yes-or-no question; raise RegistryError where nobody can answer."""

    def secret(self, question: str) -> str:
        """Ask for a password, unseen; raise RegistryError where none is given."""

    def progress(self, title: str) -> AbstractContextManager[Progress]:
        """Show that something long goes on, until the context ends."""


def pasteable(argv: Sequence[str]) -> str:
    """Return a command as one line that can be pasted into a POSIX shell."""
    return shlex.join(argv)


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return a text with each character that a terminal obeys, or that hides in it, spelled out, ESC by its number.

    These are the controls of both sets, and what turns the direction of writing or has no width (UTS #39).

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
