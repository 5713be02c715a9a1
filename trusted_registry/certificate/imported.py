"""Whose an authority is: one that was made here, or a company's, whose key is not here and never was."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry.certificate import inspect, profile, signer
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from cryptography import x509

    from trusted_registry.certificate.issue import Issued

CURE = f"Ask your authority for another one, then: {signer.IMPORT}"


def is_foreign(issued: Issued) -> bool:
    """Return whether another authority's certificates are here, which nobody can renew here."""
    if issued.authority is None:
        return False
    keyless = not signer.keeps_key(issued.server.path.parent)
    return keyless and not is_of_this_project(issued.authority.certificate.subject)


def is_of_this_project(name: x509.Name) -> bool:
    """Return whether a certificate's name is one of those that this project gives to an authority or an issuer."""
    return profile.ORGANIZATION in inspect.organizations(name)


def change(issued: Issued) -> str:
    """Return the advice by which clients come to trust another authority, before this one ends."""
    return f"For a new root of that authority: {signer.IMPORT} --force" if is_foreign(issued) else signer.CHANGE


def is_here(folder: Path) -> bool:
    """Return whether a folder holds another authority's certificates."""
    issued = _found(folder, dry=True)
    return issued is not None and is_foreign(issued)


def check_renewable(folder: Path, *, dry: bool) -> None:
    """Refuse to renew another authority's certificate.

    Raises:
        RegistryError: The folder holds one.
    """
    issued = _found(folder, dry=dry)
    if issued and issued.authority and is_foreign(issued):
        wrong = f"{issued.server.path} was signed by {issued.authority.subject}, whose key is not here."
        raise RegistryError(wrong, cure=CURE)


def _found(folder: Path, *, dry: bool) -> Issued | None:
    """Return a folder's certificates; None of those that do not fit together, which a renewal may mend."""
    from trusted_registry.certificate import issue  # which imports this module

    with contextlib.suppress(RegistryError):
        return issue.find(folder, dry=dry)
    return None


def report(issued: Issued, reason: str, console: Console) -> None:
    """Warn of another authority's certificate that ends soon.

    Raises:
        RegistryError: The registry cannot serve that certificate.
    """
    if reason.startswith("expires"):
        console.warn(f"{issued.server.path} {reason}. {CURE}")
        return
    named = next((it for it in (*issued.server.dns, *issued.server.addresses) if not it.startswith("*")), "NAME")
    other = f"./inv up --address {named}, which it names; or: {signer.IMPORT}" if "does not name" in reason else CURE
    raise RegistryError(f"{issued.server.path} {reason}.", cure=other)
