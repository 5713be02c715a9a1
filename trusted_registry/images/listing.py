"""Listing: the files of a registry's storage, listed by a program in its container (distribution, storage/paths.go)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images import manifest
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL
from trusted_registry.registry.prove import is_proof

ROOT = f"{IMAGES_FOLDER}/docker/registry/v2"
"""Folder of all that the registry keeps (distribution, registry/storage/paths.go)."""

TRASH = "trusted-registry-trash"
"""First part of the repositories that keep the contents of removed images, each with the number of its removal."""
_TRASH = re.compile(rf"{TRASH}/[1-9][0-9]{{0,8}}")

_LIST = r"""cd "$1" 2>/dev/null || exec echo all
find repositories -type d -path '*/_manifests/tags/*/index' -prune -o \
  -type d -path '*/_manifests/tags/*' ! -path '*/_manifests/tags/*/*' -print -o -type d -name _layers -print -o \
  -type f \( -path '*/current/*' -o -path '*/_uploads/*' -o ! -name link \) -exec stat -c '%s %b %Y %n' {} + -o \
  -type f -print
stat -c 'folder %b' "$(find blobs -mindepth 3 -type d | head -n 1)" 2>/dev/null
echo "free $(df -Pk . | tail -n 1)"
find blobs -type f -exec stat -c '%s %b %Y %n' {} +
echo all"""
"""The listing of a glance: links of layers and manifests by their names alone, which say all that is in them. Contents
come last, so that none is missed that a push adds meanwhile."""

_LIST_ALL = r"""cd "$1" 2>/dev/null || exec echo all
find repositories -type d -path '*/_manifests/tags/*' ! -path '*/_manifests/tags/*/*' -print -o \
  -type d -name _layers -print -o -type f -exec stat -c '%s %b %Y %n' {} +
stat -c 'folder %b' "$(find blobs -mindepth 3 -type d | head -n 1)" 2>/dev/null
find blobs -type f -exec stat -c '%s %b %Y %n' {} +
echo all"""
"""The listing of a check: each file with its size."""

_ALL = "all"
"""Last line of a listing: without it, that was cut short, or there is no shell."""

_BOUND = 'exec timeout "$1" "$2" -c "$3" sh "$4"'
_READ = 'cd "$1" && shift && exec cat -- "$@"'
_HASH = """cd "$1" && shift || exit
n=0
while sleep 1 </dev/null >/dev/null 2>&1; do
    n=$((n + 1))
    [ $((n % 30)) -ne 0 ] || echo >&2
done &
sha256sum -- "$@" 2>/dev/null
kill "$!"
"""
"""A line on standard error now and then says that it still reads a large file."""

_LINE = re.compile(r"(?:(?P<size>\d+) (?P<blocks>\d+) (?P<changed>-?\d+) )?(?P<path>(?:blobs|repositories)/.+)")
_BLOB = re.compile(r"blobs/(?P<algorithm>[^/]+)/[0-9a-f]{2}/(?P<hex>[0-9a-f]+)/data")
_IN_REPOSITORY = re.compile(
    r"repositories/(?P<repository>[^/_][^/]*(?:/[^/_][^/]*)*)/(?:"
    r"_layers(?:/(?P<layer>[^/]+/[0-9a-f]+)/link)?|"
    r"_manifests/revisions/(?P<revision>[^/]+/[0-9a-f]+)/link|"
    r"_manifests/tags/(?P<tag>[^/]+)(?:/(?P<current>current/link|index/(?P<past>[^/]+/[0-9a-f]+)/link))?|"
    r"_uploads/(?P<upload>[^/]+)/.+)"
)
_FREE = re.compile(r"free \S+ +\d+ +\d+ +(\d+) ")
"""Free kilobytes in what df -P says (POSIX, df)."""
_BLOCK = 512
"""Bytes of a block of stat's %b (stat(2))."""
_WORDS = 1 << 20
"""Bytes of a command line that names files; Linux takes twice as many."""
_CONTENT = 64 << 20
"""Bytes of files that are read at once."""
_HASHED = 256 << 20
"""Bytes of files that are hashed by one program, which goes on for so long after Ctrl-C."""
_LINK = 256
"""Bytes of a link that are read; one has 71."""
_GONE = "No such file or directory"
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
    """

    blobs: dict[str, Entry] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    strays: list[Entry] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    folder: int = 0
    link: int = 0
    free: int | None = None

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


def find(container: str, engine: Engine, *, sizes: bool = False, seconds: int = 0) -> Listing:
    """Return the files of a running registry's storage.

    Args:
        container: The registry's container.
        engine: The container's engine.
        sizes: Whether sizes of links are told too.
        seconds: Seconds that the listing may take; 0 for as many as needed.

    Raises:
        RegistryError: The container does not run or has no shell, or the listing takes longer.
    """
    script = _LIST_ALL if sizes else _LIST
    bound = [SHELL, "-c", _BOUND, "sh", str(seconds), SHELL, script, ROOT]
    argv = bound if seconds else [SHELL, "-c", script, "sh", ROOT]
    listing, line, errors = Listing(), "", bytearray()
    for line in types.lines(engine.stream(container, argv, errors)):
        _add(line, listing)
    said = errors.decode(errors="replace").splitlines()
    # What a push took away meanwhile is no error.
    listing.unread += [it for it in said if it and not it.endswith(_GONE)]
    if line != _ALL:
        wrong = f"The images could not be listed: {(line or ' '.join(said))[:200] or 'nothing was said'}"
        raise RegistryError(
            wrong, cure="Its image needs a shell with find and stat, as registry:2 and registry:3 have."
        )
    return listing


def _add(line: str, listing: Listing) -> None:
    found = _LINE.fullmatch(line)
    if not found:
        _add_other(line, listing)
        return
    sizes = (int(found["size"]), int(found["blocks"]) * _BLOCK, int(found["changed"])) if found["size"] else ()
    add(Entry(found["path"], *sizes), listing)


def add(entry: Entry, listing: Listing) -> None:
    """Put a file or a folder, whose path is below ROOT, where a listing has its kind."""
    if entry.path.startswith("blobs/") and (blob := _BLOB.fullmatch(entry.path)):
        listing.blobs[f"{blob['algorithm']}:{blob['hex']}"] = entry
    elif inner := _IN_REPOSITORY.fullmatch(entry.path):
        listing.link = listing.link or (entry.disk if inner["current"] else 0)
        _put(entry, inner, listing.repositories.setdefault(inner["repository"], Repository()))
    elif len(listing.strays) < _STRAYS:
        listing.strays.append(entry)


def _add_other(line: str, listing: Listing) -> None:
    """Take the size of a folder, the free bytes of the disk, or any other line, which counts as unread."""
    if line.startswith("folder ") and line[7:].isdecimal():
        listing.folder = int(line[7:]) * _BLOCK
    elif free := _FREE.match(line):
        listing.free = int(free[1]) << 10
    elif line and line != _ALL and len(listing.unread) < _STRAYS:
        listing.unread.append(line)


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


def contents(digests: Iterable[str], listing: Listing, container: str, engine: Engine) -> dict[str, bytes]:
    """Return small blobs by digest, manifests for example; those that are absent, damaged or larger are left out."""
    wanted = [listing.blobs[it] for it in dict.fromkeys(digests) if it in listing.blobs]
    read = _read([it for it in wanted if 0 <= it.size <= manifest.LARGEST], container, engine)
    whole = {f"sha256:{hashlib.sha256(content).hexdigest()}": content for content in read.values()}
    return {digest: whole[digest] for digest in digests if digest in whole}


def links(entries: Iterable[Entry], container: str, engine: Engine) -> dict[str, bytes]:
    """Return the contents of links, by path; those that cannot be read, or are too long for one, are left out."""
    return _read([it for it in entries if 0 <= it.size <= _LINK], container, engine)


def text(link: bytes | None) -> str:
    """Return the digest that is in a link, or any other text there; "" for no link."""
    return link.decode(errors="replace") if link else ""


def _read(entries: Iterable[Entry], container: str, engine: Engine) -> dict[str, bytes]:
    """Return the files that are as large as they were when they were listed."""
    found: dict[str, bytes] = {}
    for some in _portions(entries):
        argv = [SHELL, "-c", _READ, "sh", ROOT, *(it.path for it in some)]
        said = b"".join(engine.stream(container, argv, bytearray()))
        if len(said) == sum(it.size for it in some):
            found.update(_cut(said, some))
        elif some[1:]:  # one of them went, or grew, meanwhile
            for half in (some[: len(some) // 2], some[len(some) // 2 :]):
                found.update(_read(half, container, engine))
    return found


def _cut(said: bytes, entries: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
    at = 0
    for entry in entries:
        yield entry.path, said[at : at + entry.size]
        at += entry.size


def _portions(entries: Iterable[Entry], content: int = _CONTENT) -> Iterator[list[Entry]]:
    """Yield entries in portions that a command line can name and that are not too many bytes."""
    some: list[Entry] = []
    words = size = 0
    for entry in entries:
        if some and (words + len(entry.path) > _WORDS or size + entry.size > content):
            yield some
            some, words, size = [], 0, 0
        some.append(entry)
        words, size = words + len(entry.path) + 8, size + entry.size  # a pointer beside each word
    if some:
        yield some


def hashes(entries: Iterable[Entry], container: str, engine: Engine) -> Iterator[tuple[Entry, str]]:
    """Yield each file with the SHA-256 of its content in hex, "" of one that cannot be read."""
    for some in _portions(entries, content=_HASHED):
        argv = [SHELL, "-c", _HASH, "sh", ROOT, *(it.path for it in some)]
        said = types.lines(engine.stream(container, argv, bytearray()))
        hashed = {path: hexed for hexed, _, path in (line.partition("  ") for line in said)}
        yield from ((it, hashed.get(it.path, "")) for it in some)
