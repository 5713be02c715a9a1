"""Output of a program in a container, bounded in time and size: the container may be anybody's."""

from __future__ import annotations

import contextlib
import queue
import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, cast

import requests
from docker.errors import create_api_error_from_http_exception
from docker.types import CancellableStream

from trusted_registry.console import pasteable
from trusted_registry.engine.connection import CONNECTION_ERRORS
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from docker import APIClient
    from urllib3 import BaseHTTPResponse

SECONDS = 120.0
"""Seconds in which a program in a container ends; the kit takes a few."""
SILENT = 600.0
"""Seconds for which a program may say nothing that is listened to piece by piece: it may be reading a large file."""
MOST = 1 << 20
"""Bytes that a program in a container says; the kit and containerd's configuration have some thousands."""

_PAUSE = 0.1
"""Seconds after which whoever cannot hand on a piece looks whether anybody still listens."""
_AHEAD = 64
"""Pieces that are kept for a slow listener; the program waits then."""

Frame = tuple[bytes | None, bytes | None]
"""Piece of standard output, or of standard error."""


class Stream(Protocol):
    """Frames of a running program; `close` has the reading thread end."""

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames."""

    def close(self) -> None:
        """Hang up."""


_HEAD = struct.Struct(">BxxxL")
"""Head of a frame: which output it is of, and its length in bytes (Engine API, ContainerAttach)."""
_OUT, _ERR = 1, 2


def start(api: APIClient, number: str) -> Stream:
    """Start a program that was made ready in a container, and return its frames.

    The SDK's `exec_start` reads the socket itself, and so drops whatever came together with the head of the answer: all
    that a quick program said, where this machine is busy.

    Raises:
        docker.errors.APIError: The engine does not start the program.
    """
    at = f"{api.base_url}/v{api.api_version}/exec/{number}/start"
    response = api.post(at, json={"Detach": False, "Tty": False}, stream=True, timeout=None)
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
    return cast("Stream", CancellableStream(_frames(response.raw), response))


def _frames(raw: BaseHTTPResponse) -> Iterator[Frame]:
    while len(head := raw.read(_HEAD.size)) == _HEAD.size:
        kind, length = _HEAD.unpack(head)
        if kind not in {_OUT, _ERR}:
            raise ValueError(f"a frame is of the output {kind}")
        content = raw.read(length)
        yield (content, None) if kind == _OUT else (None, content)


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
    """Return standard output and standard error of a program in a container, once the program ended.

    Raises:
        RegistryError: The program did not end in time, or says too much.
    """
    listener = _Listener(stream)
    listener.start()
    listener.join(SECONDS)
    late = listener.is_alive()
    _hang_up(stream)
    if late or listener.size > MOST:
        fault = f"did not end within {SECONDS:.0f} seconds" if late else f"said more than {MOST >> 20} MiB"
        cure = f"See what runs there: {pasteable(['docker', 'top', name])}"
        raise RegistryError(f"A program in the container {name} {fault}.", cure=cure)
    if listener.error:
        raise listener.error
    return bytes(listener.out), bytes(listener.err)


def _hang_up(stream: Stream) -> None:
    """Close a stream, and its response, which has the connection open otherwise (docker/types/daemon.py)."""
    for end in (stream, getattr(stream, "_response", stream)):
        with contextlib.suppress(AttributeError, *CONNECTION_ERRORS):  # nothing is left to close
            end.close()


def pieces(stream: Stream, name: str, errors: bytearray) -> Iterator[bytes]:
    """Yield the output of a program in a container, piece by piece; hang up when nobody listens any more.

    Args:
        stream: The program's frames.
        name: The container.
        errors: Gets the begin of standard error, each piece of which tells that the program still runs.

    Raises:
        RegistryError: The program says nothing for too long.
    """
    frames: queue.Queue[Frame | BaseException | None] = queue.Queue(_AHEAD)
    ended = threading.Event()
    threading.Thread(target=_listen, args=(stream, frames, ended), daemon=True).start()
    try:
        while (piece := frames.get(timeout=SILENT)) is not None:
            if isinstance(piece, BaseException):
                raise piece
            out, err = piece
            if err and len(errors) < MOST:
                errors += err
            if out:
                yield out
    except queue.Empty:
        cure = f"See what runs there: {pasteable(['docker', 'top', name])}"
        raise RegistryError(f"A program in the container {name} said nothing for {SILENT:.0f} s.", cure=cure) from None
    finally:
        ended.set()
        _hang_up(stream)


def _listen(stream: Stream, frames: queue.Queue[Frame | BaseException | None], ended: threading.Event) -> None:
    """Hand on a stream's frames, until the stream ends or nobody listens any more."""
    try:
        for frame in stream:
            if not _handed(frame, frames, ended):
                return
        _handed(None, frames, ended)
    except Exception as error:  # noqa: BLE001 - raised again where it is waited for
        _handed(error, frames, ended)


def _handed(
    piece: Frame | BaseException | None, frames: queue.Queue[Frame | BaseException | None], ended: threading.Event
) -> bool:
    while not ended.is_set():
        with contextlib.suppress(queue.Full):
            frames.put(piece, timeout=_PAUSE)
            return True
    return False
