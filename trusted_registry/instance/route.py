"""Route from a router's address to this machine, tried as a client would go, before anything is changed.

Where the registry does not answer there yet, a listener stands in, in a process of its own: the port may be root's.
"""

from __future__ import annotations

import contextlib
import errno
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.certificate import inspect
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe
from trusted_registry.registry.observe import Observation
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings

SECONDS = 4.0
"""Seconds in which a connection must come back, once somebody listens; the listener ends a second later by itself."""
_NOTHING = "no connection to it comes back"
_LISTENS = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{32})\s*")
"""Line by which the listener says that it listens: the word that it says, and the one that is to be answered."""


def broken(settings: Settings, own: Container | None = None, *, is_saved: bool = False) -> str:
    """Return why the registry's address and port do not lead to this machine; "" where they do.

    Args:
        settings: Settings of the registry.
        own: This installation's container that has the port already; None tries the port, which is free then.
        is_saved: Whether an earlier run tried this address, and ended well.
    """
    server = settings.folder / "domain.crt"
    seen = observe.ask(Endpoint(settings.address, settings.port))
    if seen.certificate and files.exists(server) and seen.fingerprint == inspect.read(server).fingerprint:
        return ""
    if own:
        return _led_elsewhere(seen, own, settings, is_saved=is_saved)
    try:
        argv = [*_prefix(settings), sys.executable, "-B", "-m", __name__, settings.listen, str(settings.port)]
        argv.append(str(SECONDS + 1))
    except RegistryError as error:
        return error.message.rstrip(".")
    return _tried(argv, settings)


def _led_elsewhere(seen: Observation, own: Container, settings: Settings, *, is_saved: bool) -> str:
    """Return why an address does not lead to the container that runs; "" where it shows what that one shows here.

    That may be another certificate than the one on disk, which is served only after `up`. Some routers pass nothing on
    for a moment: an address that was tried before stays, unless something else answers there.
    """
    own_port = observe.ask(Endpoint(settings.address, settings.port, via=own.listen or "127.0.0.1"))
    if seen.certificate and seen.fingerprint == own_port.fingerprint:
        return ""
    if seen.connect_error:
        return "" if is_saved else _NOTHING
    return "" if is_saved and not seen.certificate and not own_port.certificate else "another server answers there"


def _prefix(settings: Settings) -> list[str]:
    """Return the words before the listener's command: none, or those of sudo.

    Raises:
        RegistryError: The port is in use, or is root's and sudo is absent or refuses.
    """
    try:
        _listen(settings.listen, settings.port).close()
    except OSError as error:
        if error.errno == errno.EACCES:
            return _allowed(program.sudo())
        raise RegistryError(f"another program listens here, or answers there: {error.strerror}", cure="") from error
    return []


def _allowed(prefix: list[str]) -> list[str]:
    """Return a prefix that works: sudo asks for a password now, and not while a connection is waited for.

    Raises:
        NeedsRootError: sudo refuses.
    """
    asked = program.capture([*prefix, "true"], timeout=None)
    if not asked.ok:
        raise program.sudo_error(asked)
    return prefix


def _tried(argv: list[str], settings: Settings) -> str:
    """Connect to the address until the listener answers, for SECONDS at most after its two words were read."""
    lines: list[str] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        ended = pool.submit(program.stream, argv, lines.append, cwd=Path(__file__).parents[2])
        while not (words := _words(lines)) and not ended.done():  # Python loads for seconds on a small board
            time.sleep(0.05)
        end = time.monotonic() + SECONDS
        while words and time.monotonic() < end and not ended.done():
            if _comes_back(settings.address, settings.port, words):
                return ""
            time.sleep(0.1)
    ended.result()
    told = [line.strip() for line in lines if line.strip()]
    return told[-1] if told and not _words(lines) else _NOTHING


def _words(lines: Iterable[str]) -> re.Match[str] | None:
    """Return the two words of a listener that is ready; sudo may have notes before."""
    return next(filter(None, map(_LISTENS.fullmatch, tuple(lines))), None)


def _comes_back(host: str, port: int, words: re.Match[str]) -> bool:
    """Return whether the listener's word is heard there, and send its answer: the one proof that there is."""
    word, answer = words[1].encode(), words[2].encode()
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1) as connection:
        if connection.recv(len(word), socket.MSG_WAITALL) == word:
            connection.sendall(answer)
            return True
    return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    both = family is socket.AF_INET6 and not host
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def main(host: str, port: int, seconds: float) -> int:
    """Print two words; say one to whoever connects until one answers the other, which no stranger knows.

    The exit status is 1 where nobody does in time.
    """
    word, answer = secrets.token_hex(16), secrets.token_hex(16)
    with _listen(host, port) as listener:
        print(f"{word} {answer}", flush=True)  # noqa: T201 - to the process that started this one
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            listener.settimeout(left)
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(1)
                    connection.sendall(word.encode())
                    if connection.recv(len(answer), socket.MSG_WAITALL) == answer.encode():
                        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
