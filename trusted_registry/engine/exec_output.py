"""Output of a program in a container, bounded in time and size: the container may be anybody's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol

from trusted_registry.console import pasteable
from trusted_registry.engine.connection import CONNECTION_ERRORS
from trusted_registry.errors import RegistryError

SECONDS = 120.0
"""Seconds in which a program in a container ends; the kit takes a few."""
MOST = 1 << 20
"""Bytes that a program in a container says; the kit and containerd's configuration have some thousands."""

Frame = tuple[bytes | None, bytes | None]
"""Piece of standard output, or of standard error."""


class Stream(Protocol):
    """Frames of a running program; `close` has the reading thread end."""

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames."""

    def close(self) -> None:
        """Hang up."""


class _Listener(threading.Thread):
    """Reads a stream; a thread of its own, since the SDK waits for a frame without end."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(daemon=True)
        self.out, self.err = bytearray(), bytearray()
        self.error: BaseException | None = None
        self._stream = stream

    @property
    def size(self) -> int:
        return len(self.out) + len(self.err)

    def run(self) -> None:
        try:
            for out, err in self._stream:
                self.out += out or b""
                self.err += err or b""
                if self.size > MOST:
                    return
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error


def read(stream: Stream, name: str) -> tuple[bytes, bytes]:
    """Return standard output and standard error of a program in a container, once it ended.

    Raises:
        RegistryError: The program did not end in time, or says too much.
    """
    listener = _Listener(stream)
    listener.start()
    listener.join(SECONDS)
    late = listener.is_alive()
    with contextlib.suppress(AttributeError, *CONNECTION_ERRORS):  # nothing is left to close
        stream.close()
    if late or listener.size > MOST:
        fault = f"did not end within {SECONDS:.0f} seconds" if late else f"said more than {MOST >> 20} MiB"
        cure = f"See what runs there: {pasteable(['docker', 'top', name])}"
        raise RegistryError(f"A program in the container {name} {fault}.", cure=cure)
    if listener.error:
        raise listener.error
    return bytes(listener.out), bytes(listener.err)
