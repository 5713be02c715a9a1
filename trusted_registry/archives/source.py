"""Source: whatever gives the contents of a registry: its files, where this user may read them, or the registry itself.

The files are three times as quick; an engine in a virtual machine, or one that is root's, has them out of reach.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from trusted_registry import files
from trusted_registry.archives.tar import CHUNK
from trusted_registry.engine.types import Volume
from trusted_registry.images.listing import path_of
from trusted_registry.registry.api import RegistryClient


class Content(NamedTuple):
    """Content of a registry: a repository that has it, its digest, its bytes, and whether it is a manifest."""

    repository: str
    digest: str
    size: int
    is_manifest: bool


class Source(Protocol):
    """Source of contents; any thread may ask."""

    def chunks(self, content: Content) -> Iterator[bytes]:
        """Yield a content in chunks; the caller compares the digest.

        Raises:
            OSError, http.client.HTTPException, RegistryError: The content cannot be had.
        """


@dataclass(frozen=True)
class Files:
    """The storage's own files.

    Args:
        root: Folder of all that the registry keeps.
    """

    root: Path

    def chunks(self, content: Content) -> Iterator[bytes]:
        """Yield a content in chunks.

        Raises:
            FileNotFoundError: The content is gone.
            RegistryError: The content cannot be read.
        """
        path = self.root / path_of(content.digest)
        # Whoever may write there could put a link to another file in its place.
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise FileNotFoundError(path) from error
        try:
            while chunk := _read(path, file):
                yield chunk
        finally:
            os.close(file)


def _read(path: Path, file: int) -> bytes:
    with files.explained(path, "read"):
        return os.read(file, CHUNK)


@dataclass(frozen=True)
class Served:
    """The registry, asked as by any client."""

    client: RegistryClient

    def chunks(self, content: Content) -> Iterator[bytes]:
        """Yield a content in chunks."""
        if content.is_manifest:
            yield self.client.manifest(content.repository, content.digest).content
        else:
            yield from self.client.blob(content.repository, content.digest, content.size)


def files_of(volume: Volume | None) -> Files | None:
    """Return the files of a volume, if this machine and user have them in reach."""
    root = Path(volume.folder, "docker/registry/v2") if volume and volume.folder else None
    try:
        return Files(root) if root and os.access(root / "blobs", os.R_OK | os.X_OK) else None
    except OSError:
        return None
