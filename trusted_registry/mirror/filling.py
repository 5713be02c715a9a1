"""Filling of a mirror: images are fetched ahead, by the names that clients use."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from trusted_registry.console import Progress
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import reference
from trusted_registry.images.manifest import Kind
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.mirror import pull
from trusted_registry.mirror.upstream import DOCKER_HUB, canonical
from trusted_registry.registry.api import RegistryClient

_STORE_SECONDS = 30.0
"""Seconds in which a mirror puts down what it has given: version 2.8 does so beside, with a request of its own."""
_PAUSE = 0.5
_REFERENCE = re.compile(r"(?P<repository>[^:@]+)(?::(?P<tag>[^:@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")


@dataclass(frozen=True)
class UpstreamImage:
    """Reference of an image in an upstream: its host, its repository, and tag or digest."""

    upstream: str
    repository: str
    name: str

    def __str__(self) -> str:
        """Return the reference with its host."""
        return f"{self.upstream}/{reference.joined(self.repository, self.name)}"


@dataclass(frozen=True)
class Filled:
    """Manifests and blobs that a mirror was asked for, and their bytes."""

    manifests: int
    blobs: int
    bytes: int


def parse(text: str) -> UpstreamImage:
    """Return a reference as docker reads it: of the Docker Hub without a host, library/ without a user, latest.

    Raises:
        SettingError: The text is no such reference.
    """
    host, slash, rest = text.strip().partition("/")
    is_host = bool(slash) and (bool(set(host) & set(".:")) or host == "localhost")
    upstream, rest = (canonical(host), rest) if is_host else (DOCKER_HUB, text.strip())
    found = _REFERENCE.fullmatch(rest)
    repository = found["repository"] if found else ""
    if upstream == DOCKER_HUB and repository and "/" not in repository:
        repository = f"library/{repository}"
    tag = (found["tag"] if found else "") or "latest"
    if not found or not reference.is_repository(repository) or not reference.is_tag(tag):
        cure = "Use one such as docker.io/library/alpine:3.20 or ghcr.io/org/app@sha256:…"
        raise SettingError(f"{text!r} is no image of a registry that is mirrored.", cure=cure)
    return UpstreamImage(upstream, repository, found["digest"] or tag)


def fill(wanted: UpstreamImage, client: RegistryClient, progress: Progress, *, every: bool) -> tuple[Filled, set[str]]:
    """Have a mirror fetch an image, with every blob.

    Args:
        wanted: The image.
        client: Client of the mirror.
        progress: Shows the bytes of each blob.
        every: Whether an index's images for all machines are fetched, and not only those for ones like this.

    Returns:
        Their number, and the digests of all that the mirror is to hold now.

    Raises:
        AnswerError: The mirror does not give a part, and neither does its upstream.
        OSError, http.client.HTTPException: The mirror does not answer.
    """
    digests, size, blobs = set[str](), 0, 0
    found = list(pull.manifests(client, wanted.repository, wanted.name, every=every))
    for made in found:
        digests.add(made.digest)
        for blob in made.blobs:
            if blob.is_optional or blob.digest in digests or made.kind is Kind.INDEX:
                continue
            moved = 0

            def move(came: int, part: str = blob.digest, total: int = blob.size) -> None:
                nonlocal moved
                moved = came
                progress.update(part, moved, total)

            pull.fetch(client, wanted.repository, blob, move)
            digests.add(blob.digest)
            size, blobs = size + blob.size, blobs + 1
    return Filled(len(found), blobs, size), digests


def private(wanted: UpstreamImage) -> RegistryError:
    """Return the error of an image for which an upstream asks its mirror for a login, whose password no mirror has."""
    return RegistryError(
        f"{wanted.upstream} gives {wanted} to nobody without a login, and a mirror has none: it holds public images.",
        cure=f"Look at its name; a private image is pulled from {wanted.upstream} itself, or pushed to this registry.",
    )


def await_held(wanted: UpstreamImage, digests: set[str], container: str, engine: Engine) -> None:
    """Wait until a mirror holds all digests of an image that was fetched.

    Raises:
        RegistryError: The mirror does not store a part, such as on a full disk.
    """
    end = time.monotonic() + _STORE_SECONDS
    while left := digests - set(VolumeStorage(container, engine).files().blobs):
        if time.monotonic() > end:
            wrong = f"The mirror gave {wanted} and does not hold {len(left)} of its parts: its disk may be full."
            raise RegistryError(wrong, cure="df --human-readable; ./inv mirror.clean --older 30")
        time.sleep(_PAUSE)
