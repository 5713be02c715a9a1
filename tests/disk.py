"""What stands on disk, as a value that can be compared before and after."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("issuer.key", "domain.key")


def as_client(folder: Path) -> None:
    """Leave of a folder's keys and certificates what a client's checkout has: the authority's certificate."""
    for path in [*folder.glob("*.key"), *folder.glob("*.crt")]:
        if path.name != "ca.crt":
            path.unlink()


def mode(path: Path) -> int:
    """Return the permission bits of a file or a folder."""
    return stat.S_IMODE(path.lstat().st_mode)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of all that is under a folder, its lock apart; an absent folder has nothing."""
    return {
        str(path.relative_to(folder)): (mode(path), path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
    }
