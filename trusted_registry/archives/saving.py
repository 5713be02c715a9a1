"""Saving: images of a registry, with all that they need, into an archive; each content is compared with its digest."""

from __future__ import annotations

import collections
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trusted_registry import files
from trusted_registry.archives import layout, tar
from trusted_registry.archives.layout import About, Entry
from trusted_registry.archives.source import Content, Source
from trusted_registry.console import Progress
from trusted_registry.errors import RegistryError
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.manifest import Kind, Manifest
from trusted_registry.registry.api import MANIFESTS

INDEX_ENDING = ".index"
"""Ending of the small file beside an archive that names all of its contents, for the next one to leave them out."""

OCI_IMAGE, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_AT_ONCE = 2
"""Contents that are copied at a time."""
_INDEX = "# contents of an archive of trusted-registry, format 1"
"""First line of an index."""
_LINE = 80
_MOST = 1_000_000
"""Contents of an index."""


@dataclass(frozen=True)
class Selection:
    """Images of a registry that are saved, and their contents; `select` makes one.

    Args:
        images: The images.
        inventory: All images of the registry.
        base: Contents that an archive before has.
        contents: A repository of each content that is saved, by its digest.
        elsewhere: Repositories of each content that is left out.
    """

    images: tuple[Image, ...]
    inventory: Inventory
    base: frozenset[str]
    contents: Mapping[str, str]
    elsewhere: Mapping[str, tuple[str, ...]]

    @property
    def size(self) -> int:
        """Bytes of the contents that are saved."""
        return sum(self.inventory.listing.blobs[it].size for it in self.contents)


def select(images: Iterable[Image], inventory: Inventory, base: frozenset[str] = frozenset()) -> Selection:
    """Return the selection of images with all contents that they need, but for those in an archive before."""
    images, contents, elsewhere = tuple(images), dict[str, str](), dict[str, dict[str, None]]()
    for image in images:
        for digest in sorted(inventory.needed(image.digest) & inventory.listing.blobs.keys()):
            # Manifests are small, and a registry wants all of an index.
            if digest in base and digest not in inventory.manifests:
                elsewhere.setdefault(digest, {})[image.repository] = None
            else:
                contents.setdefault(digest, image.repository)
    left = {digest: tuple(names) for digest, names in elsewhere.items()}
    return Selection(images, inventory, base, contents, left)


def save(  # noqa: PLR0913 - an archive has as many parts
    path: Path,
    chosen: Selection,
    source: Source,
    about: About,
    progress: Progress,
    *,
    more: Mapping[str, bytes | Path] | None = None,
) -> None:
    """Write an archive and, in a second file, the index of its contents.

    Args:
        path: The archive.
        chosen: Selection of the images to save.
        source: Gives the contents.
        about: The archive's description of itself.
        progress: Counts the bytes.
        more: Further files for the archive, by name.

    Raises:
        RegistryError: The disk is full, or a content is missing or does not have its digest.
        OSError, http.client.HTTPException: The registry does not answer.
    """
    blobs = chosen.inventory.listing.blobs
    with_names: dict[str, bytes | Path] = {
        **layout.files_of(map(_entry, chosen.images), _for_docker(chosen), about),
        **(more or {}),
    }
    sizes = {name: it.stat().st_size if isinstance(it, Path) else len(it) for name, it in with_names.items()}
    sizes[layout.SUMS] = len(layout.sums(dict.fromkeys(with_names, "0" * 64)))
    sizes |= {layout.blob_name(digest): blobs[digest].size for digest in chosen.contents}
    with tar.written(path, sizes) as writer:
        sums = {name: _write(name, content, writer) for name, content in with_names.items()}
        writer.write(layout.SUMS, [layout.sums(sums)])

        for digest in chosen.contents:
            progress.update(digest, 0, blobs[digest].size)

        def copy(digest: str) -> None:
            size = blobs[digest].size
            found = Content(chosen.contents[digest], digest, size, digest in chosen.inventory.manifests)
            chunks = _compared(source.chunks(found), digest, size, progress)
            try:
                writer.write(layout.blob_name(digest), chunks)
            except (ValueError, FileNotFoundError) as error:
                raise _damaged(digest) from error

        in_parallel(copy, chosen.contents)
    known = sorted({*chosen.base, *chosen.contents})
    files.write(index_path(path), "".join(f"{it}\n" for it in (_INDEX, *known)).encode())


def _write(name: str, content: bytes | Path, writer: tar.Writer) -> str:
    """Write a file, and return its SHA-256 in hex."""
    hashed = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for chunk in _chunks(content) if isinstance(content, Path) else [content]:
            hashed.update(chunk)
            yield chunk

    writer.write(name, chunks())
    return hashed.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(tar.CHUNK), b"")


def in_parallel(deed: Callable[[str], None], digests: Iterable[str], at_once: int = _AT_ONCE) -> None:
    """Do something for each digest in a few threads; after the first error, or Ctrl-C, no further digest begins."""
    left = collections.deque(digests)

    def work() -> None:
        while left:
            try:
                digest = left.popleft()
            except IndexError:  # another thread has the last one
                return
            deed(digest)

    with ThreadPoolExecutor(at_once) as threads:
        try:
            for ended in as_completed([threads.submit(work) for _ in range(at_once)]):
                ended.result()
        except BaseException:
            left.clear()
            raise


def _compared(chunks: Iterable[bytes], digest: str, size: int, progress: Progress) -> Iterator[bytes]:
    hashed, done = hashlib.sha256(), 0
    for chunk in chunks:
        hashed.update(chunk)
        done += len(chunk)
        progress.update(digest, done, size)
        yield chunk
    if f"sha256:{hashed.hexdigest()}" != digest:
        raise _damaged(digest)


def _damaged(digest: str) -> RegistryError:
    return RegistryError(f"The content {digest} in the registry is damaged, or gone.", cure="./inv images.check --fix")


def _entry(image: Image) -> Entry:
    found = image.manifest
    assert found  # noqa: S101 - what has none was not chosen
    return Entry(image.repository, image.name, image.digest, found.size, media_type(found))


def media_type(found: Manifest) -> str:
    """Return the media type of a manifest, a field that OCI makes optional (OCI image specification, manifest.md)."""
    return found.media_type or (OCI_INDEX if found.kind is Kind.INDEX else OCI_IMAGE)


def is_carried(image: Image, found: Inventory) -> bool:
    """Whether an archive can carry an image: all parts are there, under digests and of types that `loading` takes."""
    every = [found.manifests[it] for it in found.needed(image.digest) if it in found.manifests]
    children = [it for one in every for it in one.children]
    digests = [image.digest, *(it.digest for it in children)]
    digests += [it.digest for one in every for it in one.blobs if not it.is_optional]
    return (
        found.is_whole(image)
        and all(map(layout.is_sha256, digests))
        and {media_type(it) for it in every} <= {*MANIFESTS}
        and all(it.media_type == media_type(found.manifests[it.digest]) for it in children)
    )


def _for_docker(chosen: Selection) -> list[dict[str, Any]]:
    """Return the tagged images for one platform, as docker's manifest.json has them: docker reads no index."""
    made = []
    for image in chosen.images:
        found = image.manifest
        is_complete = found and found.kind is Kind.IMAGE and found.config and image.is_tagged
        if is_complete and found and found.config and all(it.digest in chosen.contents for it in found.blobs):
            layers = [layout.blob_name(it.digest) for it in found.layers]
            name = f"{image.repository}:{image.name}"
            made.append({"Config": layout.blob_name(found.config.digest), "RepoTags": [name], "Layers": layers})
    return made


def index_path(path: Path) -> Path:
    """Return the path of an archive's index."""
    return path.with_name(path.name + INDEX_ENDING)


def read_index(path: Path) -> frozenset[str]:
    """Return the contents that an archive has or leaves out, from its index.

    Raises:
        RegistryError: The file is no index.
    """
    known: set[str] = set()
    with files.explained(path, "read"), path.open(errors="replace") as file:
        is_index = file.readline(_LINE) == f"{_INDEX}\n"
        while is_index and (line := file.readline(_LINE)):
            is_index = layout.is_sha256(line[:-1]) and len(known) < _MOST
            known.add(line[:-1])
    if not is_index:
        cure = f"Name the file that ends in {INDEX_ENDING}, beside the archive before."
        raise RegistryError(f"{path} is no index of an archive.", cure=cure)
    return frozenset(known)


def about_now(registry_host: str, installation: str, authority: str, chosen: Selection) -> About:
    """Return the description of an archive that is made now."""
    return About(time.time(), registry_host, installation, authority, chosen.elsewhere)
