"""Locks on files that go when nobody needs them: whoever gets one makes sure that others find the same file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import owners
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from filelock import FileLock

_MODE = 0o600


def hold(path: Path, patience: float) -> FileLock:
    """Return a lock that is held on the file at a path, not on one that its last holder took away meanwhile.

    Raises:
        RegistryError: Another run holds the lock for longer than `patience` seconds.
    """
    import filelock

    end = time.monotonic() + patience
    while True:
        lock = filelock.FileLock(path, timeout=max(0.0, end - time.monotonic()), mode=_MODE)
        try:
            lock.acquire()
        except filelock.Timeout:
            cure = f"Wait for it, or see who it is: {pasteable(['fuser', '-v', path])}"
            raise RegistryError(f"Another run has held {path.parent} for a minute.", cure=cure) from None
        # No version of filelock hands the descriptor out otherwise.
        if (handle := lock._context.lock_file_fd) is None or _lies_at(handle, path):  # noqa: SLF001
            if handle is not None:
                owners.give(handle, path.parent)
            return lock
        lock.release()


def let_go(lock: FileLock, path: Path) -> None:
    """Take the file of a lock away while the lock is still held, and then release the lock."""
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        lock.release()


def new_file(path: Path, mode: int) -> int:
    """Make and lock a file, and return its handle; again, if a clearing-up took the file in the instant between."""
    while True:
        # O_EXCL: neither another's file nor a link to one; the mode holds from the first byte on.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with contextlib.suppress(OSError):  # where the file system knows no locks, nothing is cleared away
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _lies_at(handle, path):
            return handle
        os.close(handle)


def _lies_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at its path, and was not removed or replaced since."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.lstat())
    return False
