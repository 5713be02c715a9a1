"""Storage of a registry whose images are in a volume: listed, read and changed by programs in its container."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trusted_registry.console import Console
from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images import listing, scripts
from trusted_registry.images.listing import ROOT, TRASH, Entry, Listing
from trusted_registry.images.mend import Step
from trusted_registry.images.storage import Change
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL, File

_FOLDER = f"{IMAGES_FOLDER}/{TRASH}"
_LINE = re.compile(r"(?:(?P<size>\d+) (?P<blocks>\d+) (?P<changed>-?\d+) )?(?P<path>(?:blobs|repositories)/.+)")
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
_OWN = 32 << 20
"""Bytes of a file of this project's own that are read."""
_STEPS, _CHANGES = 1000, 500
"""Steps of one run of the shell."""
_UNREAD = 100_000
"""Lines of no known kind that are kept for a report."""
_GONE = "No such file or directory"
_CURES = {
    "No space left": "docker image prune; ./inv images.clean --now",
    "unrecognized option": "./inv registry.upgrade --image registry:2.8.3",  # no mv -T before busybox 1.34
}
"""What helps, by what the shell says."""

_Step = TypeVar("_Step")


@dataclass(frozen=True)
class VolumeStorage:
    """Files in the volume of a registry that runs, and whose container has a shell.

    Args:
        container: The registry's container.
        engine: The container's engine.
        root: Folder to which paths of files that are read are relative.
    """

    container: str
    engine: Engine
    root: str = ROOT

    def files(self, *, sizes: bool = False, seconds: int = 0) -> Listing:
        """Return all files."""
        script = scripts.LIST_ALL if sizes else scripts.LIST
        bound = [SHELL, "-c", scripts.BOUND, "sh", str(seconds), SHELL, script, ROOT]
        argv = bound if seconds else [SHELL, "-c", script, "sh", ROOT]
        listed, line, errors = Listing(at=time.time()), "", bytearray()
        for line in types.split_lines(self.engine.stream(self.container, argv, errors)):
            _add(line, listed)
        said = errors.decode(errors="replace").splitlines()
        # What a push took away meanwhile is no error.
        listed.unread += [it for it in said if it and not it.endswith(_GONE)]
        if line != scripts.ALL:
            wrong = f"The images could not be listed: {(line or ' '.join(said))[:200] or 'nothing was said'}"
            raise RegistryError(
                wrong, cure="Its image needs a shell with find and stat, as registry:2 and registry:3 have."
            )
        return listed

    def read(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        """Return the files that are as large as they were when they were listed."""
        found: dict[str, bytes] = {}
        for some in _portions(entries):
            argv = [SHELL, "-c", scripts.READ, "sh", self.root, *(it.path for it in some)]
            said = b"".join(self.engine.stream(self.container, argv, bytearray()))
            if len(said) == sum(it.size for it in some):
                found.update(_cut(said, some))
            elif some[1:]:  # one of them went, or grew, meanwhile
                for half in (some[: len(some) // 2], some[len(some) // 2 :]):
                    found.update(self.read(half))
        return found

    def hashes(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield each file with the SHA-256 of its content."""
        for some in _portions(entries, content=_HASHED):
            argv = [SHELL, "-c", scripts.HASH, "sh", ROOT, *(it.path for it in some)]
            said = types.split_lines(self.engine.stream(self.container, argv, bytearray()))
            hashed = {path: hexed for hexed, _, path in (line.partition("  ") for line in said)}
            yield from ((it, hashed.get(it.path, "")) for it in some)

    def mend(self, steps: Iterable[Step], console: Console) -> list[str]:
        """Take the steps of a mending, and return the shell's messages about those that failed."""
        said: list[str] = []
        for some in _runs(list(dict.fromkeys(steps)), _STEPS):
            words = [word for step in some for word in (str(step.verb), step.path, step.about, step.seen)]
            errors = bytearray()
            said += self._run([SHELL, "-c", scripts.MEND, "sh", ROOT, *words], errors, console)
            said += errors.decode(errors="replace").splitlines()
        return said

    def records(self) -> list[tuple[str, str]]:
        """Return number and record of each removal in the trash."""
        errors = bytearray()
        # A record is one line, of any length.
        listed = b"".join(self.engine.stream(self.container, [SHELL, "-c", scripts.RECORDS, "sh", _FOLDER], errors))
        lines = listed.decode(errors="replace").splitlines()
        if not lines or lines.pop() != "end":
            said = errors.decode(errors="replace").strip() or "nothing was said"
            raise RegistryError(f"The trash could not be listed: {said[:300]}", cure="./inv doctor")
        return list(zip(lines[::2], lines[1::2], strict=False))

    def change(self, changes: Iterable[Change], console: Console, *, record: str = "", state: str = "") -> None:
        """Take steps of the trash, while a record has a state.

        Raises:
            RegistryError: A step cannot be taken, or the shell ends before.
        """
        for some in _runs(list(changes), _CHANGES):
            words = [ROOT, _FOLDER, record and f"{IMAGES_FOLDER}/{record}", state]
            words += [word for step in some for word in step]
            errors = bytearray()
            said = self._run([SHELL, "-c", scripts.CHANGE, "sh", *words], errors, console)
            if not console.dry and (said != ["taken"] or errors):  # a shell that was killed says nothing
                reason = [*errors.decode(errors="replace").splitlines(), *said, "the shell ended"][0]
                cure = next((cure for text, cure in _CURES.items() if text in reason), "./inv doctor")
                raise RegistryError(f"The storage could not be changed: {reason[:300]}", cure=cure)

    def _run(self, argv: list[str], errors: bytearray, console: Console) -> list[str]:
        console.command(["docker", "exec", "--user", "0", self.container, *argv])
        return [] if console.dry else list(types.split_lines(self.engine.stream(self.container, argv, errors)))

    def read_own(self, path: str) -> bytes:
        """Return a file of this project's own.

        Raises:
            RegistryError: The file cannot be read.
        """
        argv, errors = [SHELL, "-c", scripts.OWN, "sh", f"{IMAGES_FOLDER}/{path}", str(_OWN)], bytearray()
        said = b"".join(self.engine.stream(self.container, argv, errors))
        begin, end = scripts.OWN_FRAME
        if not said.startswith(begin) or not said.endswith(end):
            wrong = (bytes(errors) or said).decode(errors="replace").strip()[:200]
            raise RegistryError(f"{path} could not be read in {self.container}: {wrong}", cure="./inv doctor")
        return said[len(begin) : -len(end)]

    def write_own(self, path: str, content: bytes) -> None:
        """Write a file of this project's own, in a folder that is there."""
        folder, _, name = f"{IMAGES_FOLDER}/{path}".rpartition("/")
        self.engine.put_files(self.container, folder, [File(name, Path(name), content)])


def _add(line: str, listed: Listing) -> None:
    found = _LINE.fullmatch(line)
    if not found:
        _add_other(line, listed)
        return
    sizes = (int(found["size"]), int(found["blocks"]) * _BLOCK, int(found["changed"])) if found["size"] else ()
    listing.add(Entry(found["path"], *sizes), listed)


def _add_other(line: str, listed: Listing) -> None:
    """Take the size of a folder, the free bytes of the disk, or any other line, which counts as unread."""
    if line.startswith("folder ") and line[7:].isdecimal():
        listed.folder = int(line[7:]) * _BLOCK
    elif free := _FREE.match(line):
        listed.free = int(free[1]) << 10
    elif line and line != scripts.ALL and len(listed.unread) < _UNREAD:
        listed.unread.append(line)


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


def _runs(steps: list[_Step], most: int) -> Iterator[list[_Step]]:
    for at in range(0, len(steps), most):
        yield steps[at : at + most]
