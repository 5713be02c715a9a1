"""An engine that dies half way: passes requests on until one mentions a word, then hangs up for good.

Run as: dying_engine.py SOCKET REAL-SOCKET WORD
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


class Dying:
    """Stands between a client and an engine."""

    def __init__(self, path: str, real: str, word: bytes) -> None:
        self._real, self._word, self._dead = real, word, False
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()

    def serve(self) -> None:
        """Accept clients for ever, and hang up on each once dead."""
        while True:
            client, _ = self._server.accept()
            if self._dead:
                client.close()
                continue
            real = socket.socket(socket.AF_UNIX)
            real.connect(self._real)
            threading.Thread(target=self._pass, args=(client, real, self._word), daemon=True).start()
            threading.Thread(target=self._pass, args=(real, client, None), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, word: bytes | None) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if word and word in chunk:
                    self._dead = True
                    break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    Dying(sys.argv[1], sys.argv[2], sys.argv[3].encode()).serve()
