"""Tar: files in an archive, written by several threads at once, and read as a stranger's input (POSIX, pax).

An archive has only plain files, under names that `is_name` knows. All sizes are known before anything is written, and
so is the place of each file; nothing is compressed, since layers are already.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from trusted_registry import files
from trusted_registry.archives import large_file
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

BLOBS = "blobs/sha256"
"""Folder of the contents (OCI image layout specification)."""
CHUNK = 1 << 20
"""Bytes that are read at a time."""

CHECKOUT = "trusted-registry"
"""Folder of a checkout, which a person unpacks and this project never."""

_NAME = re.compile(
    rf"SHA256SUMS|oci-layout|(?:index|manifest|trusted-registry)\.json|repositories|secrets\.age|{BLOBS}/[0-9a-f]{{64}}|"
    rf"site/registry\.(?:tar|json)|{CHECKOUT}/[^\0]+"
)
_FOLDERS = frozenset({"blobs", BLOBS, "site", CHECKOUT})
_MOST = 300_000
"""Files of an archive."""
_NAMES = 64 << 20
"""Bytes of all of their names."""
_END = 2 * tarfile.BLOCKSIZE
_LONGEST = 6 * tarfile.BLOCKSIZE
"""Bytes of what describes a file."""


def is_name(name: str) -> bool:
    """Whether a file of an archive may be called so."""
    return bool(_NAME.fullmatch(name)) and ".." not in name.split("/")


class Place(NamedTuple):
    """Place of a file in an archive, in bytes."""

    offset: int
    size: int


class Writer:
    """Archive that is being written; `written` makes one.

    Args:
        path: Its path, for messages.
        file: Descriptor of the file.
        sizes: Bytes of each file, by name.

    Raises:
        RegistryError: The archive cannot be written.
    """

    def __init__(self, path: Path, file: int, sizes: Mapping[str, int]) -> None:
        self._path = path
        self._file = file
        self._places: dict[str, Place] = {}
        with files.explained(path):
            self._lay_out(sizes)

    def _lay_out(self, sizes: Mapping[str, int]) -> None:
        end = 0
        for name, size in sizes.items():
            header = _header(name, size)
            os.pwrite(self._file, header, end)
            self._places[name] = Place(end + len(header), size)
            end += len(header) + _rounded(size)
        os.ftruncate(self._file, -(-(end + _END) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file, which must be as large as was said; each file at most once, by any thread.

        Raises:
            RegistryError: The disk is full, for example.
            ValueError: The file has another size.
        """
        offset, size = self._places[name]
        left = size
        for chunk in chunks:
            if len(chunk) > left:
                break
            for at in range(0, len(chunk), CHUNK):
                _write_all(self._path, self._file, chunk[at : at + CHUNK], offset + size - left + at)
            left -= len(chunk)
        else:
            if not left:
                return
        raise ValueError(name)


def write_all(path: Path, file: int, chunks: Iterable[bytes]) -> None:
    """Write a file from its beginning.

    Raises:
        RegistryError: The disk is full, for example.
    """
    at = 0
    for chunk in chunks:
        _write_all(path, file, chunk, at)
        at += len(chunk)


def _write_all(path: Path, file: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    with files.explained(path):
        while view:
            count = os.pwrite(file, view, offset)
            view, offset = view[count:], offset + count


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, time.time()  # no wheel is made of a file from before 1980
    info.mode = 0o755 if name == f"{CHECKOUT}/inv" else 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _rounded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


@contextlib.contextmanager
def written(path: Path, sizes: Mapping[str, int]) -> Iterator[Writer]:
    """Make an archive, which gets its name only once complete; nobody but its owner may read the file.

    Args:
        path: Path of the archive; one that is there is replaced in the end.
        sizes: Bytes of each file, by name.

    Raises:
        RegistryError: The archive cannot be written.
    """
    with large_file.new(path, sum(map(_rounded, sizes.values()))) as file:
        yield Writer(path, file, sizes)


class Archive:
    """Archive that is read; `opened` makes one.

    Args:
        path: Its path, for messages.
        file: Descriptor of the file.
        places: Places of the files in the archive, by name.
    """

    def __init__(self, path: Path, file: int, places: Mapping[str, Place]) -> None:
        self.path = path
        self.places = places
        self._file = file

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file in chunks; any thread may ask."""
        at, left = self.places[name]
        while left:
            with files.explained(self.path, "read"):
                chunk = os.pread(self._file, min(left, CHUNK), at)
            if not chunk:
                raise unusable(self.path, "it is cut")
            yield chunk
            at, left = at + len(chunk), left - len(chunk)

    def read(self, name: str, most: int) -> bytes:
        """Return a small file.

        Raises:
            RegistryError: The file is not there, or larger than `most` bytes.
        """
        if name not in self.places or self.places[name].size > most:
            raise unusable(self.path, f"{name} is missing or too large")
        return b"".join(self.chunks(name))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive, whoever made it.

    Raises:
        RegistryError: The archive cannot be read, is cut, or holds more than plain files of known names, each once.
    """
    with contextlib.ExitStack() as stack:
        with files.explained(path, "read"):
            if not path.is_file():
                raise unusable(path, "it is no file")
            stream = stack.enter_context(path.open("rb"))
            archive = Archive(path, stream.fileno(), dict(_read(path, stream)))
        yield archive


class _Headers:
    """Stream that tarfile reads headers of, and refuses long ones: tarfile reads a file's description whole.

    Args:
        stream: The archive.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.left = _LONGEST

    def read(self, size: int) -> bytes:
        """Return some bytes.

        Raises:
            tarfile.ReadError: Too much was read for one file.
        """
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError("a description of a file is too long")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return where the next bytes are."""
        return self._stream.tell()


def _read(path: Path, stream: io.BufferedReader) -> Iterator[tuple[str, Place]]:
    end = os.fstat(stream.fileno()).st_size
    seen: set[str] = set()
    named, headers = 0, _Headers(stream)
    try:
        # No compression, so that no small file becomes a large one.
        with tarfile.open(fileobj=cast("Any", headers), mode="r:") as tar:
            while info := tar.next():
                name = info.name.removeprefix("./")
                cast("Any", tar).members.clear()  # which it keeps otherwise, all of them
                headers.left, named = _LONGEST, named + len(name)
                if tar.pax_headers:
                    raise unusable(path, "it has a description of all files that follow")
                if info.isdir() and (name in _FOLDERS | {"", "."} or name.startswith(f"{CHECKOUT}/")):
                    continue
                if not info.isreg() or info.issparse() or not is_name(name):
                    raise unusable(path, f"it has a file that is no part of an archive, {name[:100]!r}")
                if name in seen or len(seen) >= _MOST or named > _NAMES:
                    raise unusable(path, f"it has {name[:100]!r} twice, or too many files")
                if info.size < 0 or info.offset_data + info.size > end:
                    raise unusable(path, "it is cut")
                seen.add(name)
                yield name, Place(info.offset_data, info.size)
            # It takes what is no header for the end.
            if os.pread(stream.fileno(), _END, tar.offset) != bytes(_END):
                raise unusable(path, "it is cut")
    except (tarfile.TarError, ValueError, LookupError, EOFError, OverflowError, MemoryError, RecursionError) as error:
        raise unusable(path, f"it is no archive, or cut ({str(error)[:100]})") from error


def unusable(path: Path, why: str) -> RegistryError:
    """Return the error of an archive that is refused."""
    again = f"Copy it again from where it was made: {pasteable(['sha256sum', str(path)])} must be the same there."
    return RegistryError(f"{path} cannot be used: {why}.", cure=again)
