"""A console that keeps what it was told, for tests to look at."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry.console import pasteable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trusted_registry.console import Console, Progress


class Recorder:
    """Shows nothing, keeps everything, and answers every question the same way."""

    def __init__(self, *, dry: bool = False, answer: bool = True, secret: str = "") -> None:
        self.dry = dry
        self.commands: list[list[str]] = []
        self.said: list[str] = []
        self.idle: list[str] = []
        self.warned: list[str] = []
        self.asked: list[str] = []
        self.moved: list[tuple[str, int, int]] = []
        self.units: list[str] = []
        self._answer = answer
        self._secret = secret

    @property
    def typed(self) -> list[str]:
        """The commands as lines that can be pasted."""
        return [pasteable(command) for command in self.commands]

    def command(self, argv: Sequence[str]) -> None:
        """Keep a command."""
        self.commands.append(list(argv))

    def say(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)

    def advise(self, argv: Sequence[str]) -> None:
        """Keep a command for the reader."""
        self.commands.append(list(argv))

    def say_idle(self, text: str) -> None:
        """Keep a line for whoever watches."""
        self.idle.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warned.append(text)

    def ask(self, question: str) -> bool:
        """Keep a question and give the answer."""
        self.asked.append(question)
        return self._answer

    def secret(
        self,
        question: str,
        *,
        known: bool = False,  # noqa: ARG002 - no difference here
        check: Callable[[str], object] | None = None,  # noqa: ARG002 - the terminal's
    ) -> str:
        """Keep a question for a password and give one."""
        self.asked.append(question)
        return self._secret

    @contextlib.contextmanager
    def progress(self, title: str, unit: str = "bytes") -> Iterator[Progress]:
        """Keep every movement, and the unit."""
        self.units.append(unit)
        assert title
        yield self

    def update(self, part: str, done: int, total: int) -> None:
        """Keep one movement."""
        self.moved.append((part, done, total))


def _keeps_the_protocol(recorder: Recorder) -> Console:
    return recorder  # for mypy: a Recorder that lost a method would not pass for a Console
