"""Stores: a volume and a bucket with the same files in them, which are listed, read, written and removed alike."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, cast

from trusted_registry.bucket import times
from trusted_registry.bucket.client import Bucket, Object, sha256
from trusted_registry.engine import archive, types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images import scripts
from trusted_registry.images.listing import Entry
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL

LARGE = 1 << 20
"""Bytes from which on a file goes alone, and is never in memory as a whole."""
_PORTION = 16 << 20
"""Bytes of small files that go together."""
_FILES = 1000
"""Files that go together: their paths stand on one command line."""
_REPOSITORIES = "docker/registry/v2/repositories/"
_AT_ONCE = 4
"""Objects that are asked for at a time."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}"
_KNOWN = re.compile(
    r"docker/registry/v2/(?:blobs/[a-z0-9]+/[0-9a-f]{2}/[0-9a-f]{32,128}/data"
    rf"|repositories/(?:{_PART}/){{2,300}}link)"
    rf"|trusted-registry-trash/(?:{_PART}/){{1,300}}{_PART}|trusted-registry-history\.json"
)
"""Paths that are carried: contents, links, the trash and the history; no upload, and nothing of anybody else's."""

_LIST = """cd "$1" || exit
find docker trusted-registry-trash trusted-registry-history.json -type f ! -path '*/_uploads/*' \\
  -exec stat -c '%s %Y %Z %n' {} +
echo all"""
_LINE = re.compile(r"(\d+) (-?\d+) (-?\d+) (.+)")
_FULL = "no space left on device"
_GONE = "No such file or directory"
_REMOVE = """cd "$1" && shift || exit
for it; do
    rm -f -- "$it" || exit
    rmdir -p -- "${it%/*}" 2>/dev/null
done
echo removed"""
"""A tag's folder goes with its link: the registry lists it otherwise."""


Pieces = tuple[Object, Iterable[bytes]]
"""A file and its content."""


class Store(Protocol):
    """Files of a registry; every method raises a RegistryError where the store is away, full or refuses."""

    def entries(self) -> dict[str, Object]:
        """Return all files that are carried, by their paths."""

    def read(self, portion: Sequence[Object]) -> Iterator[Pieces]:
        """Yield files with their contents; without those that are gone, or have another size, meanwhile."""

    def write(self, files: Iterable[Pieces]) -> None:
        """Write files, over those that are there."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is not there is no error."""

    def keep_times(self, entries: Mapping[str, Object]) -> None:
        """Have links that were copied here count as written when those were that they are copies of."""


def portions(entries: Iterable[Object]) -> Iterator[list[Object]]:
    """Yield small files in portions, and each large one alone."""
    some, size = list[Object](), 0
    for entry in entries:
        if entry.size >= LARGE:
            yield [entry]
            continue
        if len(some) == _FILES or size + entry.size > _PORTION:
            yield some
            some, size = [], 0
        some.append(entry)
        size += entry.size
    if some:
        yield some


@dataclass(frozen=True)
class VolumeStore:
    """Files of a volume.

    Args:
        container: A container with a shell that runs, and has the volume in place of a registry's.
        engine: The engine that runs it.
    """

    container: str
    engine: Engine

    def entries(self) -> dict[str, Object]:
        """Return all files that are carried: a content's mark is its last change, which no program can set."""
        errors, found, line = bytearray(), dict[str, Object](), ""
        said = self.engine.stream(self.container, [SHELL, "-c", _LIST, "sh", IMAGES_FOLDER], errors)
        for line in types.split_lines(said):
            if (one := _LINE.fullmatch(line)) and _KNOWN.fullmatch(one[4]):
                found[one[4]] = Object(one[4], int(one[1]), int(one[2]), one[3])
        wrong = [it for it in errors.decode(errors="replace").splitlines() if it and not it.endswith(_GONE)]
        if wrong or line != "all":
            said_ = f"The volume could not be listed: {(wrong or ['nothing was said'])[0][:200]}"
            raise RegistryError(said_, cure="./inv images.check")
        for some in portions(it for it in found.values() if not it.sha256):
            found |= {it.path: it._replace(mark=sha256(chunks)) for it, chunks in self.read(some)}
        return found

    def read(self, portion: Sequence[Object]) -> Iterator[Pieces]:
        """Yield files with their contents."""
        if [it.size >= LARGE for it in portion] == [True]:
            argv = [SHELL, "-c", scripts.READ, "sh", IMAGES_FOLDER, portion[0].path]
            yield portion[0], _as_long_as_listed(portion[0], self.engine.stream(self.container, argv, bytearray()))
            return
        storage = VolumeStorage(self.container, self.engine, IMAGES_FOLDER)
        found = storage.read(Entry(it.path, it.size) for it in portion)
        yield from ((it, [found[it.path]]) for it in portion if it.path in found)

    def write(self, files: Iterable[Pieces]) -> None:
        """Write files, with the times that they had."""
        members = (archive.Member(it.path, it.size, it.changed, chunks) for it, chunks in files)
        try:
            self.engine.unpack(self.container, IMAGES_FOLDER, archive.stream(members))
        except RegistryError as error:
            if _FULL in error.message:
                raise RegistryError("The disk of the volume is full.", cure="docker system df; df --human") from error
            raise

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, and the folders in which nothing is left."""
        left = list(paths)
        for at in range(0, len(left), _FILES):
            argv, errors = [SHELL, "-c", _REMOVE, "sh", IMAGES_FOLDER, *left[at : at + _FILES]], bytearray()
            if b"removed" not in b"".join(self.engine.stream(self.container, argv, errors)):
                wrong = errors.decode(errors="replace").strip()[:200]
                raise RegistryError(f"The volume could not be changed: {wrong}", cure="./inv doctor")

    def keep_times(self, entries: Mapping[str, Object]) -> None:
        """Do nothing: files were written with their times."""


@dataclass(frozen=True)
class BucketStore:
    """Objects of a bucket; an object's mark is its entity tag."""

    bucket: Bucket

    def entries(self) -> dict[str, Object]:
        """Return all objects that are carried; keys of others, whatever they are, stand for nothing here."""
        known = times.read(self.bucket)
        return {it.path: times.timed(it, known) for it in self.bucket.objects() if _KNOWN.fullmatch(it.path)}

    def read(self, portion: Sequence[Object]) -> Iterator[Pieces]:
        """Yield objects with their contents."""
        if [it.size >= LARGE for it in portion] == [True]:
            yield portion[0], _as_long_as_listed(portion[0], self.bucket.stream(portion[0].path))
            return
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            read = threads.map(lambda it: self.bucket.read(it.path, LARGE), portion)
            for entry, content in zip(portion, read, strict=True):
                if content is not None and len(content) == entry.size:
                    yield entry, [content]

    def write(self, files: Iterable[Pieces]) -> None:
        """Write objects; a large one is there once all of it is."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for _ in threads.map(self._write, files):
                pass

    def _write(self, file: Pieces) -> None:
        entry, chunks = file
        if entry.size < LARGE:
            self.bucket.write(entry.path, b"".join(chunks))
        else:
            self.bucket.upload(entry.path, cast("io.BufferedReader", io.BufferedReader(_Reader(chunks))))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects."""
        self.bucket.remove(paths)

    def keep_times(self, entries: Mapping[str, Object]) -> None:
        """Note when the tags and manifests were pushed that were copied here."""
        links = (it for it in self.bucket.objects(_REPOSITORIES) if "/_manifests/" in it.path and it.path in entries)
        times.add(self.bucket, {it.path: (int(it.changed), int(entries[it.path].changed)) for it in links})


class _Reader(io.RawIOBase):
    """Chunks as a file that is read from its begin to its end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer that can be written
        while not self._left:
            try:
                self._left = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _as_long_as_listed(entry: Object, chunks: Iterable[bytes]) -> Iterator[bytes]:
    left = entry.size
    for chunk in chunks:
        left -= len(chunk)
        yield chunk
    if left:
        raise RegistryError(f"{entry.path} changed while it was read.", cure="Repeat the command.")
