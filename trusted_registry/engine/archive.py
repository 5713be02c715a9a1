"""Archives, in which the engine takes files for containers and gives them back."""

from __future__ import annotations

import io
import tarfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trusted_registry.instance.model import File

_NEW = ".new"


def pack(files: Sequence[File], *, replacing: bool = False) -> bytes:
    """Return a tar of files that belong to root.

    The engine unpacks a file in place: a reader would find it empty, then a part of it. A link to a file that is whole
    is made in one step, so what may be read meanwhile is unpacked beside, and linked. Times of change have fractions of
    a second: two changes within one second are two.

    Args:
        files: The files.
        replacing: Whether containers may be reading files of these names.
    """
    buffer, now = io.BytesIO(), time.time()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            unpacked = f"{file.name}{_NEW}" if replacing else file.name
            tar.addfile(_member(unpacked, file, now, size=len(file.content)), io.BytesIO(file.content))
            if replacing:
                link = _member(file.name, file, now)
                link.type, link.linkname = tarfile.LNKTYPE, unpacked
                tar.addfile(link)
    return buffer.getvalue()


def _member(name: str, file: File, now: float, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, now
    member.mode = 0o600 if file.secret else 0o644
    return member


def unpack(chunks: Iterable[bytes], limit: int) -> dict[str, bytes]:
    """Return the files of a tar by their names, without those that were unpacked beside and linked.

    Raises:
        ValueError: The tar has more bytes than `limit`.
    """
    received = bytearray()
    for chunk in chunks:
        received += chunk
        if len(received) > limit:
            raise ValueError(f"more than {limit} bytes")
    with tarfile.open(fileobj=io.BytesIO(bytes(received))) as tar:
        found = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar if not member.isdir()}
        return {name: content.read() for name, content in found.items() if content and not name.endswith(_NEW)}
