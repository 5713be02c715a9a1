"""Makes keys and certificates in a private folder, with whichever tool there is, and moves them into place at once."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from trusted_registry import files
from trusted_registry.certificate import openssl, profile
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.edge import Edge

MODES = {"ca.crt": files.PUBLIC_FILE, "domain.crt": files.PUBLIC_FILE, openssl.CONFIG: files.PUBLIC_FILE}
"""What is not a secret; whatever else is made stays private."""


class Shape(enum.Enum):
    """What is to be made."""

    AUTHORITY = "an authority and the server certificate that it signs"
    SERVER = "a server certificate, signed by the authority that is there"
    SELF_SIGNED = "the document's single certificate"


def produce(what: profile.Profile, shape: Shape, folder: Path, edge: Edge, *, tool: str) -> None:
    """Show the commands that make a shape, and make it in `folder`: all of it, or nothing when something fails.

    Args:
        what: What the certificates must say.
        shape: Which of them are made; a self-signed one takes an authority's files away.
        folder: Where they go.
        edge: Whom to show it to.
        tool: openssl, cryptography, or auto: openssl where it is installed.

    Raises:
        RegistryError: The tool failed or the folder cannot be written.
    """
    for command in commands(what, shape, folder, signer=folder):
        edge.command(command)
    if edge.dry:
        return
    with files.staging(folder) as staged:
        signer = staged if shape is Shape.AUTHORITY else folder
        files.write(staged / openssl.CONFIG, profile.config(what).encode())
        with edge.progress(f"Making a {what.server.key} key"):
            if tool == "openssl" or (tool == "auto" and openssl.installed()):
                _by_openssl(what, shape, staged, signer)
            else:
                edge.say("made with the cryptography package, to the same effect as the commands above")
                _natively(what, shape, staged, signer)
        (staged / "domain.csr").unlink(missing_ok=True)
        if shape is Shape.SELF_SIGNED:
            for name in ("ca.key", "ca.crt"):
                (staged / name).touch()
        files.install(staged, folder, MODES)


def _by_openssl(what: profile.Profile, shape: Shape, folder: Path, signer: Path) -> None:
    try:
        openssl.carry_out(commands(what, shape, folder, signer=signer))
        _check_made(folder, shape)
    except RegistryError:
        files.check_room(folder)  # on a full disk it says that it succeeded, or that what it wrote itself is broken
        raise


def _check_made(folder: Path, shape: Shape) -> None:
    """Insist that all is there: a program may say that it succeeded and have made nothing."""
    wanted = ["domain.key", "domain.crt"] + (["ca.key", "ca.crt"] if shape is Shape.AUTHORITY else [])
    for name in wanted:
        if not (folder / name).exists() or not (folder / name).stat().st_size:
            raise RegistryError(
                f"openssl said that it succeeded, and made no {name}.",
                cure="Make the certificate without it: INVOKE_CERTIFICATE_TOOL=cryptography ./inv cert",
            )


def commands(what: profile.Profile, shape: Shape, folder: Path, *, signer: Path) -> list[list[str]]:
    """Return the openssl commands that make a shape in a folder; `signer` holds the authority."""
    if shape is Shape.SELF_SIGNED:
        return openssl.self_signed(what.server, folder)
    authority = openssl.authority(what.authority, folder) if shape is Shape.AUTHORITY else []
    return authority + openssl.server(what.server, folder, authority=signer)


def _natively(what: profile.Profile, shape: Shape, folder: Path, signer: Path) -> None:
    from trusted_registry.certificate import native

    authority = None
    if shape is Shape.AUTHORITY:
        authority = native.authority(what.authority)
        files.write(folder / "ca.key", native.pem(authority[0]), files.PRIVATE_FILE)
        files.write(folder / "ca.crt", native.public_pem(authority[1]))
    elif shape is Shape.SERVER:
        authority = native.load_signer(signer)
    key, certificate = native.server(what.server, authority)
    files.write(folder / "domain.key", native.pem(key), files.PRIVATE_FILE)
    files.write(folder / "domain.crt", native.public_pem(certificate))
