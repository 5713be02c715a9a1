"""The proof of a registry: an image made on the spot is pushed and comes back the same."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry.errors import RegistryError
from trusted_registry.registry import layer
from trusted_registry.registry.api import RegistryClient

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from trusted_registry.console import Console
    from trusted_registry.engine.engine import Engine
    from trusted_registry.registry.probe import Endpoint
    from trusted_registry.registry.users import Login

REPOSITORY = "trusted-registry-proof"
"""Repository of the proof's own, so that cleaning up cannot meet anybody's images."""

_PACKED = re.compile(rf"\S+/{REPOSITORY}:[0-9a-f]{{8}}\Z")

_REACHED = re.compile(
    r"manifest unknown|manifest for \S+ not found|: not found|does not exist|unauthorized|no basic auth credentials"
    r"|authentication required|requested access to the resource is denied",
    re.IGNORECASE,
)
"""Errors of an engine whose registry did answer: no such image, or a login is required."""

_DISTRUST = re.compile(r"x509|tls: |HTTP response to HTTPS client")


@dataclass(frozen=True)
class Proof:
    """An image that was pushed and pulled back: registry host, digest, and duration in seconds."""

    registry: str
    digest: str
    seconds: float


def pack(registry_host: str, engine: Engine, *, image: str = "", note: Callable[[str], None] = lambda _: None) -> str:
    """Tag or make an image that is ready to push, and return its reference.

    Args:
        registry_host: The registry host in the reference, such as 192.168.0.12 or localhost:5000.
        engine: The engine that has the image.
        image: The image to push; a tiny one with random content is made when empty.
        note: Called with the reference before any image has that name.
    """
    reference = f"{registry_host}/{REPOSITORY}:{secrets.token_hex(4)}"
    note(reference)
    if image:
        if not engine.has_image(image):
            engine.pull(image)
        engine.tag(image, reference)
    else:
        engine.import_image(reference, layer.random_tar())
    return reference


def is_packed(reference: str) -> bool:
    """Return whether a reference is one made by `pack`."""
    return bool(_PACKED.fullmatch(reference))


def discard(reference: str, engine: Engine) -> None:
    """Remove a packed image; a failure is ignored.

    Something else is then wrong already.
    """
    with contextlib.suppress(RegistryError):
        engine.untag(reference)


def prove(reference: str, engine: Engine, console: Console, login: Login | None = None) -> Proof | None:
    """Push a packed image, pull the same back, and compare the digests.

    The image is removed here before the pull, and again at the end.

    Args:
        reference: The result of `pack`.
        engine: The client whose trust is proved.
        console: The console that shows the commands.
        login: The login to use; by default the person's own, if any.

    Returns:
        The proof; None in a dry run.

    Raises:
        RegistryError: The push or the pull failed, or the digests differ.
    """
    registry_host = reference.partition("/")[0]
    begun = time.monotonic()
    try:
        pushed = engine.push(reference, login)
        engine.untag(reference)
        pulled = engine.pull(reference, login)
    finally:
        discard(reference, engine)
    if console.dry:
        return None
    if pushed is None or pushed != pulled:
        raise RegistryError(
            f"What was pulled from {registry_host} ({pulled}) is not what was pushed ({pushed}).",
            cure="Another registry or a cache answers at that name: ./inv status shows the certificate it serves.",
        )
    return Proof(registry_host, pushed, time.monotonic() - begun)


def forget(proof: Proof, endpoint: Endpoint, tls: ssl.SSLContext | None, login: Login | None = None) -> None:
    """Delete the proof's manifest from the registry.

    Its few bytes go with the next garbage collection.
    """
    RegistryClient(endpoint, tls, login).delete_manifest(REPOSITORY, proof.digest)


def refusal(registry_host: str, engine: Engine) -> str | None:
    """Return the reason why an engine refuses a registry, or None.

    The engine is asked to pull a tag that cannot exist.
    """
    try:
        engine.try_pull(f"{registry_host}/{REPOSITORY}:absent")
    except RegistryError as error:
        reason = error.message.replace(registry_host, "")  # a host may be called anything
        return None if _REACHED.search(reason) and not is_distrust(reason) else error.message
    return None


def is_distrust(reason: str) -> bool:
    """Return whether an error means that a registry answered, untrusted."""
    return bool(_DISTRUST.search(reason))
