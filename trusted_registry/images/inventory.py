"""Inventory: repositories, tags and digests, each with its manifest, and with all parts of that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trusted_registry.images import listing, manifest
from trusted_registry.images.listing import Entry, Listing, Repository, is_ours
from trusted_registry.images.manifest import Kind, Manifest
from trusted_registry.images.storage import Storage

_LINK = 256
"""Bytes of a link that are read; one has 71."""


@dataclass(frozen=True)
class Image:
    """A tag, or a manifest that only its digest names.

    Args:
        repository: Its repository.
        name: The tag, or the digest.
        digest: Digest of its manifest; "" of a tag that points at nothing.
        manifest: The manifest; None if absent or damaged.
        pushed: Time of the push, in seconds since the epoch.
    """

    repository: str
    name: str
    digest: str
    manifest: Manifest | None = field(compare=False)
    pushed: int

    @property
    def is_tagged(self) -> bool:
        """Whether a tag names the image."""
        return ":" not in self.name

    @property
    def kind(self) -> Kind:
        """Kind, by the manifest and by the form of the tag."""
        if self.manifest is None:
            return Kind.UNKNOWN
        return Kind.SIGNATURE if manifest.subject_of_tag(self.name) else self.manifest.kind

    @property
    def subject(self) -> str:
        """Digest of the manifest that a signature is about; "" of everything else."""
        return (self.manifest.subject if self.manifest else "") or manifest.subject_of_tag(self.name)


@dataclass
class Inventory:
    """All images of a registry, and the manifests by their digests.

    Args:
        listing: Files of the storage.
        images: Tags, then manifests that only a digest names, by repository.
        manifests: All manifests that can be read.
        configs: Configurations of images that were asked for.
        aliases: Digests under which contents lie that were pushed by a digest of another algorithm.
    """

    listing: Listing
    images: list[Image] = field(default_factory=list)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    configs: dict[str, bytes] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    _needed: dict[str, frozenset[str]] = field(default_factory=dict)

    def needed(self, digest: str) -> frozenset[str]:
        """Return the digests of all that a manifest needs, itself and the images of an index among them."""
        if digest not in self._needed:
            self._needed[digest] = frozenset(self._follow(digest, set()))
        return self._needed[digest]

    def _follow(self, digest: str, seen: set[str]) -> set[str]:
        """Follow a manifest; one that leads back to itself comes to an end."""
        left = [digest]
        while left:
            at = left.pop()
            if at in seen:
                continue
            seen.add(at)
            if found := self.manifests.get(at):
                seen.update(self.aliases.get(it.digest, it.digest) for it in found.blobs)
                left += [it.digest for it in found.children]
        return seen

    def is_whole(self, image: Image) -> bool:
        """Whether all parts of an image are there, but for those for which its manifest names other places."""
        manifests = [self.manifests[it] for it in self.needed(image.digest) if it in self.manifests]
        parts = [self.aliases.get(it.digest, it.digest) for one in manifests for it in one.blobs if not it.is_optional]
        parts += [it.digest for one in manifests for it in one.children]
        return image.manifest is not None and all(it in self.listing.blobs for it in parts)

    def size(self, digest: str) -> int:
        """Return the bytes that a client without any part of an image would pull: of all platforms, each blob once."""
        return sum(max(self.listing.blobs[it].size, 0) for it in self.needed(digest) if it in self.listing.blobs)

    def platforms(self, digest: str) -> list[str]:
        """Return the platforms of an image, or of the images of an index."""
        found = self.manifests.get(digest)
        if found is None:
            return []
        named = [it.platform for it in found.children if it.platform and not it.is_attestation]
        config = self.configs.get(found.config.digest, b"") if found.config else b""
        return named or list(filter(None, [manifest.platform(config)]))

    def signatures(self, image: Image) -> list[Image]:
        """Return the signatures of an image, in its repository."""
        found = (it for it in self.images if it.repository == image.repository)
        return [it for it in found if image.digest and image.digest == it.subject]


def find(storage: Storage, *, with_configs: bool = False, sizes: bool = False) -> Inventory:
    """Return the images of a running registry.

    Args:
        storage: The registry's storage.
        with_configs: Whether configurations are read too, which tell the platform of an image outside an index.
        sizes: Whether sizes and times of all links are told too.
    """
    return build(storage.files(sizes=sizes), storage, with_configs=with_configs)


def build(listed: Listing, storage: Storage, *, with_configs: bool = False) -> Inventory:
    """Return the images of a storage whose files are listed."""
    made = Inventory(listed)
    entries = [tag for name in listed.names for tag in listed.repositories[name].tags.values()]
    aliases = {
        digest: entry
        for it in listed.repositories.values()
        for digest, entry in it.layers.items()
        if not digest.startswith("sha256:")
    }
    read_links = links_of([*entries, *aliases.values()], storage)
    links = {path: listing.text(link) for path, link in read_links.items()}
    made.aliases = {digest: links[it.path] for digest, it in aliases.items() if links.get(it.path) in listed.blobs}
    revisions = (digest for it in listed.repositories.values() for digest in it.revisions)
    read = contents(dict.fromkeys([*revisions, *links.values()]), listed, storage)
    made.manifests = {digest: manifest.parse(digest, content) for digest, content in read.items()}
    for name in listed.names:
        if not is_ours(name):
            made.images += _images(name, listed.repositories[name], links, made)
    if with_configs:
        configs = [it.config.digest for it in made.manifests.values() if it.config and it.has_platform]
        made.configs = contents(configs, listed, storage)
    return made


def contents(digests: Iterable[str], listed: Listing, storage: Storage) -> dict[str, bytes]:
    """Return small blobs by digest, manifests for example; those that are absent, damaged or larger are left out."""
    wanted = [listed.blobs[it] for it in dict.fromkeys(digests) if it in listed.blobs]
    read = storage.read([it for it in wanted if 0 <= it.size <= manifest.LARGEST])
    by_digest = {f"sha256:{hashlib.sha256(content).hexdigest()}": content for content in read.values()}
    return {digest: by_digest[digest] for digest in digests if digest in by_digest}


def links_of(entries: Iterable[Entry], storage: Storage) -> dict[str, bytes]:
    """Return the contents of links, by path; those that cannot be read, or are too long for one, are left out."""
    return storage.read([it for it in entries if 0 <= it.size <= _LINK])


def _images(name: str, repository: Repository, links: dict[str, str], made: Inventory) -> Iterator[Image]:
    reached: set[str] = set()
    for tag in sorted({*repository.tags, *repository.folders}):
        entry = repository.tags.get(tag)
        digest = links.get(entry.path, "") if entry else ""
        reached |= made.needed(digest)
        yield Image(name, tag, digest, made.manifests.get(digest), entry.changed if entry else 0)
    yield from _untagged(name, repository, reached, made)


def _untagged(name: str, repository: Repository, reached: set[str], made: Inventory) -> Iterator[Image]:
    """Yield the manifests to which neither a tag nor an index leads."""
    alone = [it for it in repository.revisions if it in made.manifests and it not in reached]
    inner = {child.digest for digest in alone for child in made.manifests[digest].children}
    for digest in sorted(alone):
        if digest not in inner:
            pushed = repository.revisions[digest].changed or made.listing.blobs[digest].changed
            yield Image(name, digest, digest, made.manifests[digest], pushed)


def empty(made: Inventory) -> list[str]:
    """Return the repositories in which nothing is."""
    used = {it.repository for it in made.images}
    return [name for name in made.listing.names if name not in used and not is_ours(name)]


def chosen(images: Iterable[Image], matches: str) -> list[Image]:
    """Return the images that a pattern fits."""
    from trusted_registry.images import reference

    return [it for it in images if reference.matches(it.repository, it.name, matches)]
