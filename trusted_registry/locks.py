"""Locks on files that go when nobody needs them: whoever gets one makes sure that others find the same file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from trusted_registry import owners
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

_MODE = 0o600
_WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_PAUSE = 0.05
"""Seconds between two tries: the kernel would wait without end."""


def hold(path: Path, patience: float) -> int:
    """Lock the file at a path, not one that its last holder took away meanwhile, and return its handle for `let_go`.

    The kernel drops the lock of a process that ends, however that ends (flock(2)).

    Raises:
        RegistryError: Another run holds the lock for longer than `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _MODE)
        try:
            _lock(handle, path, end)
            if _lies_at(handle, path):
                owners.give(handle, path.parent)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int, path: Path, end: float) -> None:
    """Wait for the lock of an open file, but not for longer than until `end`, by `time.monotonic`."""
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the second one on NFS, whose locks are of another kind (fcntl(2))
            if time.monotonic() >= end:
                cure = f"Wait for it, or see who it is: {pasteable(['fuser', '-v', path])}"
                raise RegistryError(f"Another run has held {path.parent} for a minute.", cure=cure) from None
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            wrong = f"The file system of {path.parent} has no locks, by which two runs wait for each other."
            which = pasteable(["findmnt", "-T", path.parent])
            cure = f"Mount it with locks, on NFS with local_lock=flock (nfs(5)); which it is: {which}"
            raise RegistryError(wrong, cure=cure) from error
        else:
            return


def let_go(handle: int, path: Path) -> None:
    """Take the file of a lock away while the lock is still held, and then let go of the lock."""
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(handle)


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
