"""Pulling: the registry is asked for all parts of images, as a client that pulls them asks, but for layers' bytes."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from trusted_registry.console import Progress
from trusted_registry.errors import AnswerError
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.registry.api import RegistryClient

_AT_ONCE = 8
"""Questions at a time."""

Part = tuple[str, str]
"""Repository, and tag or digest."""


def refused(
    images: Iterable[Image], inventory: Inventory, client: RegistryClient, progress: Progress
) -> dict[Image, str]:
    """Return the images of which the registry does not give all: manifests, configurations and layers.

    Each part is asked for once, however many images have it.

    Args:
        images: The images, whose parts are all in the inventory.
        inventory: All images.
        client: Client of the registry.
        progress: Counts the parts.

    Raises:
        OSError, http.client.HTTPException: The registry does not answer.
    """
    parts = {image: _parts(image, inventory) for image in images}
    every = list(dict.fromkeys(part for some in parts.values() for part in some))
    wrong = refused_parts(every, inventory, client, progress)
    return {image: wrong[part] for image, some in parts.items() for part in some if part in wrong}


def refused_parts(
    parts: Iterable[Part], inventory: Inventory, client: RegistryClient, progress: Progress
) -> dict[Part, str]:
    """Return the parts that the registry does not give, each with its reason.

    Args:
        parts: Manifests by tag or digest, and blobs, which are in the inventory.
        inventory: All images.
        client: Client of the registry.
        progress: Counts the parts.

    Raises:
        OSError, http.client.HTTPException: The registry does not answer.
    """
    every = list(parts)

    def ask(part: Part) -> str:
        progress.update("/".join(part), 1, 1)
        return _asked(part, inventory, client)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return {part: said for part, said in zip(every, threads.map(ask, every), strict=True) if said}


def present(references: Iterable[tuple[str, str]], client: RegistryClient) -> list[tuple[str, str]]:
    """Return the images that the registry gives, of some that went.

    Args:
        references: Repositories, each with a tag or digest.
        client: Client of the registry.

    Raises:
        AnswerError: The registry answers neither with an image nor that there is none.
        OSError, http.client.HTTPException: The registry does not answer.
    """

    def is_given(named: tuple[str, str]) -> bool:
        try:
            client.manifest(*named)
        except AnswerError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    every = list(references)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [it for it, found in zip(every, threads.map(is_given, every), strict=True) if found]


def _parts(image: Image, inventory: Inventory) -> list[Part]:
    """Return all parts that a client asks for; one that is in none of the storage's files may lie elsewhere."""
    needed = (it for it in sorted(inventory.needed(image.digest)) if it in inventory.listing.blobs)
    return [(image.repository, image.name), *((image.repository, it) for it in needed)]


def _asked(part: Part, inventory: Inventory, client: RegistryClient) -> str:
    """Return why the registry does not give a part; "" for one that is given."""
    repository, name = part
    try:
        if ":" not in name or name in inventory.manifests:
            client.manifest(repository, name)
        elif (size := client.blob_size(repository, name)) != inventory.listing.blobs[name].size:
            return f"of {name} it has {size} bytes"
    except AnswerError as error:
        return error.message
    return ""
