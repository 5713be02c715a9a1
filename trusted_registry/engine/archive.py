"""Archives in which the engine takes and gives files of a container (Engine API, "archive")."""

from __future__ import annotations

import io
import tarfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.instance.model import File

LONGEST = 1 << 20
"""Bytes of an archive that are read."""

NEW = ".new"
"""Ending of a file that waits to take another's place."""


def pack(files: Iterable[File]) -> bytes:
    """Return a tar of files that are root's; nobody else may read a secret one.

    The engine removes a file before it writes the new one. So a live one comes under a name of its own first, and takes
    its place as a hard link: a reader meets the old one or the new one, whole.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            member = tarfile.TarInfo(f"{file.name}{NEW}" if file.live else file.name)
            member.size, member.mode = len(file.content), 0o600 if file.secret else 0o644
            # The registry reads its users again when the time of their file is another one, in nanoseconds.
            member.mtime = time.time()
            tar.addfile(member, io.BytesIO(file.content))
            if not file.live:
                continue
            link = tarfile.TarInfo(file.name)
            link.type, link.linkname, link.mode, link.mtime = tarfile.LNKTYPE, member.name, member.mode, member.mtime
            tar.addfile(link)
    return buffer.getvalue()


def unpack(stream: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files of a tar by their names, without the ones that wait to take another's place.

    Raises:
        tarfile.TarError: It is none, or longer than is read.
    """
    received = bytearray()
    for chunk in stream:
        received += chunk
        if len(received) > LONGEST:
            raise tarfile.ReadError(f"more than {LONGEST} bytes")
    with tarfile.open(fileobj=io.BytesIO(bytes(received))) as tar:
        found = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar if not member.isdir()}
        return {name: content.read() for name, content in found.items() if content and not name.endswith(NEW)}
