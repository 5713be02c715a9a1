"""Loading: images of an archive into a registry; a content that is there is not sent again, so a killed run goes on."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trusted_registry.archives import layout, tar
from trusted_registry.archives.layout import Entry
from trusted_registry.archives.saving import in_parallel
from trusted_registry.archives.tar import Archive
from trusted_registry.console import Progress
from trusted_registry.errors import AnswerError, RegistryError
from trusted_registry.images import manifest
from trusted_registry.registry.api import MANIFESTS, Manifest, RegistryClient

_AT_ONCE = 4
"""Contents that are sent at a time."""
_DEEPEST = 8
"""Indexes within indexes that are followed."""
_MOST = 1_000_000
"""Parts of all images."""


@dataclass(frozen=True)
class Contents:
    """Contents of an archive, whose images were all followed; `read` makes one.

    Args:
        archive: The archive.
        entries: Its images.
        manifests: Media types of the manifests by their digests.
        blobs: Repositories that want a blob, by its digest.
        elsewhere: Repositories that have a blob which is left out.
    """

    archive: Archive
    entries: tuple[Entry, ...]
    manifests: Mapping[str, str]
    blobs: Mapping[str, tuple[str, ...]]
    elsewhere: Mapping[str, tuple[str, ...]]

    def size(self, digest: str) -> int:
        """Return the bytes of a content that is in the archive."""
        return self.archive.places[layout.blob_name(digest)].size

    def manifest(self, digest: str) -> Manifest:
        """Return a manifest; all of them together may be large."""
        return Manifest(self.manifests[digest], digest, _content(self.archive, digest))


def read(archive: Archive) -> Contents:
    """Return the contents of an archive, with every manifest in it compared with its digest.

    Raises:
        RegistryError: A manifest is missing, damaged, or leads to a content that is not there.
    """
    entries = tuple(layout.entries(archive))
    elsewhere = layout.about(archive).elsewhere
    walk = _Walk(archive)
    blobs: dict[str, dict[str, None]] = {}
    for entry in entries:
        for found in walk.follow(entry.repository, entry.digest, entry.media_type, _DEEPEST):
            for blob in found.blobs:
                is_there = layout.is_sha256(blob.digest) and layout.blob_name(blob.digest) in archive.places
                if is_there or blob.digest in elsewhere:
                    blobs.setdefault(blob.digest, {})[entry.repository] = None
                elif not blob.is_optional:
                    raise tar.unusable(archive.path, f"{entry.reference} lacks {blob.digest}")
    wanted = {digest: tuple(names) for digest, names in blobs.items()}
    return Contents(archive, entries, walk.kinds, wanted, elsewhere)


class _Walk:
    """Walk through the manifests of an archive, each once for a repository, and no more parts than fit in memory.

    Args:
        archive: The archive.
    """

    def __init__(self, archive: Archive) -> None:
        self.kinds: dict[str, str] = {}
        self._archive = archive
        self._done: set[tuple[str, str]] = set()
        self._parts = 0

    def follow(self, repository: str, digest: str, kind: str, deep: int) -> Iterator[manifest.Manifest]:
        """Yield a manifest, its children and theirs.

        Raises:
            RegistryError: A manifest is missing, damaged, no image, or they are too many or too deep.
        """
        if self.kinds.setdefault(digest, kind) != kind:
            raise tar.unusable(self._archive.path, f"{digest} in it is said to be of two types")
        if (repository, digest) in self._done:
            return
        found = manifest.parse(digest, _content(self._archive, digest))
        self._done.add((repository, digest))
        self._parts += 1 + len(found.blobs) + len(found.children)
        if self._parts > _MOST:
            raise tar.unusable(self._archive.path, "its images have too many parts")
        yield found
        for child in dict.fromkeys((it.digest, it.media_type) for it in found.children):
            if not layout.is_sha256(child[0]) or child[1] not in MANIFESTS or not deep:
                raise tar.unusable(self._archive.path, f"{digest} in it leads to what is no image")
            yield from self.follow(repository, *child, deep - 1)


def _content(archive: Archive, digest: str) -> bytes:
    """Return a manifest's content.

    Raises:
        RegistryError: The manifest is missing, too large, or does not have that digest.
    """
    content = archive.read(layout.blob_name(digest), manifest.LARGEST)
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise tar.unusable(archive.path, f"{digest} in it is damaged")
    return content


def check(archive: Archive, progress: Progress) -> None:
    """Compare every content and every other file of an archive with its digest.

    Raises:
        RegistryError: One is something else.
    """
    wanted = {name: name.rpartition("/")[2] for name in archive.places if name.startswith(f"{tar.BLOBS}/")}
    wanted |= layout.read_sums(archive) or {}

    for name in wanted:
        progress.update(name, 0, archive.places[name].size)

    def compare(name: str) -> None:
        hashed, done = hashlib.sha256(), 0
        for chunk in archive.chunks(name):
            hashed.update(chunk)
            done += len(chunk)
            progress.update(name, done, archive.places[name].size)
        if hashed.hexdigest() != wanted[name]:
            raise tar.unusable(archive.path, f"{name} in it is damaged")

    in_parallel(compare, wanted)


@dataclass(frozen=True)
class Loader:
    """Loader of the contents of an archive into a registry.

    Args:
        contents: The contents.
        client: Client of the registry, whose login may push.
    """

    contents: Contents
    client: RegistryClient

    def digests(self) -> dict[Entry, str]:
        """Return the digest that the registry gives for each image of the archive; "" for an absent one.

        Raises:
            RegistryError: The registry answers neither with a digest nor that there is none.
            OSError, http.client.HTTPException: The registry does not answer.
        """
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return dict(zip(self.contents.entries, threads.map(self._tag_digest, self.contents.entries), strict=True))

    def _tag_digest(self, entry: Entry) -> str:
        try:
            return self.client.manifest(entry.repository, entry.name).digest
        except AnswerError as error:
            if error.status == http.client.NOT_FOUND:
                return ""
            raise

    def load(self, before: Mapping[Entry, str], progress: Progress) -> None:
        """Send the registry the parts that are missing: contents, then manifests, then tags.

        Args:
            before: The digest that the registry gave for each image, which may be replaced.
            progress: Counts the bytes.

        Raises:
            RegistryError: The registry refuses a part, a tag was pushed meanwhile, or an archive before this one was to
                be loaded first.
            OSError, http.client.HTTPException: The registry does not answer.
        """
        for digest in self.contents.blobs:
            if layout.blob_name(digest) in self.contents.archive.places:
                progress.update(digest, 0, self.contents.size(digest))
        in_parallel(lambda digest: self._give(digest, progress), self.contents.blobs, _AT_ONCE)
        for entry, digest in before.items():
            if digest != entry.digest:
                self._name(entry, digest)

    def _name(self, entry: Entry, before: str) -> None:
        """Give the registry the manifests of an image, and its tag."""
        for found in self._tree(entry.digest, set()):
            self.client.put_manifest(entry.repository, found.digest, found)
        if entry.name == entry.digest:
            return
        if self._tag_digest(entry) not in {before, entry.digest}:
            cure = "./inv images.load asks whether it is to move."
            raise RegistryError(f"{entry.reference} was pushed meanwhile, and was left alone.", cure=cure)
        self.client.put_manifest(entry.repository, entry.name, self.contents.manifest(entry.digest))

    def _tree(self, digest: str, followed: set[str]) -> Iterator[Manifest]:
        if digest in followed:
            return
        followed.add(digest)
        found = self.contents.manifest(digest)
        for child in manifest.parse(digest, found.content).children:
            yield from self._tree(child.digest, followed)
        yield found

    def _give(self, digest: str, progress: Progress) -> None:
        """Mount a content in each repository that needs and lacks it, or send the bytes."""
        having: list[str] = []
        lacking = [it for it in self.contents.blobs[digest] if not self.client.has_blob(it, digest)]
        having += [it for it in self.contents.blobs[digest] if it not in lacking]
        for repository in lacking:
            if not any(self.client.mount(repository, digest, it) for it in (*having, *self._holders(digest))):
                self._send(repository, digest, progress)
            having = [repository]
        if layout.blob_name(digest) in self.contents.archive.places:
            progress.update(digest, self.contents.size(digest), self.contents.size(digest))

    def _holders(self, digest: str) -> Iterator[str]:
        """Yield repositories that may have a left-out content: those that the archive names, then all other holders."""
        yield from self.contents.elsewhere.get(digest, ())
        if layout.blob_name(digest) not in self.contents.archive.places:
            yield from (it for it in self.client.catalog() if self.client.has_blob(it, digest))

    def _send(self, repository: str, digest: str, progress: Progress) -> None:
        archive = self.contents.archive
        if layout.blob_name(digest) not in archive.places:
            wrong = f"{archive.path} leaves out {digest} of {repository}, which this registry does not have."
            raise RegistryError(wrong, cure="./inv images.load FILE first, with the archive that was made before it.")
        size = self.contents.size(digest)

        def counted() -> Iterator[bytes]:
            done = 0
            for chunk in archive.chunks(layout.blob_name(digest)):
                yield chunk
                done += len(chunk)
                progress.update(digest, done, size)

        self.client.upload_stream(repository, digest, size, counted())
