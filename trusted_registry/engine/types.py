"""Answers of the engine as typed values; reading its streams and its errors needs no engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trusted_registry.console import Progress, pasteable
from trusted_registry.errors import PortTakenError, RegistryError

ORIGIN_LABEL = "trusted-registry.origin"
"""Label of an image made here rather than pulled: names the origin, for people.

Anybody can set a label, so an image made here is known by the id that the installation noted.
"""

INSTEAD_LABEL = "trusted-registry.instead-of"
"""Label of the same image: names the one that could not be pulled."""

SHELL_LABEL = "trusted-registry.shell"
"""Label of the same image: names its shell."""

_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})", re.IGNORECASE)
"""Status line that ends a push or a pull; the containerd image store reports the digest in no other way."""
_ID = re.compile(r"sha256:[0-9a-f]{64}")
_BUSY = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_PRIVILEGED = re.compile(r"cannot expose privileged port|bind: permission denied", re.IGNORECASE)
LINE = 1 << 16
"""Bytes of a line that is kept whole."""

DOCKER, PODMAN = "Docker", "Podman"


@dataclass(frozen=True)
class EngineInfo:
    """An engine's description of itself; podman answers as Docker does, and is not Docker."""

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
    product: str = DOCKER
    mirrors: tuple[str, ...] = ()
    """Mirrors of Docker Hub."""

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.product} {self.version}"


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
    installation: str = ""
    volume: str = ""
    image_id: str = ""
    files_volume: str = ""
    trial: int | None = None
    """Port of loopback that leads through a front to a successor that is tried."""
    bucket: str = ""
    """URL of the bucket that has the images, s3://BUCKET/PREFIX; "" for the volume."""

    @property
    def behind(self) -> bool:
        """Whether a front publishes this registry, and the engine does not."""
        return self.role == "tls" and self.port is None

    @property
    def ours(self) -> bool:
        """True if this project made the container."""
        return self.role is not None


@dataclass(frozen=True)
class Volume:
    """A volume, the id of the installation that made it, and its role; both are empty where no label names them.

    The folder is on the engine's machine, which may be a virtual one.
    """

    name: str
    installation: str
    role: str = ""
    folder: str = field(default="", compare=False)


@dataclass(frozen=True)
class Network:
    """A network, and the id of the installation that made it; "" where no label names one."""

    name: str
    installation: str


@dataclass(frozen=True)
class ListedContainer:
    """A container of anybody's: its name, its state in the engine's word, such as `running`, and its labels."""

    name: str
    state: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ExecResult:
    """Exit status and output of a program in a container; the status is None if the container ended first."""

    code: int | None
    out: str
    err: str


@dataclass(frozen=True)
class FoundImage:
    """An image of the engine.

    Args:
        id: Its id; "" of an image that is not there.
        content: Digest of all that the image can do: a label can do nothing.
        digests: Repository and digest for each of its pulls.
        entrypoint: Program that its containers begin with.
    """

    id: str
    content: str = ""
    digests: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()


NO_IMAGE = FoundImage("")


def imported(said: str) -> str:
    """Return the id of an image from an import's answer: its name may be another image's by now."""
    found = _ID.findall(said)
    return str(found[-1]) if found else ""


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of a reference; a digest counts as the tag.

    Without either, the tag is `latest`.
    """
    if "@" in reference:
        repository, _, digest = reference.partition("@")
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:  # the colon was a port's
        return reference, "latest"
    return repository, tag


def follow_transfer(events: Iterable[dict[str, Any]], progress: Progress, what: str) -> str | None:
    """Read the stream of a push or a pull to its end; return the digest.

    The API reports failures inside the stream, after status 200 OK.

    Raises:
        RegistryError: The stream reports a failure.
    """
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
    """Return a JSON object unchanged, and {} for any other value."""
    return value if isinstance(value, dict) else {}


def _bytes(value: object) -> int:
    return value if isinstance(value, int) else 0


def pull_cure(reason: str) -> str:
    """Return the cure for an engine's complaint about a registry."""
    from trusted_registry.client_messages import catalogue  # after a failure alone: slow to import

    found = catalogue.find(reason)
    return found[0].one_line if found else "./inv doctor looks for what is wrong."


def start_error(error: RegistryError, port: int) -> RegistryError:
    """Return the error of a container that did not start.

    The cure is for a port that is in use or privileged.
    """
    if _BUSY.search(error.message):
        return PortTakenError(f"Port {port} is in use.", cure="See who holds it: ss --listening --tcp --processes")
    if _PRIVILEGED.search(error.message):
        refusal = f"This engine may not listen on port {port}: {error.message}"
        return RegistryError(refusal, cure="Use a port from 1024 up: ./inv up --port 8443")
    return error


def foreign_network(name: str) -> RegistryError:
    """Return the error of a network that was not made by this installation."""
    found = f"A network named {name} exists, and this installation did not make it. It was left alone."
    return RegistryError(found, cure=f"If nobody needs it: {pasteable(['docker', 'network', 'rm', name])}")


def foreign_volume(name: str) -> RegistryError:
    """Return the error of a volume for files that was not made by this installation."""
    found = f"A volume named {name} exists, and this installation did not make it. It was left alone."
    return RegistryError(found, cure=f"If nobody needs it: {pasteable(['docker', 'volume', 'rm', name])}")


def split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, without their ends; one that is longer than LINE comes in parts."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in complete)
        if len(rest) > LINE:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
