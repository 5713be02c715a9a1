"""What an engine answers, in words and values: reading its streams and its reasons needs no engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.registry import spec as specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trusted_registry.console import Progress

_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})", re.IGNORECASE)
"""What a pull says at its end, and a push too; the containerd image store says it in words alone."""
_BUSY = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_PRIVILEGED = re.compile(r"cannot expose privileged port|bind: permission denied", re.IGNORECASE)


@dataclass(frozen=True)
class EngineInfo:
    """An engine in words."""

    system: str
    version: str
    socket: str
    rootless: bool
    store: str
    insecure: tuple[str, ...]
    desktop: bool
    proxy: str = ""
    no_proxy: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Container:
    """A container with the registry's name."""

    id: str
    role: str | None
    digest: str | None
    state: str
    image: str
    listen: str
    port: int | None

    @property
    def ours(self) -> bool:
        """Whether this project made it."""
        return self.role is not None


@dataclass(frozen=True)
class ListedContainer:
    """A container of somebody's: its name, its state in the engine's word, such as `running`, and its labels."""

    name: str
    state: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ExecResult:
    """What a program in a container left behind; no exit status where the container ended before the program did."""

    code: int | None
    out: str
    err: str


def info(said: Mapping[str, Any], socket: str) -> EngineInfo:
    """Return what an engine says of itself, and where it was asked."""
    registries = said.get("RegistryConfig") or {}
    indexes = (registries.get("IndexConfigs") or {}).values()
    driver_status = {str(entry[0]): str(entry[1]) for entry in said.get("DriverStatus") or []}
    return EngineInfo(
        system=str(said.get("OperatingSystem", "an unknown system")),
        version=str(said.get("ServerVersion", "")),
        socket=socket,
        rootless="name=rootless" in (said.get("SecurityOptions") or []),
        store="containerd" if "snapshotter" in driver_status.get("driver-type", "") else "classic",
        insecure=tuple(
            [*(registries.get("InsecureRegistryCIDRs") or [])]
            + [str(index["Name"]) for index in indexes if not index.get("Secure", True)]
        ),
        desktop="Docker Desktop" in str(said.get("OperatingSystem", "")),
        proxy=str(said.get("HttpsProxy") or ""),
        no_proxy=str(said.get("NoProxy") or ""),
        folder=str(said.get("DockerRootDir") or ""),
    )


def container(attributes: Mapping[str, Any]) -> Container:
    """Read what the engine says of one container."""
    labels = attributes["Config"].get("Labels") or {}
    bindings = attributes["HostConfig"].get("PortBindings") or {}
    published = [binding for entries in bindings.values() for binding in entries or []]
    return Container(
        id=str(attributes["Id"]),
        role=labels.get(specs.LABEL),
        digest=labels.get(specs.DIGEST_LABEL),
        state=str(attributes["State"]["Status"]),
        image=str(attributes["Config"]["Image"]),
        listen=str(published[0]["HostIp"]) if published else "",
        port=int(published[0]["HostPort"]) if published else None,
    )


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of a reference: `latest` where it has none; a digest counts as the tag."""
    if "@" in reference:
        repository, _, digest = reference.partition("@")
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:  # the colon was a port's
        return reference, "latest"
    return repository, tag


def follow_transfer(events: Iterable[dict[str, Any]], progress: Progress, what: str) -> str | None:
    """Read a push or pull to its end: the API reports failures inside the stream, after it said 200 OK."""
    digest = None
    for event in map(_fields, events):
        if "error" in event:
            reason = _fields(event.get("errorDetail")).get("message") or event["error"] or "the engine gives no reason"
            raise RegistryError(f"{what}: {reason}", cure=pull_cure(f"{what}: {reason}"))
        detail = _fields(event.get("progressDetail"))
        if "id" in event and "current" in detail:
            progress.update(str(event["id"]), _bytes(detail["current"]), _bytes(detail.get("total")))
        if aux := _fields(event.get("aux")).get("Digest"):
            digest = str(aux)
        elif found := _DIGEST.search(str(event.get("status", ""))):
            digest = found.group(1)
    return digest


def _fields(value: object) -> dict[str, Any]:
    """Return a JSON object as it is, and nothing of whatever else stands in its place."""
    return value if isinstance(value, dict) else {}


def _bytes(value: object) -> int:
    return value if isinstance(value, int) else 0


def pull_cure(reason: str) -> str:
    """Return what helps against what an engine says of a registry."""
    from trusted_registry.messages import catalogue  # for what failed alone: it takes its time to be read

    found = catalogue.find(reason)
    return found[0].one_line if found else "./inv doctor looks for what is wrong."


def start_error(error: RegistryError, port: int) -> RegistryError:
    """Return the error of a container that did not start, with the cure for a port that it may not or cannot have."""
    if _BUSY.search(error.message):
        return PortTakenError(f"Port {port} is in use.", cure="See who holds it: ss --listening --tcp --processes")
    if _PRIVILEGED.search(error.message):
        return RegistryError(
            f"This engine may not listen on port {port}: {error.message}",
            cure="Use a port from 1024 up: ./inv up --port 8443",
        )
    return error
