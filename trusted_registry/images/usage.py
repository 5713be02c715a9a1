"""Usage of the disk: bytes of each repository and tag, shared ones apart, and those that nothing needs any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.listing import Listing, Repository, is_ours, is_trash


@dataclass(frozen=True)
class Bytes:
    """Bytes on the disk: all that something needs, and those that nothing else needs, which its deletion would free."""

    total: int
    own: int

    @property
    def shared_bytes(self) -> int:
        """Bytes that others need too."""
        return self.total - self.own


@dataclass(frozen=True)
class Usage:
    """Bytes on the disk.

    Args:
        repositories: Of each repository.
        images: Of each tag, and of each manifest that only a digest names.
        total: Of all contents, links, uploads and strays.
        untagged: That only manifests without a tag need.
        unneeded: Of contents that no manifest needs: a garbage collection frees them.
        undo: Of contents that only the trash keeps.
        uploads: Of uploads that were begun.
        strays: Of files of no known kind, such as those that a kill leaves.
    """

    repositories: dict[str, Bytes]
    images: dict[Image, Bytes]
    total: int
    untagged: int
    unneeded: int
    undo: int
    uploads: int
    strays: int


def measure(inventory: Inventory) -> Usage:
    """Return the bytes that an inventory takes."""
    listing, needs = inventory.listing, _needs(inventory)
    holders = Counter(digest for needed in needs.values() for digest in needed)
    needed = {name: _needed(name, inventory) for name in listing.names}
    sharers = Counter(digest for digests in needed.values() for digest in digests)
    tagged = _union(needs[it] for it in inventory.images if it.is_tagged)
    untagged = _union(needs[it] for it in inventory.images if not it.is_tagged) - tagged

    def size(digests: Iterable[str]) -> int:
        return sum(map(listing.disk, digests))

    def measured(digests: Iterable[str], counts: Mapping[str, int], links: int) -> Bytes:
        return Bytes(size(digests) + links, size(it for it in digests if counts[it] == 1) + links)

    return Usage(
        {name: measured(it, sharers, _links(name, listing)) for name, it in needed.items() if not is_ours(name)},
        {it: measured(needed, holders, _links_of(it, inventory)) for it, needed in needs.items()},
        total(listing),
        size(untagged),
        size(set(listing.blobs) - _union(needed.values())),
        size(_union(needed.values()) - _union(it for name, it in needed.items() if not is_trash(name))),
        _uploads(listing),
        _strays(listing),
    )


def _needs(inventory: Inventory) -> dict[Image, frozenset[str]]:
    return {it: inventory.needed(it.digest) for it in inventory.images}


def _needed(name: str, inventory: Inventory) -> set[str]:
    """Return all that the manifests of a repository keep from being collected; a layer alone is kept by nobody."""
    repository: Repository = inventory.listing.repositories[name]
    return _union(inventory.needed(it) for it in repository.revisions)


def _union(sets: Iterable[Iterable[str]]) -> set[str]:
    found: set[str] = set()
    for digests in sets:
        found.update(digests)
    return found


def total(listing: Listing) -> int:
    """Return the bytes of all contents, links, uploads and strays on the disk."""
    links = sum(_links(name, listing) for name in listing.names)
    return sum(map(listing.disk, listing.blobs)) + links + _uploads(listing) + _strays(listing)


def _links(name: str, listing: Listing) -> int:
    """Return the bytes that the links of a repository take."""
    it = listing.repositories[name]
    return listing.links(revisions=len(it.revisions), layers=len(it.layers), tags=len(it.tags))


def _links_of(image: Image, inventory: Inventory) -> int:
    """Return the bytes that go with an image's own links: its tag's, its manifest's, and those of an index's images.

    A registry that deletes a manifest leaves the folder of its link.
    """
    known = inventory.listing.repositories[image.repository].revisions
    revisions = sum(1 for it in inventory.needed(image.digest) if it in known)
    return inventory.listing.links(tags=1 if image.is_tagged else 0) + revisions * inventory.listing.link


def _uploads(listing: Listing) -> int:
    entries = (
        it for repository in listing.repositories.values() for some in repository.uploads.values() for it in some
    )
    return sum(it.disk for it in entries)


def _strays(listing: Listing) -> int:
    return sum(it.disk for it in listing.strays)
