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


def clear(engine: DockerClient) -> list[str]:
    """Remove every container, volume and network that carries the lab's label; return their names."""
    mine = {"label": LABEL}
    removed = []
    for container in engine.containers.list(all=True, filters=mine, ignore_removed=True):
        removed.append(str(container.name))
        container.remove(force=True, v=True)
    for thing in [*engine.volumes.list(filters=mine), *engine.networks.list(filters=mine)]:
        removed.append(str(thing.name))
        thing.remove()
    return removed


def snapshot(engine: DockerClient) -> dict[str, object]:
    """Return what the lab must leave alone: what is not labelled as its own, and the engine's configuration."""
    info = engine.info()
    return {
        "images": sorted(f"{image.id} {tag}" for image in engine.images.list() if not _mine(image.labels) for tag in image.tags),
        "containers": sorted(str(one.id) for one in engine.containers.list(all=True, ignore_removed=True) if not _mine(one.labels)),
        "networks": sorted(str(one.id) for one in engine.networks.list() if not _mine(one.attrs["Labels"])),
        "volumes": sorted(str(one.id) for one in engine.volumes.list() if not _mine(one.attrs["Labels"])),
        "registries": json.dumps(info["RegistryConfig"], sort_keys=True),
        "files": {str(path): _digest(path) for path in sorted(CONFIGURATION.rglob("*")) if path.is_file()},
    }


def _mine(labels: dict[str, str] | None) -> bool:
    return LABEL in (labels or {})


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return f"unreadable, {path.stat().st_mtime_ns}"
