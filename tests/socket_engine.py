"""An engine on a socket that answers whatever it is told to, asked by Docker's own SDK."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from typing import TYPE_CHECKING

from tests import garbage
from tests.recorder import Recorder
from trusted_registry.engine.asking import Client
from trusted_registry.engine.docker_engine import DockerEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

API = "1.41"
EXEC = {r"/exec": {"Id": "it", "ExitCode": 0}}


class SocketEngine:
    """An engine's end of a socket.

    Args:
        path: The socket's.

    Attributes:
        answers: What is answered, by a pattern of the path; text is sent as it is, all else as JSON.
        said: What a program in a container says, in frames.
        refused: Reasons why a change is refused, by a pattern of the path; each but once.
        asked: Method and path of each request, without the version of the API.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: Mapping[str, object] = EXEC
        self.said: Iterable[bytes] = ()
        self.refused: dict[str, str] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=[client], daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as asked:
            while line := asked.readline().decode():
                headers = dict(_header(it) for it in iter(asked.readline, b"\r\n"))
                asked.read(int(headers.get("content-length", 0)))
                if re.search(r"/exec/[^/]+/start", line):
                    self._stream(client)
                    return
                self.asked.append(re.sub(r"/v[\d.]+|\?.*", "", line.rpartition(" ")[0]))
                self._give(client, line.split(" ")[1])

    def _stream(self, client: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        for piece in self.said:  # what a quick program says comes together with the answer's head
            client.sendall(head + piece)
            head = b""
        client.sendall(head)

    def _give(self, client: socket.socket, path: str) -> None:
        found = next((it for pattern, it in self.answers.items() if re.search(pattern, path)), None)
        refused = next((self.refused.pop(pattern) for pattern in [*self.refused] if re.search(pattern, path)), "")
        found = {"message": refused} if refused else found
        body = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        head = f"HTTP/1.1 {'409 Conflict' if refused else '200 OK'}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode().partition(":")
    return name.lower(), value.strip()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[SocketEngine]:
    """Have an engine listen in a folder."""
    made = SocketEngine(folder / "engine.sock")
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def asking(engine: SocketEngine) -> Iterator[DockerEngine]:
    """Ask an engine as the project does."""
    with garbage.collected(quietly=True):
        client = Client(f"unix://{engine.path}", version=API)
        with contextlib.closing(DockerEngine(client, Recorder())) as made:
            yield made
