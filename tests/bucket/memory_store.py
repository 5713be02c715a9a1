"""A store in memory, whose rules are those of a volume and of a bucket: files by path, each write a new mark."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trusted_registry.bucket.client import Object
from trusted_registry.bucket.stores import Pieces, Store

_BLOBS, _IN = "docker/registry/v2/blobs/sha256", "docker/registry/v2/repositories"
_MARKS = itertools.count(1)


def content(data: bytes) -> tuple[str, bytes]:
    """Return path and bytes of a content."""
    hexed = hashlib.sha256(data).hexdigest()
    return f"{_BLOBS}/{hexed[:2]}/{hexed}/data", data


def revision(repository: str, data: bytes) -> tuple[str, bytes]:
    """Return path and bytes of the link by which a repository knows a manifest."""
    hexed = hashlib.sha256(data).hexdigest()
    return f"{_IN}/{repository}/_manifests/revisions/sha256/{hexed}/link", f"sha256:{hexed}".encode()


def tag(repository: str, name: str, data: bytes) -> tuple[str, bytes]:
    """Return path and bytes of the link of a tag."""
    return f"{_IN}/{repository}/_manifests/tags/{name}/current/link", revision(repository, data)[1]


def image(repository: str, name: str, data: bytes) -> dict[str, bytes]:
    """Return the files of an image of one content."""
    return dict([content(data), revision(repository, data), tag(repository, name, data)])


@dataclass
class MemoryStore:
    """Files by path; `before` is called with each deed and its paths, and may raise or change something."""

    files: dict[str, bytes] = field(default_factory=dict)
    before: Callable[[str, list[str]], None] = lambda _, __: None
    marks: dict[str, str] = field(default_factory=dict)
    spoils: set[str] = field(default_factory=set)
    """Paths under which a write leaves something else of the same size, once."""
    written: list[str] = field(default_factory=list)
    read_: list[str] = field(default_factory=list)

    def entries(self) -> dict[str, Object]:
        self.before("list", [])
        return {path: Object(path, len(data), 0, self._mark(path)) for path, data in self.files.items()}

    def _mark(self, path: str) -> str:
        return self.marks.setdefault(path, str(next(_MARKS)))

    def read(self, portion: Sequence[Object]) -> Iterator[Pieces]:
        self.before("read", [it.path for it in portion])
        for entry in portion:
            data = self.files.get(entry.path)
            if data is not None and len(data) == entry.size:
                self.read_.append(entry.path)
                yield entry, [data]

    def write(self, files: Iterable[Pieces]) -> None:
        for entry, chunks in files:
            self.before("write", [entry.path])
            data = b"".join(chunks)
            self.put(entry.path, data[::-1] if entry.path in self.spoils else data)
            self.spoils.discard(entry.path)
            self.written.append(entry.path)

    def put(self, path: str, data: bytes) -> None:
        """Have other bytes in a file, as a registry does."""
        self.files[path] = data
        self.marks[path] = str(next(_MARKS))

    def keep_times(self, entries: Mapping[str, Object]) -> None:
        self.before("times", list(entries))

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.files.pop(path, None)


def _keeps_the_protocol(fake: MemoryStore) -> Store:
    return fake  # for mypy
