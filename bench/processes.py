"""The processes of one run, its commands' children included, whatever session they have made for themselves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "TRUSTED_REGISTRY_BENCH"
"""The variable that holds the run's folder; every process that a run starts inherits it."""

_SECONDS = 10


def kill(folder: str) -> list[int]:
    """Kill the processes of a run and return those that are still there."""
    found = list(_of(folder))
    for process in found:
        try:
            process.kill()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(found, timeout=_SECONDS)
    return [process.pid for process in alive]


def _of(folder: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["name"]):
        if process.pid != os.getpid() and _belongs(process, folder):
            yield process


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        # sshd writes its title over its environment (openssh, setproctitle.c), but keeps its arguments in it.
        if process.name() == "sshd":
            return f"{folder}/" in " ".join(process.cmdline())
        return process.environ().get(MARK) == folder
    except (psutil.Error, OSError):
        return False
