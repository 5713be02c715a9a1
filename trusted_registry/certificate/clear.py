"""Removal of the files that were issued or rendered into a certificate folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from trusted_registry import files, installation, run_log, saved_flags
from trusted_registry.certificate import changeover, openssl, signer
from trusted_registry.console import Console

_KIT = re.compile(r"trust-[A-Za-z0-9.-]+-([0-9a-f]{16})\.(?:sh|html)")
"""Name of the kits and pages that `trust.kit` writes by default beside the certificate, with its fingerprint."""


def find(folder: Path) -> list[Path]:
    """Return every file issued or rendered into a folder, kits and pages too."""
    issued = (*signer.FILES, "domain.key", "domain.crt", openssl.CONFIG, *changeover.FILES)
    made = ("registry.yml", "registry-plain.yml", "start.sh", "haproxy.cfg")
    storage = (saved_flags.STORAGE_KEY, saved_flags.STORAGE_CA, "storage-move.json")
    names = (*issued, *made, *storage, saved_flags.FILE, installation.FILE, run_log.NAME)
    kits = _kits(folder)
    return [path for path in (*(folder / name for name in names), *kits) if files.exists(path)]


def find_kits(folder: Path, fingerprint: str) -> list[Path]:
    """Return the kits and pages in a folder that were made for one authority, without links of that name."""
    return [path for path in _kits(folder, fingerprint) if path.is_file() and not path.is_symlink()]


def _kits(folder: Path, fingerprint: str = "") -> list[Path]:
    named = ((path, _KIT.fullmatch(path.name)) for path in sorted(folder.glob("trust-*")))
    return [path for path, name in named if name and (not fingerprint or fingerprint.startswith(name[1]))]


def remove_all(folder: Path, console: Console, *, keep: tuple[str, ...] = ()) -> None:
    """Remove every file that `find` returns, except those with a name in `keep`."""
    remove([it for it in find(folder) if it.name not in keep], folder, console)


def remove(paths: Iterable[Path], folder: Path, console: Console) -> None:
    """Show the removal of files from a folder, and remove them."""
    for path in paths:
        console.command(["rm", str(path)])
        if not console.dry:
            files.remove(path, keep=folder)
