"""Signer of a folder: the certificate whose key is kept there, and that therefore signs each server certificate.

That is issuer.crt, below a root whose key nobody has. Versions before made an authority that signs by itself, ca.crt
with ca.key; installations with such a pair go on with theirs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from trusted_registry import files
from trusted_registry.certificate import inspect, public_suffixes
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.settings import Settings, registry_flags

FORCE = "./inv cert --force replaces everything; clients must then trust the new authority."
CHANGE = "./inv cert.renew-authority changes over to a new one, step by step, while clients pull."

IMPORT = "./inv cert.import --certificate FILE --key FILE --authority FILE"
"""Command that takes a certificate of another authority, such as a company's."""

KEYS = ("ca.key", "issuer.key")
"""Files of the signer's key; a folder has one of them."""
FILES = ("ca.key", "ca.crt", "issuer.key", "issuer.crt")
"""Files of an authority, of whichever form; a self-signed certificate has none of them."""


def path(folder: Path) -> Path:
    """Return the path of the signer's certificate; its key is in the same folder."""
    own = any(files.exists(folder / name) for name in ("issuer.crt", "issuer.key"))
    return folder / ("issuer.crt" if own else "ca.crt")


def is_sent(signer: Path) -> bool:
    """Return whether a server sends a signer's certificate behind its own: clients have the root's alone."""
    return signer.name != "ca.crt"


def check(folder: Path, settings: Settings) -> Certificate:
    """Return the signer's certificate, which can sign for these settings now.

    Raises:
        RegistryError: The key is missing or wrong, or the signer has ended or may not vouch for a name in the settings.
    """
    certificate, key = inspect.read(path(folder)), path(folder).with_suffix(".key")
    if not files.exists(key):
        cure = f"Put it back for a moment. {FORCE}"
        raise RegistryError(f"{key} is not here, so nothing new can be signed.", cure=cure)
    check_pair(key, certificate, f"Put the right one back. {FORCE}")
    if is_sent(certificate.path):
        check_signed([certificate, inspect.read(folder / "ca.crt")])
    _check_dates(certificate)
    refused = [host for host in settings.hosts if host not in inspect.allowed(certificate, settings.hosts)]
    if refused:
        public_suffixes.check(settings, refused)
        flags = registry_flags(settings.address, names=settings.names)
        limits = "it is limited to private addresses and to what was named when it was made"
        wrong = f"The authority may not vouch for {', '.join(refused)}: {limits}."
        change = CHANGE.replace("-authority", f"-authority {pasteable(flags)}")
        raise RegistryError(wrong, cure=f"{change} Or: {FORCE.replace('--force', pasteable(['--force', *flags]))}")
    return certificate


def check_pair(key: Path, certificate: Certificate, cure: str) -> None:
    """Insist that a file holds a certificate's key.

    Raises:
        RegistryError: The file holds another certificate's key or none; the cure is the given one.
    """
    if not inspect.is_pair(key, certificate):
        raise RegistryError(f"{key} is not the key of {certificate.path.name}.", cure=cure)


def check_own_pair(key: Path, chain: Sequence[Certificate]) -> None:
    """Insist that a file holds the key of the first certificate, which is the server's own.

    Raises:
        RegistryError: The file holds another certificate's key, or none.
    """
    if not inspect.is_pair(key, chain[0]) and any(inspect.is_pair(key, it) for it in chain[1:]):
        path, folder = chain[0].path, chain[0].path.parent
        wrong = f"{path} has its certificates in another order: the server's own comes first."
        argv = ["./inv", "cert.import", "--certificate", str(path), "--key", str(key)]
        raise RegistryError(wrong, cure=pasteable([*argv, "--authority", str(folder / "ca.crt")]))
    check_pair(key, chain[0], "./inv cert.renew makes a new pair.")


def keeps_key(folder: Path) -> bool:
    """Return whether a folder has the key of an authority, so that something can be signed there."""
    return any(files.exists(folder / name) for name in KEYS)


def check_signed(chain: Iterable[Certificate]) -> None:
    """Insist that each certificate is signed by the next one.

    Raises:
        RegistryError: One is not.
    """
    for below, above in itertools.pairwise(chain):
        if not inspect.signed_by(below, above):
            renews = below.path.name == "domain.crt"
            cure = "./inv cert.renew makes one that is." if renews else f"Put the right one back. {FORCE}"
            if not keeps_key(below.path.parent):
                cure = f"Whose authority signed it knows the certificates between the two: {IMPORT} --chain FILE"
            raise RegistryError(f"{below.path} is not signed by {above.path.name}.", cure=cure)


def _check_dates(certificate: Certificate) -> None:
    if begins := certificate.begins(inspect.now()):
        wrong = f"The authority is not valid before {begins}: a clock is wrong, this one or that by which it was made."
        raise RegistryError(wrong, cure=f"See what this one says: date --utc. If it is right: {FORCE}")
    if certificate.days_left(inspect.now()) < 1:
        raise RegistryError(f"The authority expired on {certificate.not_after:%Y-%m-%d}.", cure=FORCE)
