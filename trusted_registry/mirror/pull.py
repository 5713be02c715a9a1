"""Pull of an image through a mirror, whole or in part, by this project's own client."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

from trusted_registry.certificate import issue
from trusted_registry.images import manifest
from trusted_registry.images.manifest import Descriptor, Manifest
from trusted_registry.mirror.reach import PATIENCE
from trusted_registry.registry import probe
from trusted_registry.registry.api import RegistryClient
from trusted_registry.registry.probe import Endpoint
from trusted_registry.registry.upload import ARCHITECTURES
from trusted_registry.settings import Settings


def client(at: Endpoint, settings: Settings) -> RegistryClient:
    """Return a client of a mirror, which waits for its upstream."""
    anchor = issue.trust_anchor(settings.folder, dry=True)
    return RegistryClient(at, probe.context(anchor.path), patience=PATIENCE)


def manifests(client: RegistryClient, repository: str, name: str, *, every: bool = False) -> Iterator[Manifest]:
    """Yield the manifest that a tag or a digest names, and of an index those of its images for machines like this one.

    Args:
        client: Client of the mirror.
        repository: The repository.
        name: Tag or digest.
        every: Whether the images of all machines are wanted.

    Raises:
        AnswerError: The mirror does not give one.
        OSError, http.client.HTTPException: The mirror does not answer.
    """
    left = [name]
    seen = set[str]()
    while left:
        at = left.pop()
        found = client.manifest(repository, at)
        if found.digest in seen:
            continue
        seen.add(found.digest)
        made = manifest.parse(found.digest, found.content)
        yield made
        left += [it.digest for it in (made.children if every else fitting(made.children))]


def fitting(children: tuple[Descriptor, ...]) -> list[Descriptor]:
    """Return the images of an index for machines like this one; without one the first."""
    machine = platform.machine()
    wanted = f"linux/{ARCHITECTURES.get(machine, machine)}"
    images = [it for it in children if not it.is_attestation]
    found = [it for it in images if it.platform == wanted or it.platform.startswith(f"{wanted}/")]
    return found or images[:1]


def fetch(
    client: RegistryClient, repository: str, blob: Descriptor, moved: Callable[[int], None] = lambda _: None
) -> None:
    """Fetch a blob, and check its digest.

    Args:
        client: Client of the mirror.
        repository: The repository.
        blob: The blob.
        moved: Called with the bytes that came.

    Raises:
        AnswerError: The content does not match the digest.
        OSError, http.client.HTTPException: The mirror does not answer.
    """
    came = 0
    for chunk in client.blob(repository, blob.digest, blob.size):
        came += len(chunk)
        moved(came)


def smallest(made: Manifest) -> Descriptor | None:
    """Return the smallest blob of an image; None of an index."""
    return min(made.blobs, key=lambda it: it.size, default=None)
