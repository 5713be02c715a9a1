#!/usr/bin/env python3
"""A headless Firefox with the profile of whoever runs it: opens a page as a person does, and says what became of it.

Python's own library is all it needs, so that a host of the lab can run it as a program: tests/firefox.py URL
It ends with 0 and the page's HTTP status; or with 1 and the code of the error that the browser shows in its place.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 90
"""After which a browser that hangs is killed; starting one takes three, on a busy machine twenty."""

HERE = ("127.0.0.1", 2828)
"""Where Firefox listens for whoever drives it (firefox-source-docs.mozilla.org/testing/marionette)."""

OK = 200
STATUS = "return performance.getEntriesByType('navigation')[0].responseStatus"
ERROR = "return document.getFailedCertSecurityInfo().errorCodeString"
"""What the page about a bad certificate shows as the error code; no other page has that function."""


class Firefox:
    """One window, by the Marionette protocol: JSON with its length before it, over TCP."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._stream = connection, connection.makefile("rb")
        self._read()  # it greets
        self.call("WebDriver:NewSession")

    def call(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the browser answers
        """Have the browser do something, and return what comes of it.

        Raises:
            RuntimeError: It refuses; its own words are the reason.
        """
        message = json.dumps([0, 1, command, parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._read()
        if error:
            raise RuntimeError(error["message"] or error["error"])
        return result

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Return what a script in the page returns."""
        return self.call("WebDriver:ExecuteScript", script=script, args=[])["value"]

    def _read(self) -> Any:  # noqa: ANN401 - JSON
        length = b""
        while (character := self._stream.read(1)).isdigit():
            length += character
        if character != b":":
            raise RuntimeError("the browser ended")
        return json.loads(self._stream.read(int(length)))


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    """Lend a Firefox; it is ended as by a person, so that its profile is whole afterwards.

    Raises:
        RuntimeError: It does not start.
    """
    argv = ["timeout", str(SECONDS), "firefox-esr", "--headless", "--marionette"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        try:
            with _connection(it) as connection:
                lent = Firefox(connection)
                yield lent
                lent.call("Marionette:Quit", flags=["eForceQuit"])
        except BaseException:
            it.terminate()
            raise


def _connection(running: subprocess.Popen[bytes]) -> socket.socket:
    while running.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(HERE)
        time.sleep(0.1)
    raise RuntimeError(f"Firefox ended with {running.returncode} before it listened")


def main() -> int:
    """Open a page, and say what became of it."""
    (url,) = sys.argv[1:]
    with firefox() as lent:
        try:
            lent.call("WebDriver:Navigate", url=url)
            said = lent.run(STATUS)
        except RuntimeError as error:
            said = lent.run(ERROR) if str(error) == "insecure certificate" else error
    sys.stdout.write(f"{url}: {said}\n")
    return 0 if said == OK else 1


if __name__ == "__main__":
    sys.exit(main())
