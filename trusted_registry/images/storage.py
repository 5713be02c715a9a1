"""Storage of a registry: all that the tasks ask of its files, whether those are in a volume or in a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from trusted_registry.console import Console
from trusted_registry.images.listing import Entry, Listing
from trusted_registry.images.mend import Step

Change = tuple[str, str, str, str]
"""Step of the trash: a verb of `images/scripts.py`, CHANGE, and its words."""


class Storage(Protocol):
    """Files of a registry; every method raises a RegistryError where they are out of reach."""

    def files(self, *, sizes: bool = False, seconds: int = 0) -> Listing:
        """Return all files.

        Args:
            sizes: Whether sizes of links are told too.
            seconds: Seconds that the listing may take; 0 for as many as needed.
        """

    def read(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        """Return the files that are as large as they were when they were listed, by their paths."""

    def hashes(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield each file with the SHA-256 of its content in hex, "" of one that cannot be read."""

    def mend(self, steps: Iterable[Step], console: Console) -> list[str]:
        """Take the steps of a mending, and return messages about those that failed."""

    def records(self) -> list[tuple[str, str]]:
        """Return number and record of each removal in the trash."""

    def change(self, changes: Iterable[Change], console: Console, *, record: str = "", state: str = "") -> None:
        """Take steps of the trash, while a record has a state.

        Args:
            changes: The steps.
            console: The console that shows the commands.
            record: Path of the record; "" where the steps are of no removal.
            state: The state.
        """

    def read_own(self, path: str) -> bytes:
        """Return a file of this project's own, beside those of the registry; b"" where there is none."""

    def write_own(self, path: str, content: bytes) -> None:
        """Write a file of this project's own."""
