"""The engine that carries the lab: reached as any program reaches it, and left as it was found."""

from __future__ import annotations

import contextlib
import hashlib
import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException, NotFound

from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from docker import DockerClient

LABEL = "trusted-registry.lab"
"""On everything that the lab makes: what carries it may be removed, what does not is never touched."""

PATIENCE = 900
"""Seconds that one call may take: a step of an image's making says nothing while it unpacks."""

CONFIGURATION = Path("/etc/docker")

OWN = "trusted-registry-lab/"
"""Beginning of the names of the lab's images."""

DEBIAN = os.environ.get("LAB_DEBIAN", "debian")
"""Repository of the bases; a mirror's, such as registry.example/debian, where the Hub cannot be reached."""


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


def clear(engine: DockerClient, label: str = f"{LABEL}=1") -> list[str]:
    """Remove every container, volume and network that carries a label, the lab's by default; return their names."""
    removed = []
    for container in engine.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        removed.append(str(container.name))
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise
            # It ended by itself meanwhile, or the engine is at that already: its volumes are in use until then.
            with contextlib.suppress(NotFound):
                container.wait(condition="removed", timeout=PATIENCE)
    for volume in engine.volumes.list(filters={"label": label}):
        removed.append(str(volume.name))
        volume.remove()
    for network in engine.networks.list(filters={"label": label}):
        removed.append(str(network.name))
        network.remove()
    return removed


def snapshot(engine: DockerClient) -> dict[str, str]:
    """Return the images of an engine, the registries that it does not verify, and the files of its configuration.

    The keys tell what a thing is, the values its state. Containers, volumes and networks are not compared: the lab's
    are removed by its label.
    """
    files = [path for path in CONFIGURATION.rglob("*") if path.is_file()]
    return {
        **{f"unverified {name}": "" for name in _unverified(engine.info()["RegistryConfig"])},
        # In one answer: an image that is asked for by its id may be gone by then.
        **{f"image {name}": str(image["Id"]) for image in engine.api.images() for name in _names(image)},
        **{f"file {path}": _content(path) for path in files},
    }


def left(before: dict[str, str], now: dict[str, str], marks: Collection[str]) -> list[str]:
    """Return the things that the lab left between two snapshots, new or other, by its marks.

    The engine is other people's too, who pull images and trust registries meanwhile; none of that has a mark of the
    lab. The lab's own images are made to stay, and what an earlier run left is taken away; Debian's images are its
    doing, gone or there, only where it made a base of them.

    Args:
        before: The snapshot from before the lab.
        now: The snapshot from after.
        marks: Texts that nobody else's things have in their name or content: the lab's label, names and addresses.
    """
    differ = [thing for thing in before.keys() | now.keys() if before.get(thing) != now.get(thing)]
    bases = [thing.removeprefix(f"image {OWN}base:") for thing in differ if thing.startswith(f"image {OWN}base:")]
    pulled = {f"image {DEBIAN}:{suite}" for suite in bases}
    texts = {thing: f"{thing} {now[thing]}" if thing in now else "" for thing in differ}
    return sorted(thing for thing, text in texts.items() if thing in pulled or any(mark in text for mark in marks))


def _unverified(registries: dict[str, Any]) -> list[str]:
    indexes = (registries.get("IndexConfigs") or {}).values()
    return [*(registries.get("InsecureRegistryCIDRs") or []), *(it["Name"] for it in indexes if not it["Secure"])]


def _names(image: Mapping[str, Any]) -> list[str]:
    """Return the names of an image, or its id, with the lab's label where that is not told by a name of the lab's."""
    tags = [tag for tag in image["RepoTags"] or [] if tag != "<none>:<none>"]
    labelled = (image["Labels"] or {}).get(LABEL) == "1"  # that of nox -s fresh, which may run beside, is another
    return [f"{it} ({LABEL})" if labelled and not it.startswith(OWN) else it for it in tags or [image["Id"]]]


def _content(path: Path) -> str:
    """Return a file's content where others' lines may stand beside the lab's, and a digest of any other."""
    try:
        content = path.read_bytes()
        return content.decode(errors="replace") if path.name == "daemon.json" else hashlib.sha256(content).hexdigest()
    except OSError as error:  # closed to this user, or gone by now
        return str(error.strerror)
