"""Connections to a server that anybody may reach, shared out so that one client cannot keep the others away."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter

MOST = 64
"""Connections that are open at a time."""
MOST_OF_AN_ADDRESS = 8
"""Connections of one address: a browser opens six at most, and several machines may be behind one address."""
_ENDS = 1.0
"""Seconds that a connection may take to end after it was closed to make room."""


class Connections:
    """Open connections, oldest first, within the bounds for one address and for all.

    The newest is always answered: an older one of the same address is closed for it, or of the address that has most.
    So a client that opens many closes its own alone, and machines that share an address wait for none of each other's.
    """

    def __init__(self) -> None:
        self._addresses: dict[socket.socket, str] = {}
        self._ended = threading.Condition()

    def admit(self, address: str, request: socket.socket) -> bool:
        """Return whether there is room for a connection, made where there was none."""
        with self._ended:
            if (crowd := self._crowd(address)) is not None:
                close(next(it for it, its_address in self._addresses.items() if its_address == crowd))
                self._ended.wait_for(lambda: self._crowd(address) is None, _ENDS)
            if self._crowd(address) is not None:
                return False
            self._addresses[request] = address
            return True

    def _crowd(self, address: str) -> str | None:
        """Return the address that has to give one up before this one gets another, or None while there is room."""
        counts = Counter(self._addresses.values())
        if counts[address] >= MOST_OF_AN_ADDRESS:
            return address
        return counts.most_common(1)[0][0] if len(self._addresses) >= MOST else None

    def forget(self, request: socket.socket) -> None:
        """Give the room of a connection that ended to others."""
        with self._ended:
            self._addresses.pop(request, None)
            self._ended.notify()


def close(request: socket.socket) -> None:
    """End a connection, whatever its thread waits for."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
