"""Keys and certificates: planned for this machine, made in a private folder by the tool at hand, then moved at once."""

from __future__ import annotations

import dataclasses
import enum
import secrets
from pathlib import Path

from trusted_registry import address, files
from trusted_registry.certificate import inspect, openssl, profile
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError
from trusted_registry.settings import Settings

MODES = {"ca.crt": files.PUBLIC_FILE, "domain.crt": files.PUBLIC_FILE, openssl.CONFIG: files.PUBLIC_FILE}
"""Modes of the public files; every other file stays private."""


class CertificateKind(enum.Enum):
    """The certificates to make."""

    AUTHORITY = "an authority and the server certificate that it signs"
    SERVER = "a server certificate, signed by the authority that is there"
    SELF_SIGNED = "the document's single certificate"


def plan(
    settings: Settings, kind: CertificateKind, authority: Certificate | None = None, own_names: tuple[str, ...] = ()
) -> profile.Profile:
    """Return this machine's profile, within an authority's names and life."""
    planned = profile.plan(
        settings,
        machine=address.own_name(),
        own=(*address.own_addresses(), *own_names),
        mark=f"{inspect.now():%Y-%m-%d} {secrets.token_hex(2)}",
        self_signed=kind is CertificateKind.SELF_SIGNED,
    )
    if authority is None:
        return planned
    server = dataclasses.replace(
        planned.server,
        dns=inspect.allowed(authority, planned.server.dns),
        addresses=inspect.allowed(authority, planned.server.addresses),
        days=max(1, min(planned.server.days, authority.days_left(inspect.now()))),
    )
    return dataclasses.replace(planned, server=server)


def make(wanted: profile.Profile, kind: CertificateKind, folder: Path, console: Console, *, tool: str) -> None:
    """Show the commands for a kind of certificate, and make all files or none.

    Args:
        wanted: The contents of the certificates.
        kind: The certificates to make; a self-signed one removes an authority's files.
        folder: The folder that receives them.
        console: The console that shows the commands.
        tool: openssl, cryptography, or auto: openssl if installed.

    Raises:
        RegistryError: The tool failed or the folder cannot be written.
    """
    for command in commands(wanted, kind, folder, signer=folder):
        console.command(command)
    if console.dry:
        return
    with files.staging(folder) as staged:
        signer = staged if kind is CertificateKind.AUTHORITY else folder
        files.write(staged / openssl.CONFIG, profile.config(wanted).encode())
        with console.progress(f"Making a {wanted.server.key} key"):
            if tool == "openssl" or (tool == "auto" and openssl.installed()):
                _by_openssl(wanted, kind, staged, signer)
            else:
                console.say("made with the cryptography package, to the same effect as the commands above")
                _by_cryptography(wanted, kind, staged, signer)
        (staged / "domain.csr").unlink(missing_ok=True)
        if kind is CertificateKind.SELF_SIGNED:
            for name in ("ca.key", "ca.crt"):
                (staged / name).touch()
        files.install(staged, folder, MODES)


def _by_openssl(wanted: profile.Profile, kind: CertificateKind, folder: Path, signer: Path) -> None:
    try:
        openssl.carry_out(commands(wanted, kind, folder, signer=signer))
        _check_made(folder, kind)
    except RegistryError:
        files.check_room(folder)  # on a full disk openssl reports success, or calls its own output broken
        raise


def _check_made(folder: Path, kind: CertificateKind) -> None:
    """Check that every file was made and is not empty.

    A program may report success and have made nothing.
    """
    for name in ("domain.key", "domain.crt", *(("ca.key", "ca.crt") if kind is CertificateKind.AUTHORITY else ())):
        if not (folder / name).exists() or not (folder / name).stat().st_size:
            raise RegistryError(f"openssl said that it succeeded, and made no {name}.", cure=openssl.WITHOUT)


def commands(wanted: profile.Profile, kind: CertificateKind, folder: Path, *, signer: Path) -> list[list[str]]:
    """Return the openssl commands for a kind of certificate in a folder.

    `signer` is the folder that holds the authority.
    """
    if kind is CertificateKind.SELF_SIGNED:
        return openssl.self_signed(wanted.server, folder)
    authority = openssl.authority(wanted.authority, folder) if kind is CertificateKind.AUTHORITY else []
    return authority + openssl.server(wanted.server, folder, authority=signer)


def _by_cryptography(wanted: profile.Profile, kind: CertificateKind, folder: Path, signer: Path) -> None:
    from trusted_registry.certificate import native

    authority = None
    if kind is CertificateKind.AUTHORITY:
        authority = native.authority(wanted.authority)
        files.write(folder / "ca.key", native.pem(authority[0]), files.PRIVATE_FILE)
        files.write(folder / "ca.crt", native.public_pem(authority[1]))
    elif kind is CertificateKind.SERVER:
        authority = native.load_signer(signer)
    key, certificate = native.server(wanted.server, authority)
    files.write(folder / "domain.key", native.pem(key), files.PRIVATE_FILE)
    files.write(folder / "domain.crt", native.public_pem(certificate))
