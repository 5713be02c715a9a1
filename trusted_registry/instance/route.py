"""Route from a router's address to this machine, tried as a client would go, before anything is changed for it.

Where the registry does not answer there yet, a listener stands in for it, in a process of its own: the port may be
root's.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trusted_registry import program
from trusted_registry.certificate import inspect
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings

SECONDS = 4.0
"""Seconds in which a connection must come back; the listener ends a second later by itself."""
_TAKEN = b"."


def broken(settings: Settings) -> str:
    """Return why the registry's address and port do not lead to this machine; "" where they do."""
    server = settings.folder / "domain.crt"
    seen = observe.look(Endpoint(settings.address, settings.port))
    if seen.certificate and server.exists() and seen.fingerprint == inspect.read(server).fingerprint:
        return ""
    try:
        argv = [*_prefix(settings), sys.executable, "-B", "-m", __name__, settings.listen, str(settings.port)]
        argv.append(str(SECONDS + 1))
    except RegistryError as error:
        return error.message.rstrip(".")
    return _tried(argv, settings)


def _prefix(settings: Settings) -> list[str]:
    """Return what the listener needs to be started with: nothing, or sudo.

    Raises:
        RegistryError: The port is in use, or it is root's and sudo is absent or refuses.
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
    """Connect to the address until the listener answers, or the time is over."""
    word = secrets.token_hex(16)
    package = Path(__file__).parents[2]
    with ThreadPoolExecutor(max_workers=1) as pool:
        listening = pool.submit(program.capture, argv, text=word, cwd=package, timeout=None)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not listening.done():
            if _comes_back(settings.address, settings.port, word.encode()):
                return ""
            time.sleep(0.1)
    ended = listening.result()
    return "" if ended.ok else ended.last_line if ended.err.strip() else "no connection to it comes back"


def _comes_back(host: str, port: int, word: bytes) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1) as connection:
        if connection.recv(len(word), socket.MSG_WAITALL) == word:
            connection.sendall(_TAKEN)
            return True
    return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    both = family is socket.AF_INET6 and not host
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def main(host: str, port: int, seconds: float, word: bytes) -> int:
    """Say a word to whoever connects, until one says that it was taken; 1 where nobody does in time."""
    end = time.monotonic() + seconds
    with _listen(host, port) as listener:
        while (left := end - time.monotonic()) > 0:
            listener.settimeout(left)
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(1)
                    connection.sendall(word)
                    if connection.recv(1) == _TAKEN:
                        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()))
