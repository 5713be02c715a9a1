"""Kills the Python that imports it with SIGKILL at a chosen effect: by a .pth file, on a host of the lab.

Every effect outside the process is heard of before it happens (docs.python.org/3/library/audit_events.html). With
KILL_LIST in the environment nobody is killed, and the points are written to that file, a line each. With KILL_AT that
point is the last that the process comes to; the programs that it started live on, as they do when a person kills it.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import stat
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = (
    *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink"),
    *("os.truncate", "os.utime", "fcntl.flock"),
)
"""Effects on the disk: one point each, before it. What is killed after it, is killed before the next one."""

CALLS = ("subprocess.Popen", "http.client.send", "socket.connect")
"""Effects that somebody else brings about: a point before each, and one while it lasts."""

WHILE = 0.004
"""Seconds into a call: enough for a request to have arrived, and too few for openssl to have made its files."""

SAME = 3
"""Times that the same effect counts: how often a registry is asked whether it answers yet, differs from run to run."""

NOT_OURS = ("/dev/", "/proc/")


def _is_file(path: object) -> bool:
    """Whether what is opened is no pipe and no device."""
    return stat.S_ISREG(os.fstat(path).st_mode) if isinstance(path, int) else not str(path).startswith(NOT_OURS)


def kill() -> None:
    """End this process at once, as nothing else can."""
    os.kill(os.getpid(), signal.SIGKILL)


def _later() -> None:
    time.sleep(WHILE)
    kill()


def _at_write(*, after: bool) -> None:
    """Kill at the next write to a file: before it reaches the file, or when Python has it and the disk may not."""

    def heard(_: FrameType, event: str, called: object) -> None:
        if event == ("c_return" if after else "c_call") and getattr(called, "__name__", "") == "write":
            kill()

    sys.setprofile(heard)


class Points:
    """Counts the points that a process comes to, and ends it at one of them."""

    def __init__(self, listing: str, at: int) -> None:
        self.listing = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if listing else -1
        self.at = at
        self.number = 0
        self.times: dict[str, int] = {}

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take note of an event, if it stands for an effect."""
        if event == "open":
            path, mode, flags = arguments
            if isinstance(flags, int) and flags & WRITES and _is_file(path):
                self._open(path, by_python=mode is not None)
        elif event == "socket.connect" and getattr(arguments[0], "type", None) == socket.SOCK_DGRAM:
            return  # this asks the kernel for a route, and sends nothing
        elif event in CHANGES:
            self._come_to(f"{event} {arguments[0]}", kill)
        elif event in CALLS:
            what = str(arguments[:2] if event == "subprocess.Popen" else arguments[1])[:120]
            self._come_to(f"{event} {what}", kill)
            self._come_to(f"while {event} {what}", lambda: _thread.start_new_thread(_later, ()))

    def _open(self, path: object, *, by_python: bool) -> None:
        if not isinstance(path, int):
            self._come_to(f"open {path}", kill)
        if by_python:
            self._come_to(f"write {path}", lambda: _at_write(after=False))
            self._come_to(f"written {path}", lambda: _at_write(after=True))

    def _come_to(self, what: str, end: object) -> None:
        self.times[what] = self.times.get(what, 0) + 1
        if self.times[what] > SAME:
            return
        self.number += 1
        if self.listing >= 0:
            os.write(self.listing, f"{what!r}\n".encode())
        if self.number == self.at and callable(end):
            end()


def watch() -> None:
    """Begin, where the environment says so; what this process starts is not told."""
    listing, at = os.environ.pop("KILL_LIST", ""), int(os.environ.pop("KILL_AT", "0"))
    if listing or at:
        sys.addaudithook(Points(listing, at).hear)


if __name__ == "killer":
    watch()
