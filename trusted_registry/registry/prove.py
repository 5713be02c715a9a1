"""The proof of a registry: an image made on the spot is pushed and comes back the same."""

from __future__ import annotations

import contextlib
import re
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry import threads
from trusted_registry.console import Console
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.registry import layer
from trusted_registry.registry.probe import Endpoint
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from trusted_registry.client_messages.message import Kind

# What clients say is imported after a failure alone.

REPOSITORY = "trusted-registry-proof"
"""Repository of the images that are made for a proof, so that cleaning up cannot meet anybody's."""

OTHERS = f"{REPOSITORY}-image"
"""Repository of images that a person names for a proof: others may have their contents, which wait for a collection."""

DOCTOR = "./inv doctor  # asks the engine too, and says what it reads instead of what was written here"
"""Cure of an engine that distrusts a registry after trust was installed."""

_PACKED = re.compile(rf"\S+/(?:{REPOSITORY}|{OTHERS}):[0-9a-f]{{8}}\Z")


@dataclass(frozen=True)
class Proof:
    """An image that was pushed and pulled back: registry host, repository, digest, and duration in seconds."""

    registry: str
    repository: str
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
    reference = f"{registry_host}/{OTHERS if image else REPOSITORY}:{secrets.token_hex(4)}"
    note(reference)
    if image:
        if not engine.has_image(image):
            engine.pull(image)
        engine.tag(image, reference)
    else:
        engine.import_image(reference, layer.random_tar(), typed=layer.TYPED)
    return reference


def is_proof(repository: str) -> bool:
    """Whether a repository is the proof's own, which stands in no list."""
    return repository in {REPOSITORY, OTHERS}


def is_packed(reference: str) -> bool:
    """Return whether a reference is one made by `pack`."""
    return bool(_PACKED.fullmatch(reference))


def discard(reference: str, engine: Engine) -> None:
    """Remove a packed image; a failure is ignored.

    Something else is then wrong already.
    """
    with contextlib.suppress(RegistryError):
        engine.untag(reference)


def prove(
    reference: str,
    engine: Engine,
    console: Console,
    login: Login | None = None,
    meanwhile: Callable[[Proof], None] = lambda _: None,
) -> Proof | None:
    """Push a packed image, pull the same back, and compare the digests.

    The image is removed here before the pull, and again at the end.

    Args:
        reference: The result of `pack`.
        engine: The client whose trust is proved.
        console: The console that shows the commands.
        login: The login to use; by default the person's own, if any.
        meanwhile: Called with the proof while the image is removed here again.

    Returns:
        The proof; None in a dry run.

    Raises:
        RegistryError: The push or the pull failed, or the digests differ.
    """
    begun = time.monotonic()
    try:
        pushed = engine.push(reference, login)
        engine.untag(reference)
        pulled = engine.pull(reference, login)
        proof = None if console.dry else _proof(reference, pushed, pulled, begun)
    except BaseException:
        discard(reference, engine)
        raise
    threads.beside(lambda: discard(reference, engine), lambda: meanwhile(proof) if proof else None)
    return proof


def _proof(reference: str, pushed: str | None, pulled: str | None, begun: float) -> Proof:
    registry_host, _, name = reference.partition("/")
    if pushed is None or pushed != pulled:
        raise RegistryError(
            f"What was pulled from {registry_host} ({pulled}) is not what was pushed ({pushed}).",
            cure="Another registry or a cache answers at that name: ./inv status shows the certificate it serves.",
        )
    return Proof(registry_host, name.rpartition(":")[0], pushed, time.monotonic() - begun)


def forget(proof: Proof, endpoint: Endpoint, tls: ssl.SSLContext | None, login: Login | None = None) -> bool:
    """Delete the proof's manifest from the registry; return whether that succeeded.

    Its few bytes go by `Engine.clear_proofs`, or with the next garbage collection.
    """
    from trusted_registry.registry.api import RegistryClient

    return RegistryClient(endpoint, tls, login).delete_manifest(proof.repository, proof.digest)


@dataclass(frozen=True)
class Refusal:
    """An engine's refusal of a registry: its own words, and the kind of trouble if they are known."""

    reason: str
    kind: Kind | None

    @property
    def is_distrust(self) -> bool:
        """Whether the authority of the server is not trusted; nothing else proves that trust was taken away."""
        from trusted_registry.client_messages.message import Kind

        return self.kind is Kind.DISTRUST

    @property
    def is_judged(self) -> bool:
        """Whether a server answered and was refused, or the engine's own files are at fault: no matter of waiting."""
        from trusted_registry.client_messages.message import REFUSING, Kind

        return self.kind in {*REFUSING, Kind.PROTOCOL, Kind.CLIENT}


def is_distrust(error: RegistryError) -> bool:
    """Whether an engine's error says that the authority of the server is not trusted."""
    return Refusal(error.message, _kind(error.message)).is_distrust


def refusal(registry_host: str, engine: Engine) -> Refusal | None:
    """Return an engine's refusal of a registry, or None.

    The engine is asked to pull a tag that cannot exist.
    """
    try:
        engine.try_pull(f"{registry_host}/{REPOSITORY}:absent")
    except RegistryError as error:
        from trusted_registry.client_messages.message import ACCEPTED

        kind = _kind(error.message.replace(registry_host, "registry.local"))  # a host may be called anything
        return None if kind in ACCEPTED else Refusal(error.message, kind)
    return None


def _kind(words: str) -> Kind | None:
    from trusted_registry.client_messages import catalogue

    return next((found.kind for found in catalogue.find(words)), None)
