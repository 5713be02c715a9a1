"""The engine that carries the lab: reached as any program reaches it, and left as it was found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from docker.errors import DockerException

from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "trusted-registry.lab"
"""On everything that the lab makes: what carries it may be removed, what does not is never touched."""

PATIENCE = 900
"""Seconds that one call may take: a step of an image's making says nothing while it unpacks."""

CONFIGURATION = Path("/etc/docker")


def connect() -> DockerClient:
    """Return a client of the engine that DOCKER_HOST or the default socket names.

    Raises:
        LabError: No engine answers.
    """
    try:
        engine = docker.from_env(timeout=PATIENCE)
        engine.ping()
    except DockerException as error:
        raise LabError(f"No Docker Engine answers ({error}). ./inv engine sets one up.") from error
    return engine


def clear(engine: DockerClient, label: str = LABEL) -> list[str]:
    """Remove every container, volume and network that carries a label, the lab's by default; return their names."""
    removed = []
    for container in engine.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        removed.append(str(container.name))
        container.remove(force=True, v=True)
    for volume in engine.volumes.list(filters={"label": label}):
        removed.append(str(volume.name))
        volume.remove()
    for network in engine.networks.list(filters={"label": label}):
        removed.append(str(network.name))
        network.remove()
    return removed


def snapshot(engine: DockerClient) -> dict[str, str]:
    """Return what the lab must leave alone: the engine's configuration, its certs.d, and images that are not its own.

    Other people's containers and volumes are not compared: they come and go while the lab runs. What the lab makes of
    those is removed by its label.
    """
    images = [image for image in engine.images.list() if not _mine(image.labels)]
    files = [path for path in CONFIGURATION.rglob("*") if path.is_file()]
    return {
        "the registries it does not verify": json.dumps(engine.info()["RegistryConfig"], sort_keys=True),
        **{f"image {tag}": str(image.id) for image in images for tag in image.tags},
        **{f"file {path}": _digest(path) for path in files},
    }


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what is not as it was between two snapshots: gone, new or other."""
    return sorted(thing for thing in before.keys() | now.keys() if before.get(thing) != now.get(thing))


def _mine(labels: dict[str, str] | None) -> bool:
    return LABEL in (labels or {})


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return f"unreadable, {path.stat().st_mtime_ns}"
