"""The proof: an image made on the spot goes to the registry and comes back the same."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry.errors import RegistryError
from trusted_registry.registry import layer, probe

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from trusted_registry.console import Console
    from trusted_registry.registry.engine import Engine
    from trusted_registry.registry.users import Login

REPOSITORY = "trusted-registry-proof"
"""A repository of its own, so that cleaning up cannot meet anybody's images."""

_PACKED = re.compile(rf"\S+/{REPOSITORY}:[0-9a-f]{{8}}\Z")

_REACHED = re.compile(
    r"manifest unknown|manifest for \S+ not found|: not found|does not exist|unauthorized|no basic auth credentials"
    r"|authentication required|requested access to the resource is denied",
    re.IGNORECASE,
)
"""What engines say when a registry answered that it has no such image, or wants a login first."""

_DISTRUST = re.compile(r"x509|tls: |HTTP response to HTTPS client")


@dataclass(frozen=True)
class Proof:
    """An image that went and came back: where, under which digest, in how many seconds."""

    registry: str
    digest: str
    seconds: float


def pack(registry_host: str, engine: Engine, *, image: str = "", note: Callable[[str], None] = lambda _: None) -> str:
    """Have an image here that is ready to go, and return its reference.

    Args:
        registry_host: The registry part of a reference, such as 192.168.0.12 or localhost:5000.
        engine: Where the image is.
        image: An image to send; a tiny one with random content is made when empty.
        note: Called with the reference before there is anything of that name.
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
    """Whether a reference is one that `pack` made up."""
    return bool(_PACKED.fullmatch(reference))


def discard(reference: str, engine: Engine) -> None:
    """Take away what was packed; not being able to is no error, since something else is then wrong already."""
    with contextlib.suppress(RegistryError):
        engine.untag(reference)


def prove(reference: str, engine: Engine, console: Console, login: Login | None = None) -> Proof | None:
    """Push what was packed, remove it here, pull it back, compare the digests, and clean up.

    Args:
        reference: What `pack` returned.
        engine: The client whose trust is proved.
        console: Whom to show it to.
        login: As whom; by default as whoever this person logged in as, if at all.

    Returns:
        The proof; None in a dry run.

    Raises:
        RegistryError: The push or the pull failed, or what came back is not what went.
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


def forget(proof: Proof, endpoint: probe.Endpoint, tls: ssl.SSLContext | None, login: Login | None = None) -> None:
    """Take the proof's manifest out of the registry; its few bytes go with the next garbage collection."""
    probe.delete_manifest(endpoint, REPOSITORY, proof.digest, tls, login.header if login else {})


def refusal(registry_host: str, engine: Engine) -> str | None:
    """Return why an engine refuses a registry, or None where it accepts it: asked by a pull of what cannot exist."""
    try:
        engine.try_pull(f"{registry_host}/{REPOSITORY}:absent")
    except RegistryError as error:
        reason = error.message.replace(registry_host, "")  # a host may be called anything
        return None if _REACHED.search(reason) and not is_distrust(reason) else error.message
    return None


def is_distrust(reason: str) -> bool:
    """Whether an engine was answered by a registry and does not trust it."""
    return bool(_DISTRUST.search(reason))
