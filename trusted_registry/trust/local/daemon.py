"""The engine's process: its flags, its log, and the reload of its daemon.json without a restart."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Collection
from pathlib import Path

from trusted_registry import program
from trusted_registry.console import Console
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError

RELOAD_SECONDS = 5.0
"""Seconds that an engine may take to reload its configuration."""


def reload(engine: Engine, console: Console) -> None:
    """Make the engine reload daemon.json (dockerd(8), SIGHUP).

    The engine's containers run on.
    """
    if not _systemd():
        pid = str(process_of(engine)) if engine.available else "PID"
        program.run(["kill", "-HUP", pid], console, as_root=True)
    elif engine.available and engine.info().rootless:
        program.run(["systemctl", "--user", "reload", "docker"], console)
    else:
        program.run(["systemctl", "reload", "docker"], console, as_root=True)


def removal_by_hand(*, systemd: bool | None = None) -> str:
    """Return the commands that remove somebody else's entry.

    Args:
        systemd: Whether systemd runs; detected if None.
    """
    known = _systemd() if systemd is None else systemd
    command = "systemctl reload docker" if known else "kill -HUP $(cat /var/run/docker.pid)"
    return f"sudo editor /etc/docker/daemon.json && sudo {command}"


def _systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def flags(engine: Engine, wanted: Collection[str]) -> dict[str, str]:
    """Return some flags, with their last values, of the dockerd that answers; none where no such process is seen."""
    import psutil

    words: list[str] = []
    with contextlib.suppress(RegistryError, psutil.Error):
        words = psutil.Process(process_of(engine)).cmdline()
    found = {}
    for at, word in enumerate(words):
        flag, joined, value = word.partition("=")
        if flag in wanted:
            found[flag] = value if joined else next(iter(words[at + 1 :]), "")
    return found


def began(engine: Engine) -> float:
    """Return when the dockerd that answers was started, in seconds since the epoch; 0 if it is not seen."""
    import psutil

    with contextlib.suppress(RegistryError, psutil.Error):
        return psutil.Process(process_of(engine)).create_time()
    return 0.0


def restart(engine: Engine) -> str:
    """Return the command that restarts an engine."""
    if not _systemd():
        return "sudo service docker restart"
    return "systemctl --user restart docker" if engine.info().rootless else "sudo systemctl restart docker"


def process_of(engine: Engine) -> int:
    """Return the PID of the dockerd that answers at the engine's socket, since others may run on this machine.

    Where systemd listens for dockerd, dockerd's own file tells, which is beside the socket (dockerd(8), --pidfile).

    Raises:
        RegistryError: No dockerd of this machine answers there.
    """
    import psutil

    path = engine.info().socket.removeprefix("unix://")
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        number = _listener(path)
        if psutil.Process(number).name() == "systemd":
            number = int(Path(path).with_name("docker.pid").read_text())
        if psutil.Process(number).name() == "dockerd":
            return number
    raise RegistryError(
        f"No dockerd process of this machine answers at {engine.info().socket}: none can be told of the change.",
        cure="Restart the engine by hand; with Docker Desktop: Settings, Docker Engine, Apply.",
    )


def _listener(path: str) -> int:
    """Return the PID of the process that listens at a socket (unix(7)), where the operating system tells.

    Raises:
        OSError: Nothing listens, or nothing is told.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        peer = getattr(socket, "SO_PEERCRED", -1)  # Linux alone has it
        return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, peer, struct.calcsize("3i")))[0])


def log(engine: Engine) -> str:
    """Return the command that shows an engine's log.

    Without systemd, the log file of Debian's service.
    """
    if not _systemd():
        return "sudo tail /var/log/docker.log"
    return "journalctl --user --unit docker" if engine.info().rootless else "sudo journalctl --unit docker"
