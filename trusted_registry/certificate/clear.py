"""Removal of the files that were issued or rendered into a certificate folder."""

from __future__ import annotations

from pathlib import Path

from trusted_registry import files, installation, run_log, saved_flags
from trusted_registry.certificate import changeover, openssl, signer
from trusted_registry.console import Console

KITS = f"trust-*-{'[0-9a-f]' * 16}."
"""Prefix of the kits that `trust.kit` writes by default, beside the certificate in them."""


def find(folder: Path) -> list[Path]:
    """Return every file issued or rendered into a folder, kits and pages too."""
    issued = (*signer.FILES, "domain.key", "domain.crt", openssl.CONFIG, *changeover.FILES)
    names = (
        *issued,
        "registry.yml",
        "registry-plain.yml",
        "start.sh",
        saved_flags.FILE,
        installation.FILE,
        run_log.NAME,
    )
    kits = sorted([*folder.glob(f"{KITS}sh"), *folder.glob(f"{KITS}html")])
    return [path for path in (*(folder / name for name in names), *kits) if path.exists()]


def remove_all(folder: Path, console: Console, *, keep: tuple[str, ...] = ()) -> None:
    """Remove every file that `find` returns, except those with a name in `keep`."""
    for path in (it for it in find(folder) if it.name not in keep):
        console.command(["rm", str(path)])
        if not console.dry:
            files.remove(path, keep=folder)
