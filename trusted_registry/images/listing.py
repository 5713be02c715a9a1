"""Listing: the files of a registry's storage, each known by its path (distribution, registry/storage/paths.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from trusted_registry.instance.model import IMAGES_FOLDER
from trusted_registry.registry.prove import is_proof

ROOT = f"{IMAGES_FOLDER}/docker/registry/v2"
"""Folder of all that the registry keeps (distribution, registry/storage/paths.go)."""

TRASH = "trusted-registry-trash"
"""First part of the repositories that keep the contents of removed images, each with the number of its removal."""
_TRASH = re.compile(rf"{TRASH}/[1-9][0-9]{{0,8}}")

_BLOB = re.compile(r"blobs/(?P<algorithm>[^/]+)/[0-9a-f]{2}/(?P<hex>[0-9a-f]+)/data")
_IN_REPOSITORY = re.compile(
    r"repositories/(?P<repository>[^/_][^/]*(?:/[^/_][^/]*)*)/(?:"
    r"_layers(?:/(?P<layer>[^/]+/[0-9a-f]+)/link)?|"
    r"_manifests/revisions/(?P<revision>[^/]+/[0-9a-f]+)/link|"
    r"_manifests/tags/(?P<tag>[^/]+)(?:/(?P<current>current/link|index/(?P<past>[^/]+/[0-9a-f]+)/link))?|"
    r"_uploads/(?P<upload>[^/]+)/.+)"
)
_STRAYS = 100_000
"""Files of no known kind that are kept for a report."""


class Entry(NamedTuple):
    """A file: its path, its size, its bytes on the disk, and its last change in seconds since the epoch."""

    path: str
    size: int = -1
    disk: int = 0
    changed: int = 0


@dataclass
class Repository:
    """Files of a repository, by digest or by tag; `past` are the digests that a tag ever had.

    A tag in `folders` alone has lost its link.
    """

    folders: set[str] = field(default_factory=set)
    tags: dict[str, Entry] = field(default_factory=dict)
    past: dict[str, dict[str, Entry]] = field(default_factory=dict)
    revisions: dict[str, Entry] = field(default_factory=dict)
    layers: dict[str, Entry] = field(default_factory=dict)
    uploads: dict[str, list[Entry]] = field(default_factory=dict)


@dataclass
class Listing:
    """Files of a storage.

    Args:
        blobs: Contents by digest.
        repositories: Repositories by name.
        strays: Files of no known kind, such as those that a kill leaves.
        unread: Messages of the container's programs about files that they could not read.
        folder: Bytes that a folder takes on this disk; each blob has one.
        link: Bytes that a link takes on this disk.
        free: Free bytes of the disk; None where nothing tells them.
        at: Time before the listing by the storage's clock, in seconds since the epoch.
    """

    blobs: dict[str, Entry] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    strays: list[Entry] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    folder: int = 0
    link: int = 0
    free: int | None = None
    at: float = 0.0

    def disk(self, digest: str) -> int:
        """Return the bytes that a blob takes on the disk with its folder; 0 of one that is not there."""
        found = self.blobs.get(digest)
        return found.disk + self.folder if found else 0

    def links(self, *, revisions: int = 0, layers: int = 0, tags: int = 0) -> int:
        """Return the bytes that links take with their folders: a tag has two links, and five folders of its own."""
        return (revisions + layers) * (self.link + self.folder) + tags * (2 * self.link + 5 * self.folder)

    @property
    def names(self) -> list[str]:
        """Names of the repositories."""
        return sorted(self.repositories)


def add(entry: Entry, listing: Listing) -> None:
    """Put a file or a folder, whose path is below ROOT, where a listing has its kind."""
    if entry.path.startswith("blobs/") and (blob := _BLOB.fullmatch(entry.path)):
        listing.blobs[f"{blob['algorithm']}:{blob['hex']}"] = entry
    elif inner := _IN_REPOSITORY.fullmatch(entry.path):
        listing.link = listing.link or (entry.disk if inner["current"] else 0)
        _put(entry, inner, listing.repositories.setdefault(inner["repository"], Repository()))
    elif len(listing.strays) < _STRAYS:
        listing.strays.append(entry)


def _put(entry: Entry, inner: re.Match[str], repository: Repository) -> None:
    if inner["layer"]:
        repository.layers[_digest(inner["layer"])] = entry
    elif inner["revision"]:
        repository.revisions[_digest(inner["revision"])] = entry
    elif inner["past"]:
        repository.past.setdefault(inner["tag"], {})[_digest(inner["past"])] = entry
    elif inner["current"]:
        repository.tags[inner["tag"]] = entry
    elif inner["tag"]:
        repository.folders.add(inner["tag"])
    elif inner["upload"]:
        repository.uploads.setdefault(inner["upload"], []).append(entry)


def _digest(path: str) -> str:
    return path.replace("/", ":", 1)


def is_ours(repository: str) -> bool:
    """Whether a repository is the proof's or the trash's, and stands in no list."""
    return is_proof(repository) or is_trash(repository)


def is_trash(repository: str) -> bool:
    """Whether a repository keeps removed images."""
    return bool(_TRASH.fullmatch(repository))


def revision_path(repository: str, digest: str) -> str:
    """Return the path of the link by which a repository knows a manifest."""
    return f"repositories/{repository}/_manifests/revisions/{digest.replace(':', '/', 1)}/link"


def layer_path(repository: str, digest: str) -> str:
    """Return the path of the link by which a repository knows a configuration or a layer."""
    return f"repositories/{repository}/_layers/{digest.replace(':', '/', 1)}/link"


def path_of(digest: str) -> str:
    """Return the path of a blob below ROOT."""
    algorithm, _, hexed = digest.partition(":")
    return f"blobs/{algorithm}/{hexed[:2]}/{hexed}/data"


def text(link: bytes | None) -> str:
    """Return the digest that is in a link, or any other text there; "" for no link."""
    return link.decode(errors="replace") if link else ""
