"""Move of all images from a store to another one: copied, each compared, and gone on with after a kill at any point.

A link leads to a content that must be there before: contents go first, then the links of layers and manifests, then
those of tags. A pair of marks that was compared once counts until one of them is another: nothing else is believed.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trusted_registry import files
from trusted_registry.archives.saving import in_parallel
from trusted_registry.bucket.client import Object, sha256
from trusted_registry.bucket.stores import Pieces, Store, portions
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError
from trusted_registry.images.listing import is_ours

NOTE = "storage-move.json"
"""File beside the certificates: source and target of the last move, and the files that were compared."""

_IMAGE = re.compile(
    r"docker/registry/v2/repositories/(?P<repository>.+)/_manifests/"
    r"(?:tags/(?P<tag>[^/]+)/current|revisions/(?P<algorithm>[^/]+)/(?P<hex>[^/]+))/link"
)
_ROUNDS = 4
"""Rounds after which a store that still differs is not one that only one registry writes to."""
_NOTED_SECONDS = 20
"""Seconds between two notes."""

_RANKS = ("the contents", "the links", "the tags")
"""Files in the order in which they are copied."""

_OnBytes = Callable[[int], None]
"""Gets the bytes of a portion that are done."""

Marks = dict[str, tuple[str, str]]
"""Marks of a file in the source and in the target when both were compared, by its path."""


@dataclass(frozen=True)
class Note:
    """Note of a move.

    Args:
        source: The store that images come from, as people name one.
        target: The store that they go to.
        done: Whether the registry has them there.
        compared: Marks of the files that were compared.
    """

    source: str
    target: str
    done: bool = False
    compared: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def is_of(self, source: str, target: str) -> bool:
        """Whether this is the note of a move between these two that has not ended."""
        return not self.done and (self.source, self.target) == (source, target)

    def save(self, folder: Path) -> None:
        """Write the note."""
        content = {"source": self.source, "target": self.target, "done": self.done, "compared": self.compared}
        files.write(folder / NOTE, json.dumps(content, separators=(",", ":")).encode(), files.PRIVATE_FILE)


def read_note(folder: Path) -> Note:
    """Return the note of the last move; an empty one where there is none that can be read."""
    path = folder / NOTE
    try:
        with files.explained(path, "read"):
            found = json.loads(path.read_bytes() if files.exists(path) else b"{}")
        pairs = {name: (str(copies), str(there)) for name, (copies, there) in found["compared"].items()}
        return Note(str(found["source"]), str(found["target"]), found["done"] is True, pairs)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return Note("", "")


def strangers(source: Store, target: Store) -> list[str]:
    """Return the images of a target that its source has not, or has otherwise, as references."""
    there, copies = source.entries(), target.entries()
    images = {path: found for path in copies if (found := _IMAGE.fullmatch(path)) and not is_ours(found["repository"])}
    both = [path for path in images if path in there]
    wanted, held = (_digests(store, [found[it] for it in both]) for store, found in ((source, there), (target, copies)))
    same = dict(wanted.items() & held.items())
    return sorted(_reference(found) for path, found in images.items() if path not in same)


def _reference(found: re.Match[str]) -> str:
    digest = f"@{found['algorithm']}:{found['hex']}"
    return found["repository"] + (f":{found['tag']}" if found["tag"] else digest)


def _digests(store: Store, entries: Iterable[Object]) -> dict[str, str]:
    """Return the SHA-256 of files, as they are read now, by their paths."""
    return {it.path: sha256(chunks) for some in portions(entries) for it, chunks in store.read(some)}


def _told(pieces: Iterable[Pieces], on_bytes: _OnBytes) -> Iterator[Pieces]:
    """Yield files, and tell how many of their bytes were read."""
    done = 0

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal done
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            on_bytes(done)

    for entry, chunks in pieces:
        yield entry, counted(chunks)


def _rank(entry: Object) -> int:
    return 0 if entry.sha256 else 2 if "/_manifests/tags/" in entry.path else 1


@dataclass
class Move:
    """Move from a source to a target.

    Args:
        source: Store of all images.
        target: Store that is to have the same, and nothing else.
        compared: Marks of the files that are known to be the same.
        keep: Called now and then with these.
        console: The console that shows how far it is.
    """

    source: Store
    target: Store
    compared: Marks
    keep: Callable[[Marks], None]
    console: Console
    contents: tuple[int, int] = (0, 0)
    """Contents of the source, and their bytes, as they were seen last."""
    _there: Mapping[str, Object] = field(default_factory=dict)
    _wrong: Counter[str] = field(default_factory=Counter)
    _noted_at: float = field(default_factory=time.monotonic)

    def approach(self) -> None:
        """Bring the target near to the source, which may change meanwhile; compare all that is copied."""
        for _ in range(2):
            if not self._pass():
                return

    def finish(self) -> None:
        """Bring the target to the source, which does not change meanwhile.

        Raises:
            RegistryError: A content of the source is damaged, a store is away or full, or others write there.
        """
        # A tag that was another image's for a while has the mark of before again: nothing is known of tags.
        self.compared = {path: it for path, it in self.compared.items() if not path.endswith("/current/link")}
        left: list[str] = []
        for _ in range(_ROUNDS):
            left = self._pass()
            if not left:
                self.target.keep_times(self._there)
                self.keep(self.compared)
                return
        wrong = f"{len(left)} files still differ, {left[0]} for one: something else writes there."
        raise RegistryError(wrong, cure="End that program, then repeat the command.")

    def _pass(self) -> list[str]:
        """Copy, remove and compare files as needed; return the paths that are not right yet."""
        there, copies = self.source.entries(), self.target.entries()
        self._there = there
        sizes = [it.size for it in there.values() if it.sha256]
        self.contents = len(sizes), sum(sizes)
        self.target.remove(sorted(copies.keys() - there.keys()))
        lacking = [it for it in there.values() if it.path not in copies or copies[it.path].size != it.size]
        for rank, title in enumerate(_RANKS):
            self._each(f"Copying {title}", [it for it in lacking if _rank(it) == rank], self._copy)
        copies = self.target.entries() if lacking else copies
        known = {path: (it.mark, copies[path].mark) for path, it in there.items() if path in copies}
        left = [there[path] for path, marks in known.items() if self.compared.get(path) != marks]
        right: set[str] = set()
        self._each("Comparing", left, lambda some, on_bytes: self._compare(some, on_bytes, known, right))
        wrong = [it.path for it in left if it.path not in right]
        self.target.remove(wrong)
        self._check_damage([it for it in left if it.path in wrong and it.sha256])
        return [*wrong, *(path for path in there if path not in copies)]

    def _each(self, title: str, entries: list[Object], deed: Callable[[list[Object], _OnBytes], None]) -> None:
        """Do something for portions of files, a few at a time."""
        some = {it[0].path: it for it in portions(entries)}
        sizes = {path: max(sum(it.size for it in portion), 1) for path, portion in some.items()}
        with self.console.progress(title) as progress:
            for path, size in sizes.items():
                progress.update(path, 0, size)
            in_parallel(lambda path: deed(some[path], lambda done: progress.update(path, done, sizes[path])), some)

    def _copy(self, portion: list[Object], on_bytes: _OnBytes) -> None:
        self.target.write(_told(self.source.read(portion), on_bytes))

    def _compare(self, portion: list[Object], on_bytes: _OnBytes, marks: Marks, right: set[str]) -> None:
        wanted = {it.path: it.sha256 for it in portion if it.sha256}
        wanted |= _digests(self.source, [it for it in portion if not it.sha256])
        held = {it.path: sha256(chunks) for it, chunks in _told(self.target.read(portion), on_bytes)}
        same = [path for path, digest in wanted.items() if held.get(path) == digest]
        right.update(same)
        self.compared.update({path: marks[path] for path in same})
        if time.monotonic() > self._noted_at + _NOTED_SECONDS:
            self._noted_at = time.monotonic()
            self.keep(dict(self.compared))

    def _check_damage(self, contents: list[Object]) -> None:
        """Refuse a content that came wrong twice: so is the source's."""
        self._wrong.update(it.path for it in contents)
        damaged = next((it for it in contents if self._wrong[it.path] > 1), None)
        if damaged:
            wrong = f"The content sha256:{damaged.sha256} is damaged in the source."
            raise RegistryError(wrong, cure="./inv images.check --fix  # then repeat the command")
