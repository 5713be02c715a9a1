"""What people do with a message: have it explained, and type the cure as it is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trusted_registry.messages.catalogue import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Done, Host

CAUSES = {row.key: row.cause.partition("{")[0] for row in ROWS}
ELSEWHERE = "# on the registry's machine"
STEP = re.compile(r"^ +(do|or): (.+)$", re.MULTILINE)


@dataclass
class Tally:
    """Which rows of the catalogue were heard from a real client, by whom, and which of their cures helped."""

    heard: dict[str, set[str]] = field(default_factory=dict)
    cured: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """Return it as a line for the summary."""
        said = "; ".join(f"{key} ({', '.join(sorted(by))})" for key, by in sorted(self.heard.items()))
        return f"messages: {len(self.heard)} rows produced, {len(self.cured)} cured as printed: {said}"


@dataclass
class Case:
    """A client host with its registry host: who reads the messages, and where the cures are typed."""

    registry: Host
    client: Host
    tally: Tally

    def means(self, done: Done, key: str, *, host: Host | None = None) -> list[tuple[str, str]]:
        """Have a message explained, insist on the row, and return the steps as printed: do or or, and the line."""
        host = host or self.client
        said = host.does("./inv", "explain", done.said, user="dev", env=host.settings).out
        assert CAUSES[key] in said, f"{key} was meant:\n{said}\nby\n{done}"
        self.tally.heard.setdefault(key, set()).add(done.argv[0])
        return STEP.findall(said)

    def cure(self, steps: list[tuple[str, str]], *, instead: bool = False, host: Host | None = None) -> None:
        """Type the steps of one way, each where it says."""
        lines = [line for word, line in steps if (word == "or") is instead]
        assert lines, f"there is no such step: {steps}"
        for line in lines:
            at = self.registry if ELSEWHERE in line else host or self.client
            at.does("sh", "-c", line, user="dev", env=at.settings)

    def cures(
        self, key: str, again: Callable[[], Done], *, instead: bool = False, between: Callable[[], object]
    ) -> None:
        """Insist that a command fails with a row's message, that its cure is typed, and that the command then works.

        Args:
            key: The row.
            again: Runs the command.
            instead: Whether the other way of the cure is gone.
            between: What the cure's comment asks for besides, such as handing a certificate over.
        """
        refused = again()
        assert refused.code != 0, f"This should have failed:\n{refused}"
        steps = self.means(refused, key)
        between()
        self.cure(steps, instead=instead)
        worked = again()
        assert worked.code == 0, f"The cure did not help:\n{steps}\n{worked}"
        self.tally.cured.add(key)
