"""A bucket in memory: pushes come between two given requests, and runs end at any; no store can be told to do that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from trusted_registry.bucket.client import Bucket, Object
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.images import listing
from trusted_registry.images.objects import FOLDER

TAG = "repositories/app/_manifests/tags/1"
CURRENT = f"{TAG}/current/link"


class KilledError(BaseException):
    """End of a run that is killed."""


class Memory(Bucket):
    """Bucket in memory, with a clock of its own.

    `before` is called once, before a request of that name; of `left` changes, if that is a number, the last is made.
    """

    def __init__(self) -> None:
        super().__init__(Location("images"), Credentials("key", "secret"))
        self.held: dict[str, tuple[bytes, float]] = {}
        self.now = 1000.0
        self.pushed = 0
        self.before: tuple[str, Callable[[], None]] | None = None
        self.left: int | None = None

    def _meets(self, name: str) -> None:
        if self.before and self.before[0] == name:
            called, self.before = self.before[1], None
            called()

    def _changes(self) -> None:
        """Count a change, or end as a run does that is killed, which makes none afterwards."""
        if self.left == 0:
            raise KilledError
        self.left = None if self.left is None else self.left - 1

    def clock(self) -> float:
        """Return the store's time."""
        return self.now

    def objects(self, path: str = "") -> Iterator[Object]:
        """Yield objects."""
        self._meets("objects")
        for name, (content, changed) in sorted(self.held.items()):
            if name.startswith(path):
                yield Object(name, len(content), changed, "")

    def read(self, path: str, most: int = 64 << 20) -> bytes | None:
        """Return an object's bytes."""
        return self.held[path][0][:most] if path in self.held else None

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield an object's bytes."""
        yield from (self.held[path][0],) if path in self.held else ()

    def write(self, path: str, content: bytes) -> None:
        """Write an object."""
        self._changes()
        self.held[path] = content, self.now

    def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        self._meets("copy")
        self._changes()
        self.held[target] = self.held[source][0], self.now

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects."""
        self._meets("remove")
        for path in list(paths):
            self._changes()
            self.held.pop(path, None)

    def push(self, digest: str, content: bytes) -> None:
        """Write all that a push of a manifest by a tag writes, in its order."""
        self.now += 10
        self.write(FOLDER + listing.path_of(digest), content)
        for path in (listing.revision_path("app", digest), f"{TAG}/index/{digest.replace(':', '/')}/link", CURRENT):
            self.write(FOLDER + path, digest.encode())
