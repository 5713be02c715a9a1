"""One run at a time of what uses this machine's engine under names and ports of its own."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

LOG = logging.getLogger("alone")


def wait(name: str) -> FileLock:
    """Acquire a lock of this machine, waiting for the run that has it; the kernel frees it when its owner dies.

    Args:
        name: Of the lock, such as lab.

    Returns:
        The lock, for the caller to release.
    """
    lock = FileLock(Path(tempfile.gettempdir()) / f"trusted-registry-{name}.lock", mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        LOG.info("another run has the %s; waiting for it to end", name)
        lock.acquire()
    return lock
