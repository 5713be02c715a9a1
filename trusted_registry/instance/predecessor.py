"""Predecessor: the container that ran before, kept until its successor is proved, and restored if that fails."""

from __future__ import annotations

import contextlib
import http.client
from typing import TYPE_CHECKING

from trusted_registry import files
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from trusted_registry.console import Console
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import Container

AGAIN = "The one that ran before runs again."


def name(container: str) -> str:
    """Return the name under which a container waits; one that is found there was left by a run that was killed."""
    return f"{container}-before"


class Predecessor:
    """The container that ran before, and the files that it reads.

    Args:
        container: The registry's name.
        found: What a run that was killed left under the other name: that proved itself, and what runs now did not.
        engine: Where they run.
        console: Whom to tell.
    """

    def __init__(self, container: str, found: Container | None, engine: Engine, console: Console) -> None:
        self.container = found
        self._name = container
        self._aside = name(container)
        self._engine = engine
        self._console = console
        self._contents: dict[Path, bytes | None] = {}
        self._disturbed = False

    def write(self, written: Mapping[Path, str]) -> None:
        """Write the files that the successor reads, and remember those that they replace."""
        if self._console.dry:
            return
        for path, text in written.items():
            with files.explained(path, "read"):
                self._contents[path] = path.read_bytes() if path.exists() else None
            files.write(path, text.encode())

    def make_way(self, container: Container | None) -> None:
        """Have the name and the port free: what runs is set aside, unless something better is."""
        self._disturbed = True
        if container is None:
            return
        if self.container or container.state != "running":
            self._engine.remove(self._name)
            return
        self.container = container  # first: what is interrupted half way is put back as well
        self._engine.set_aside(self._name, self._aside)

    @contextlib.contextmanager
    def restored_on_failure(self, prove: Callable[[Container], None]) -> Iterator[Predecessor]:
        """Take it away when the context ends well; otherwise have it run again, if it proves itself.

        Raises:
            RegistryError: That of the context, with what became of this one.
        """
        try:
            yield self
        except BaseException as error:
            if not self._runs_again(prove):
                raise
            if isinstance(error, RegistryError):
                raise RegistryError(f"{error.message} {AGAIN}", cure=error.cure) from error
            self._console.warn(AGAIN)
            raise
        if self.container:
            self._engine.remove(self._aside)

    def _runs_again(self, prove: Callable[[Container], None]) -> bool:
        """Put it back; return whether it was there, came back and proved itself: it is stopped otherwise."""
        try:
            self._restore()
        except RegistryError as error:  # nothing is stopped for that: the check below tells whether it serves
            self._console.warn(f"{error.message} {error.cure}")
        if self._console.dry or not self.container or self._is_undisturbed():
            return False
        try:
            if self._engine.find(self._aside) and self._engine.find(self._name):
                self._engine.remove(self._name)
            self._engine.put_back(self._aside, self._name)
            prove(self.container)
        except (RegistryError, OSError, http.client.HTTPException) as error:
            with contextlib.suppress(RegistryError):
                self._engine.remove(self._name)
            self._console.warn(f"the registry that ran before does not run again: {error}")
            return False
        return True

    def _is_undisturbed(self) -> bool:
        """Return whether this run has touched nothing, and its registry runs: one that a killed run left is older."""
        running = None if self._disturbed else self._engine.find(self._name)
        return running is not None and running.state == "running"

    def _restore(self) -> None:
        for path, content in self._contents.items():
            if content is None:
                files.remove(path, keep=path.parent)
            else:
                files.write(path, content)
