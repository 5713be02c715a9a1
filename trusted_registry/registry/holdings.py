"""Holdings of a registry: the digest of each manifest that its catalog and tags lead to, to compare two of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from typing import Any

from trusted_registry.errors import AnswerError
from trusted_registry.registry.api import Manifest, RegistryClient

UNREADABLE = ""
"""Digest of a manifest that the registry does not give: one that is lost there already is not lost by an upgrade."""

Name = tuple[str, str]
"""Repository, and tag or digest."""


def find(client: RegistryClient) -> dict[Name, str]:
    """Return the digest of each manifest that a registry has, those of an index's images too.

    Raises:
        AnswerError, LoginRequiredError: The registry lists neither catalog nor tags.
        OSError, http.client.HTTPException: The registry does not answer.
    """
    found: dict[Name, str] = {}
    for repository in client.catalog():
        for tag in _tags(client, repository):
            _follow((repository, tag), client, found)
    return found


def _tags(client: RegistryClient, repository: str) -> Iterator[str]:
    """Yield the tags of a repository; none of one in which nothing was ever tagged."""
    try:
        yield from client.tags(repository)
    except AnswerError as error:
        if error.status != http.client.NOT_FOUND:
            raise


def _follow(name: Name, client: RegistryClient, found: dict[Name, str]) -> None:
    manifest = _manifest(name, client)
    found[name] = manifest.digest if manifest else UNREADABLE
    for inner in _images(manifest) if manifest else ():
        if (name[0], inner) not in found:
            _follow((name[0], inner), client, found)


def _manifest(name: Name, client: RegistryClient) -> Manifest | None:
    try:
        return client.manifest(*name)
    except AnswerError:
        return None


def _images(manifest: Manifest) -> list[str]:
    """Return the digests of the images that an index leads to; none of any other manifest."""
    try:
        content: Any = json.loads(manifest.content)
        return [str(it["digest"]) for it in content.get("manifests", ()) if str(it["digest"]).startswith("sha256:")]
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return []


def differing(before: RegistryClient, after: RegistryClient, names: Iterable[Name]) -> list[Name]:
    """Return those of some manifests which two registries of the same storage still give otherwise."""
    return [it for it in names if _digest(it, before) != _digest(it, after)]


def _digest(name: Name, client: RegistryClient) -> str:
    manifest = _manifest(name, client)
    return manifest.digest if manifest else UNREADABLE
