"""Clients of a registry that is replaced again and again; runs on a host of the lab, by its own Python alone.

front_clients.py HOST ANCHOR LOGIN: a new connection every 20 ms, requests on kept connections, slow downloads and slow
uploads, from when the file /srv/at-work is there until /srv/enough is; then says as JSON what came of each.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH, AT_WORK = Path("/srv/enough"), Path("/srv/at-work")
SIZE, UPLOAD = 48_000_000, 24_000_000
RATE = 6_000_000
PIECE = 300_000


class Clients:
    """What the clients met, counted from several threads."""

    def __init__(self, host: str, anchor: str, login: str) -> None:
        self.host = host
        self.tls = ssl.create_default_context(cafile=anchor)
        self.headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        names = ("new connections", "kept connections", "downloads", "uploads")
        self.counts = {name: {"good": 0, "bad": 0} for name in names}
        self.words: dict[str, int] = {}
        self._lock = threading.Lock()

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that is not open yet."""
        return http.client.HTTPSConnection(self.host, context=self.tls, timeout=60)

    def call(self, connection: http.client.HTTPSConnection, method: str, path: str, body: object = None) -> str:
        """Send a request and return the place that the answer names."""
        size = {"Content-Length": str(UPLOAD)} if isinstance(body, Slow) else {}
        kind = {"Content-Type": "application/octet-stream"} if body else {}
        connection.request(method, path, body, {**self.headers, **kind, **size})  # type: ignore[arg-type]
        answer = connection.getresponse()
        answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise ConnectionError(f"status {answer.status}")
        place = answer.getheader("Location", "")
        return place[place.find("/v2") :]

    def again(self, name: str, once: Callable[[], None], pause: float = 0) -> threading.Thread:
        """Do something again and again, in a thread, and count how that ended."""

        def run() -> None:
            while not ENOUGH.exists():
                try:
                    once()
                    how = "good"
                except (OSError, http.client.HTTPException) as error:
                    how = "bad"
                    said = f"{name}: {error!r}"
                    with self._lock:
                        self.words[said] = self.words.get(said, 0) + 1
                with self._lock:
                    self.counts[name][how] += 1
                time.sleep(pause)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def knock(self) -> None:
        """Make a new connection."""
        connection = self.connect()
        try:
            self.call(connection, "GET", "/v2/")
        finally:
            connection.close()

    def keep(self) -> Callable[[], None]:
        """Return requests on one connection, which is opened anew where it was closed while it was idle."""
        connection = self.connect()

        def once() -> None:
            try:
                self.call(connection, "GET", "/v2/")
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                connection.close()  # as every client that keeps connections does, Go's among them
                self.call(connection, "GET", "/v2/")
            except (OSError, http.client.HTTPException):
                connection.close()  # where an answer did not come, nothing else may be asked there
                raise

        return once

    def prepare(self) -> str:
        """Push a blob, and return its digest."""
        content = os.urandom(SIZE)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        connection = self.connect()
        place = self.call(connection, "POST", "/v2/front/blobs/uploads/")
        self.call(connection, "PUT", f"{place}&digest={digest}", content)
        return digest

    def download(self, digest: str) -> None:
        """Get the blob at 6 MB a second."""
        connection, found = self.connect(), hashlib.sha256()
        connection.request("GET", f"/v2/front/blobs/{digest}", headers=self.headers)
        answer = connection.getresponse()
        while part := answer.read(PIECE):
            found.update(part)
            time.sleep(PIECE / RATE)
        if f"sha256:{found.hexdigest()}" != digest:
            raise ConnectionError("it was cut")

    def upload(self) -> None:
        """Push a blob at 6 MB a second, over two connections."""
        content = Slow()
        place = self.call(self.connect(), "POST", "/v2/front/blobs/uploads/")
        place = self.call(self.connect(), "PATCH", place, content)
        self.call(self.connect(), "PUT", f"{place}&digest=sha256:{content.read_so_far.hexdigest()}")


class Slow:
    """A body that comes at 6 MB a second."""

    def __init__(self) -> None:
        self.left = UPLOAD
        self.read_so_far = hashlib.sha256()

    def read(self, _most: int = -1) -> bytes:
        """Return the next piece, after a while."""
        time.sleep(PIECE / RATE)
        piece = os.urandom(min(PIECE, self.left))
        self.left -= len(piece)
        self.read_so_far.update(piece)
        return piece


def main(host: str, anchor: str, login: str) -> None:
    """Have all clients work until it is enough."""
    clients = Clients(host, anchor, login)
    digest = clients.prepare()
    threads = [
        clients.again("new connections", clients.knock, 0.02),
        clients.again("kept connections", clients.keep(), 0.1),
        *(clients.again("downloads", lambda: clients.download(digest)) for _ in range(2)),
        *(clients.again("uploads", clients.upload) for _ in range(2)),
    ]
    AT_WORK.touch()
    for thread in threads:
        thread.join()
    sys.stdout.write(f"{json.dumps({'counts': clients.counts, 'words': clients.words})}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
