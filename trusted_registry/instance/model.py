"""Values of an instance: the files that its container reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file for a container to read.

    Args:
        name: Path below the folder of files in the container.
        source: Path on this machine, for commands that people type.
        content: Bytes of the file.
        secret: Whether root alone may read it.
    """

    name: str
    source: Path
    content: bytes = field(repr=False)
    secret: bool = False
