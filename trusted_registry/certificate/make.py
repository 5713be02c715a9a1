"""Keys and certificates: planned for this machine, made in a private folder by the tool at hand, then moved at once."""

from __future__ import annotations

import dataclasses
import enum
import secrets
from collections.abc import Sequence
from pathlib import Path

from trusted_registry import address, files, threads
from trusted_registry.certificate import inspect, openssl, profile, public_suffixes, signer
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.console import APPEND, Console
from trusted_registry.errors import RegistryError
from trusted_registry.settings import Settings

MODES = dict.fromkeys(("ca.crt", "issuer.crt", "domain.crt", openssl.CONFIG), files.PUBLIC_FILE)
"""Modes of the public files; every other file stays private."""


class CertificateKind(enum.Enum):
    """The certificates to make."""

    AUTHORITY = "a root, the issuer that it signs, and the server certificate of that"
    SERVER = "a server certificate, by the signer that is there"
    SELF_SIGNED = "the document's single certificate"


def plan(
    settings: Settings, kind: CertificateKind, signing: Certificate | None = None, own_names: tuple[str, ...] = ()
) -> profile.Profile:
    """Return this machine's profile, within a signer's names and life.

    Raises:
        SettingError: A new authority would have to vouch for a public suffix.
    """
    if signing is None and kind is not CertificateKind.SELF_SIGNED:
        public_suffixes.check(settings, settings.hosts)
    planned = profile.plan(
        settings,
        machine=public_suffixes.own_name(),
        own=(*address.own_addresses(), *own_names),
        mark=f"{inspect.now():%Y-%m-%d} {secrets.token_hex(2)}",
        self_signed=kind is CertificateKind.SELF_SIGNED,
    )
    server, days = planned.server, planned.server.days
    if signing:
        dns, addresses = inspect.allowed(signing, server.dns), inspect.allowed(signing, server.addresses)
        server, days = dataclasses.replace(server, dns=dns, addresses=addresses), signing.days_left(inspect.now())
    elif kind is CertificateKind.AUTHORITY:
        days = planned.authority.days - 1  # made a moment later, it would outlive an issuer of as many days
    return dataclasses.replace(planned, server=dataclasses.replace(server, days=max(1, min(server.days, days))))


def make(wanted: profile.Profile, kind: CertificateKind, folder: Path, console: Console, *, tool: str) -> None:
    """Show the commands for a kind of certificate, and make all files or none.

    Args:
        wanted: The contents of the certificates.
        kind: The certificates to make; a self-signed one removes an authority's files, a root the key of one that had.
        folder: The folder that receives them.
        console: The console that shows the commands.
        tool: openssl, cryptography, or auto: openssl if installed.

    Raises:
        RegistryError: The tool failed or the folder cannot be written.
    """
    for command in shown(wanted, kind, folder):
        console.command(command)
    if console.dry:
        return
    with files.staging(folder) as staged:
        signing = staged / "issuer.crt" if kind is CertificateKind.AUTHORITY else signer.path(folder)
        files.write(staged / openssl.CONFIG, profile.config(wanted).encode())
        with console.progress(f"Making a {wanted.server.key} key"):
            if tool == "openssl" or (tool == "auto" and openssl.installed()):
                _by_openssl(wanted, kind, staged, signing)
            else:
                if tool == "auto":
                    console.say("certificate: made by the cryptography package, as there is no openssl program here")
                _by_cryptography(wanted, kind, staged, signing)
        if _sends_issuer(kind, signing):
            _append(signing, staged / "domain.crt")
        for name in _OUTDATED[kind]:
            if files.exists(folder / name):
                (staged / name).touch()
        files.install(staged, folder, MODES)


_OUTDATED = {
    CertificateKind.AUTHORITY: ("ca.key",),
    CertificateKind.SERVER: (),
    CertificateKind.SELF_SIGNED: signer.FILES,
}
"""Files that are removed when certificates of a kind take the place of others."""


def _sends_issuer(kind: CertificateKind, signing: Path) -> bool:
    return kind is not CertificateKind.SELF_SIGNED and signer.is_sent(signing)


def _append(signing: Path, server: Path) -> None:
    """Put the issuer's certificate behind the server's own: a registry does not start with the two in another order."""
    files.write(server, server.read_bytes() + inspect.pem(inspect.read(signing)))


def _by_openssl(wanted: profile.Profile, kind: CertificateKind, folder: Path, signing: Path) -> None:
    try:
        threads.beside(lambda: openssl.carry_out(steps(wanted, kind, folder, signing)), inspect.load)
        _check_made(folder, kind)
        if kind is CertificateKind.AUTHORITY and not _end_together(folder):  # midnight came between the two
            openssl.carry_out(steps(wanted, kind, folder, signing))
    except RegistryError:
        files.check_room(folder)  # on a full disk openssl reports success, or calls its own output broken
        raise
    for request in folder.glob("*.csr"):
        request.unlink()


def _end_together(folder: Path) -> bool:
    """Return whether root and issuer end on the same day: some clients ignore when their anchor ends."""
    root, issuer = (inspect.read(folder / name) for name in ("ca.crt", "issuer.crt"))
    return root.not_after.date() == issuer.not_after.date()


def _check_made(folder: Path, kind: CertificateKind) -> None:
    """Check that every file was made and is not empty.

    A program may report success and have made nothing.
    """
    more = ("issuer.key", "issuer.crt", "ca.crt") if kind is CertificateKind.AUTHORITY else ()
    for name in ("domain.key", "domain.crt", *more):
        if not files.exists(folder / name) or not (folder / name).stat().st_size:
            raise RegistryError(f"openssl said that it succeeded, and made no {name}.", cure=openssl.WITHOUT)


def shown(wanted: profile.Profile, kind: CertificateKind, folder: Path) -> list[Sequence[str]]:
    """Return the commands that a person would type for a kind of certificate in a folder."""
    signing = folder / "issuer.crt" if kind is CertificateKind.AUTHORITY else signer.path(folder)
    append = ["cat", str(signing), APPEND, f"{folder}/domain.crt"]
    return [
        *(step.shown for step in steps(wanted, kind, folder, signing)),
        *([append] if _sends_issuer(kind, signing) else []),
    ]


def steps(wanted: profile.Profile, kind: CertificateKind, folder: Path, signing: Path) -> list[openssl.Step]:
    """Return the openssl steps for a kind of certificate in a folder, by a signer: the path of its certificate."""
    if kind is CertificateKind.SELF_SIGNED:
        return openssl.self_signed(wanted.server, folder)
    authority = openssl.authority(wanted.authority, folder) if kind is CertificateKind.AUTHORITY else []
    return authority + openssl.server(wanted.server, folder, signer=signing)


def _by_cryptography(wanted: profile.Profile, kind: CertificateKind, folder: Path, signing: Path) -> None:
    from trusted_registry.certificate import native

    by = native.load_signer(signing) if kind is CertificateKind.SERVER else None
    if kind is CertificateKind.AUTHORITY:
        root, by = native.authority(wanted.authority)
        files.write(folder / "ca.crt", native.public_pem(root))
        files.write(folder / "issuer.key", native.pem(by[0]), files.PRIVATE_FILE)
        files.write(folder / "issuer.crt", native.public_pem(by[1]))
    key, certificate = native.server(wanted.server, by)
    files.write(folder / "domain.key", native.pem(key), files.PRIVATE_FILE)
    files.write(folder / "domain.crt", native.public_pem(certificate))
