"""Folder of a client's checkout, which holds only another machine's authority and means that machine's registry."""

from __future__ import annotations

from pathlib import Path

from trusted_registry import files
from trusted_registry.certificate import signer
from trusted_registry.errors import RegistryError


def is_handed(folder: Path) -> bool:
    """Whether a folder holds another machine's authority, and nothing of a registry's own, not even half."""
    if files.is_unfinished(folder):
        return False
    return [name for name in (*signer.FILES, "domain.key", "domain.crt") if files.exists(folder / name)] == ["ca.crt"]


def check_own(folder: Path) -> None:
    """Refuse to run a registry from a client's folder.

    Raises:
        RegistryError: The folder is a client's.
    """
    if is_handed(folder):
        message = f"{folder} holds the authority of another machine's registry (ca.crt and no keys)."
        cure = "./inv trust.linux trusts it. To run a registry here, use another folder: INVOKE_CERTIFICATE_FOLDER=…"
        raise RegistryError(message, cure=cure)
