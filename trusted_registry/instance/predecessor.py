"""Predecessor: the container that ran before, kept until its successor is proved, and restored if that fails."""

from __future__ import annotations

import contextlib
import http.client
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from trusted_registry import files
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, ownership, proof, pulls
from trusted_registry.instance.model import DRAIN_SECONDS, File, Role, predecessor_name
from trusted_registry.run import Run

AGAIN = "The previous registry runs again."

_QUICK = 1.0
"""Seconds that the end of a registry takes at most where nothing is under way."""


@contextlib.contextmanager
def preserved(run: Run, engine: Engine) -> Iterator[Predecessor]:
    """Keep the running container until its successor has proved itself; have the old one run again if that fails.

    Raises:
        RegistryError: That of the context, with the fate of the predecessor.
    """
    # One that is found under that name was left by a run that was killed.
    aside = predecessor_name(run.settings.container)
    left = ownership.container(run.with_settings(container=aside), engine)
    before = Predecessor(left, run, engine)
    try:
        yield before
    except BaseException as error:
        if not before.runs_again():
            raise
        if isinstance(error, RegistryError):
            raise RegistryError(f"{error.message} {AGAIN}", cure=error.cure) from error
        run.console.warn(AGAIN)
        raise
    else:
        before.remove()
    finally:
        try:
            contents.sweep(run, engine)
        except RegistryError as error:  # the outcome of the run is what counts
            run.console.warn(error.message)


class Predecessor:
    """The container that ran before, and the files here that it may read.

    Args:
        left: Container that a killed run left under the other name; that one is proved, the one that runs now is not.
        run: The task that may replace the container.
        engine: Its engine.
    """

    def __init__(self, left: Container | None, run: Run, engine: Engine) -> None:
        self.container = left
        self._run = run
        self._name = run.settings.container
        self._aside = predecessor_name(self._name)
        self._engine = engine
        self._contents: dict[Path, tuple[bytes, int] | None] = {}
        self.disturbed = False
        self._stopped = left is not None
        self.told_to_stop: float | None = None
        """When, by `time.monotonic`; None of one that a killed run left, which nobody may have reached since."""

    @property
    def _part(self) -> str:
        return "front" if self.container and self.container.role == Role.FRONT else "registry"

    def write(self, read: Iterable[File]) -> None:
        """Write those of a successor's files that are made for it, and remember the ones that they replace.

        A registry of a version before the volumes reads them in place.
        """
        if self._run.console.dry:
            return
        for file in (it for it in read if it.made):
            path, mode = file.source, files.PRIVATE_FILE if file.secret else files.PUBLIC_FILE
            with files.explained(path, "read"):
                there = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) if files.exists(path) else None
            self._contents[path] = there
            files.write(path, file.content, mode)

    def make_way(self, container: Container | None) -> None:
        """Free the name: the container keeps the port until `stop`, under the other name, unless one waits there."""
        self.disturbed = True
        if container is None:
            return
        pulls.keep(container, self._run, self._engine)
        if self.container or container.state != "running":
            self._engine.remove(self._name)
            return
        self.container = container  # first: what is interrupted half way is put back as well
        self._engine.rename(self._name, self._aside)

    def drain(self) -> None:
        """Have the container close idle connections, and end by itself."""
        if self.container:
            self._begin_to_stop()
            self._engine.drain(self._aside)

    def _begin_to_stop(self) -> None:
        if not self._stopped:
            self.told_to_stop = time.monotonic()
        self._stopped = True

    def stop(self) -> None:
        """Have the port free; the engine starts the container no more by itself."""
        if not self.container:
            return
        self._begin_to_stop()
        ending = f"{self._part}: it ends what is under way first, up to {DRAIN_SECONDS} s"
        late = threading.Timer(_QUICK, self._run.console.say, [ending])
        late.start()
        try:
            self._engine.retire(self._aside)
        finally:
            late.cancel()

    def say_gap(self) -> None:
        """Say how long the registry, or its front, answered nobody while that was replaced."""
        if self.told_to_stop is not None and not self._run.console.dry:
            seconds = time.monotonic() - self.told_to_stop
            self._run.console.say(f"{self._part}: replaced; no answer for {seconds:.1f} s")

    def remove(self) -> None:
        """Remove the container, since its successor has proved itself."""
        if self.container:
            self._engine.remove(self._aside, at_once=self._stopped)

    def runs_again(self) -> bool:
        """Put the container back; return whether one was there, came back and proved itself; a failed one stops."""
        try:
            self._restore()
        except RegistryError as error:  # nothing is stopped for that: the check below tells whether it serves
            self._run.console.warn(f"{error.message} {error.cure}")
        if self._run.console.dry or not self.container or self._is_undisturbed():
            return False
        try:
            if self._engine.find(self._aside) and self._engine.find(self._name):
                self._engine.remove(self._name)
            if self._stopped:
                self._engine.put_back(self._aside, self._name)
            else:
                self._engine.rename(self._aside, self._name)
            contents.share_users(self._run, self._engine)
            proof.check_again(self._run, self._engine, self.container)
        except (RegistryError, OSError, http.client.HTTPException) as error:
            with contextlib.suppress(RegistryError):
                self._engine.remove(self._name)
            self._run.console.warn(f"the previous registry does not run again: {error}")
            return False
        return True

    def _is_undisturbed(self) -> bool:
        """Return whether this run has touched nothing, and its registry runs: one that a killed run left is older."""
        running = None if self.disturbed else self._engine.find(self._name)
        return running is not None and running.state == "running"

    def _restore(self) -> None:
        for path, content in self._contents.items():
            if content is None:
                files.remove(path, keep=path.parent)
            else:
                files.write(path, *content)
