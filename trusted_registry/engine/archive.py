"""Archives, in which the engine takes files for containers and gives them back."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from trusted_registry.instance.model import File

_NEW, _OLD = ".new", ".old"
"""Endings of a file that waits to take another's place, and of the one whose place was taken."""

READABLE = 1 << 24
"""Most bytes that are read from a container: certificates, users and configurations have far fewer."""


def pack(files: Sequence[File], there: Collection[str] | None = None) -> bytes:
    """Return a tar of files that belong to root.

    The engine unpacks a file in place: a reader would find an empty file, then a part. So a file that may be read
    meanwhile is unpacked beside, and its name becomes a link to the new file. In between nothing has the name, for as
    long as the engine takes to remove the old one: 5 microseconds while that has another name, otherwise 400 to give
    its space back (ext4). Times of change have fractions of a second: two changes within one second are two.

    Args:
        files: The files.
        there: Names of the files that containers may be reading; None where there is no container yet.
    """
    buffer, now = io.BytesIO(), time.time()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            if there is not None and file.name in there:
                tar.addfile(_member(f"{file.name}{_OLD}", file, now, link=file.name))
            unpacked = file.name if there is None else f"{file.name}{_NEW}"
            tar.addfile(_member(unpacked, file, now), io.BytesIO(file.content))
            if there is not None:
                tar.addfile(_member(file.name, file, now, link=unpacked))
    return buffer.getvalue()


def _member(name: str, file: File, now: float, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = (0 if link else len(file.content)), now
    member.mode = 0o600 if file.secret else 0o644
    member.type, member.linkname = (tarfile.LNKTYPE if link else tarfile.REGTYPE), link
    return member


class Member(NamedTuple):
    """A file on its way into a volume: path, size in bytes, last change in seconds since the epoch, and its bytes."""

    path: str
    size: int
    changed: float
    chunks: Iterable[bytes]


def stream(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a tar of files of any size that belong to root, each after the folders that lead to it."""
    made: set[PurePosixPath] = set()
    for member in members:
        for folder in reversed(PurePosixPath(member.path).parents):
            if folder.name and folder not in made:
                made.add(folder)
                yield _head(str(folder), 0, member.changed, tarfile.DIRTYPE, 0o755)
        yield _head(member.path, member.size, member.changed, tarfile.REGTYPE, 0o644)
        yield from member.chunks
        yield b"\0" * (-member.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _head(path: str, size: int, changed: float, kind: bytes, mode: int) -> bytes:
    head = tarfile.TarInfo(path)
    head.size, head.mtime, head.type, head.mode = size, changed, kind, mode
    return head.tobuf(tarfile.PAX_FORMAT)


def unpack(chunks: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files of a tar by their names, without those beside them.

    Raises:
        ValueError: The tar has more than READABLE bytes.
    """
    with _opened(chunks) as tar:
        found = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar if not member.isdir()}
        return {name: content.read() for name, content in found.items() if content and not name.endswith((_NEW, _OLD))}


def names(chunks: Iterable[bytes]) -> frozenset[str]:
    """Return the names of the files of a tar; errors are those of `unpack`."""
    with _opened(chunks) as tar:
        return frozenset(member.name.rpartition("/")[2] for member in tar if not member.isdir())


def _opened(chunks: Iterable[bytes]) -> tarfile.TarFile:
    received = bytearray()
    for chunk in chunks:
        received += chunk
        if len(received) > READABLE:
            raise ValueError(f"more than {READABLE} bytes")
    return tarfile.open(fileobj=io.BytesIO(bytes(received)), mode="r:")  # a compressed one may hold any amount
