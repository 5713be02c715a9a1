"""Takes away what a folder of certificates holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import files, installation, saved_flags
from trusted_registry.certificate import openssl

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.console import Console

KITS = f"trust-*-{'[0-9a-f]' * 16}."
"""What `trust.kit` writes by default beside the certificate that is in it."""


def find(folder: Path) -> list[Path]:
    """Return every file that was issued or rendered into a folder, kits and their pages too."""
    issued = ("ca.key", "ca.crt", "domain.key", "domain.crt", openssl.CONFIG)
    names = (*issued, "registry.yml", "registry-plain.yml", "start.sh", saved_flags.FILE, installation.FILE)
    kits = sorted([*folder.glob(f"{KITS}sh"), *folder.glob(f"{KITS}html")])
    return [path for path in (*(folder / name for name in names), *kits) if path.exists()]


def remove_all(folder: Path, console: Console, *, keep: tuple[str, ...] = ()) -> None:
    """Take all of them away, but for those of some names."""
    for path in (it for it in find(folder) if it.name not in keep):
        console.command(["rm", str(path)])
        if not console.dry:
            files.remove(path, keep=folder)
