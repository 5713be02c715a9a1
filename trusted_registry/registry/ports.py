"""Who holds a port that the registry wants: a container, a process, or an engine that is mistaken."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry.registry.answers import PortTaken

if TYPE_CHECKING:
    from trusted_registry.errors import RegistryError
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


def held(port: int, settings: Settings, engine: Engine) -> RegistryError:
    """Return an error that names who holds a port: a container, or a process."""
    container = engine.publisher(port)
    free = port + 8000 if port <= 1024 else port + 1  # noqa: PLR2004 - last privileged port
    how = f"INVOKE_REGISTRY_PLAIN_PORT={free}" if port == settings.plain_port else f"./inv up --port {free}"
    other = f"Use another port: {how}"
    if container:
        return PortTaken(
            f"Port {port} is in use by the container {container}.", cure=f"docker stop {container}; or: {other}"
        )
    if listeners(port) == [] or _left_by_docker(port):
        return PortTaken(
            f"Docker keeps port {port} for a container that this engine does not know: another engine's, or one "
            "in whose start it was killed.",
            cure=f"sudo docker ps shows another's. Where there is none: sudo service docker restart; or: {other}",
        )
    return PortTaken(
        f"Port {port} is in use by {listener(port) or 'a process of another user'}.", cure=f"Stop it; or: {other}"
    )


def _left_by_docker(port: int) -> bool:
    """Whether Docker's own proxy listens, as it does for a container: seen after the engine was killed in its start."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[0].endswith("docker-proxy") and f"-host-port {port} " in " ".join(words):
            return True
    return False


def listener(port: int) -> str | None:
    """Return name and number of the process that listens on a TCP port, where this user may know."""
    import psutil

    for number in filter(None, listeners(port) or []):
        with contextlib.suppress(psutil.NoSuchProcess):
            return f"{psutil.Process(number).name()} (process {number})"
    return None


def listeners(port: int) -> list[int | None] | None:
    """Return the number of each process that listens on a TCP port, or None for another user's; None where all hide."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS, unless root
        return None
    return [
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
    ]
