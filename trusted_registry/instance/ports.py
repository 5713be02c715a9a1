"""Holders of a port or an address that the registry wants: a container, a process, an engine's stale proxy."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING

from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.settings import Settings

if TYPE_CHECKING:
    import psutil

_START_SECONDS = 5
"""Seconds within which an engine surely counts a container as running that it started; some milliseconds as a rule."""


def lost_cure(lost: Collection[int], settings: Settings) -> str:
    """Return the command that ends containers which the engine lost, and the next one."""
    return f"{pasteable(['sudo', 'kill', '-KILL', *map(str, lost)])}; then {settings.command('up')}"


def taken_error(port: int, settings: Settings, engine: Engine) -> RegistryError:
    """Return an error that names the container or process on a port."""
    container = engine.publisher_of(port)
    free = port + 8000 if port <= 1024 else port + 1  # noqa: PLR2004 - last privileged port
    plain = f"INVOKE_REGISTRY_PLAIN_PORT={free} {settings.command('registry.basic')}"
    other = f"use another port: {plain if port == settings.plain_port else settings.command(f'up --port {free}')}"
    if container:
        return PortTakenError(
            f"Port {port} is in use by the container {container}.",
            cure=f"{pasteable(['docker', 'stop', container])}; or {other}",
        )
    found = listening_pids(port)
    if found == [] or any(_is_docker_proxy(number) for number in found or [] if number):
        return PortTakenError(
            f"Docker keeps port {port} for a container that this engine does not know: another engine's, or one "
            "in whose start it was killed.",
            cure=f"sudo docker ps shows another engine's. If there is none: sudo service docker restart; or {other}",
        )
    if who := listening_process(port):
        return PortTakenError(f"Port {port} is in use by {who}.", cure=f"Stop it; or {other}")
    listing = f"sudo lsof -nP -iTCP:{port} -sTCP:LISTEN" if found is None else f"sudo ss -ltnp 'sport = :{port}'"
    known = "names it; where it is a docker-proxy that no container has: sudo service docker restart"
    return PortTakenError(f"Port {port} is in use by a process of another user.", cure=f"{listing} {known}; or {other}")


def _is_docker_proxy(number: int) -> bool:
    """Return whether a process is Docker's own proxy, as for a container.

    A proxy without a container was seen after an engine was killed during a start.
    """
    import psutil

    with contextlib.suppress(psutil.Error):
        words = psutil.Process(number).cmdline() or [""]
        return words[0].rpartition("/")[2] == "docker-proxy"
    return False


def lost_containers(engine: Engine) -> list[int]:
    """Return the first process of each container that the engine lost when it was killed in the middle of its start.

    It runs on, or waits to begin. The engine gives its address to the next container, and the kernel's bridge leads to
    either of both, until that process has ended. Only a container that the engine still knows is told: what it does not
    know may be another engine's. Takes no time unless something is found, which is looked at again after some seconds:
    it may just have been started.
    """
    if found := _running_though_stopped(engine):
        time.sleep(_START_SECONDS)
        return sorted(found & _running_though_stopped(engine))
    return []


def _running_though_stopped(engine: Engine) -> set[int]:
    """Return the first process of each container that this engine counts as stopped, though it runs."""
    import psutil

    found: set[int] = set()
    with contextlib.suppress(RegistryError):
        owner = os.geteuid() if engine.available and engine.info().rootless else 0
        for shim in psutil.process_iter(["cmdline", "uids"]) if engine.available else ():
            container = _container_of(shim.info["cmdline"] or [])
            is_ours = container and (shim.info["uids"] or (None,))[0] == owner
            if is_ours and _is_stopped(container, engine):
                found |= _children(shim)
    return found


def _container_of(words: list[str]) -> str:
    """Return the id of the container that a process of containerd runs for Docker, by its command line; else ""."""
    options = dict(pairwise(words))
    return options.get("-id", "") if options.get("-namespace") == "moby" else ""


def _is_stopped(container: str, engine: Engine) -> bool:
    known = engine.find(container)
    return known is not None and known.state in ("created", "exited", "dead")


def _children(shim: psutil.Process) -> set[int]:
    import psutil

    with contextlib.suppress(psutil.Error):
        return {it.pid for it in shim.children()}
    return set()


def is_taken(listen: str, port: int) -> bool:
    """Return whether an address and port are in use; False if unknown.

    Args:
        listen: The address; "" for all of them.
        port: The TCP port.
    """
    # Whoever gets it knows that it is free, and need not look at every socket of every process.
    family = socket.AF_INET if listen and ":" not in listen else socket.AF_INET6
    with contextlib.suppress(OSError, ValueError):
        socket.create_server((listen, port), family=family, dualstack_ipv6=not listen).close()
        return False
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
    return any(
        it in (listen, *everywhere) or (not listen and ":" not in it) for it, _number in _listening_sockets(port) or []
    )


def listening_process(port: int) -> str | None:
    """Return name and id of the process that listens on a TCP port, or None.

    None also stands for a process that this user may not see.
    """
    import psutil

    for number in filter(None, listening_pids(port) or []):
        with contextlib.suppress(psutil.NoSuchProcess):
            return f"{psutil.Process(number).name()} (process {number})"
    return None


def listening_pids(port: int) -> list[int | None] | None:
    """Return the id of each process that listens on a TCP port.

    Another user's process has the id None; the result is None if the system hides all of them.
    """
    found = _listening_sockets(port)
    return None if found is None else [number for _address, number in found]


def _listening_sockets(port: int) -> list[tuple[str, int | None]] | None:
    """Return address and process id of each listener on a TCP port.

    Only this network namespace counts, and only processes that this user may see have an id.
    """
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS, unless root
        return None
    return [
        (str(connection.laddr.ip), connection.pid)
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    ]
