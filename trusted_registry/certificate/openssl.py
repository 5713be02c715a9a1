"""Certificates made by the openssl program: the commands that the document shows, in two plain steps each.

Only options common to OpenSSL 1.1.1, OpenSSL 3 and LibreSSL are used.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trusted_registry import program
from trusted_registry.certificate import profile
from trusted_registry.errors import RegistryError

CONFIG = "openssl.cnf"
NO_OTHERS = {"SSL_CERT_FILE": os.devnull}
"""Variables for a quick start: `openssl x509` reads every authority that the system trusts, and needs none of them."""

WITHOUT = "Make the certificate without it: INVOKE_CERTIFICATE_TOOL=cryptography ./inv cert"
TIME_FOR_A_KEY = 300
"""Seconds allowed for making a key; a 4096-bit RSA key takes 0.4 to 5 s, on a small board ten times that."""


def installed() -> bool:
    """Return whether an openssl program is on PATH."""
    return shutil.which("openssl") is not None


def new_key(kind: str) -> list[str]:
    """Return the options for a key of a kind such as ec:P-256 or rsa:4096.

    The key gets no passphrase.
    """
    family, _, size = kind.partition(":")
    made = ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{size}"] if family == "ec" else ["-newkey", kind]
    return [*made, "-nodes", "-sha256"]


def serial() -> str:
    """Return a random serial of 127 bits, with a leading one bit.

    At 127 bits a serial is positive (RFC 5280, 4.1.2.2).
    """
    return f"0x{(1 << 126) | secrets.randbits(126):032x}"


def authority(authority: profile.Authority, folder: Path) -> list[list[str]]:
    """Return the command that makes ca.key and ca.crt in a folder.

    The folder must hold openssl.cnf.
    """
    files = ["-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt", "-config", f"{folder}/{CONFIG}"]
    says = ["-subj", f"/O={profile.ORGANIZATION}/CN={authority.subject}", "-extensions", "v3_ca"]
    life = ["-set_serial", serial(), "-days", str(authority.days)]
    return [["openssl", "req", "-x509", *new_key(authority.key), *files, *says, *life]]


def server(server: profile.Server, folder: Path, *, authority: Path) -> list[list[str]]:
    """Return the commands that make domain.key and domain.crt in `folder`.

    The folder `authority` holds the authority that signs.
    """
    request = ["-keyout", f"{folder}/domain.key", "-out", f"{folder}/domain.csr", "-config", f"{folder}/{CONFIG}"]
    files = ["-in", f"{folder}/domain.csr", "-out", f"{folder}/domain.crt", "-extfile", f"{folder}/{CONFIG}"]
    signer = ["-CA", f"{authority}/ca.crt", "-CAkey", f"{authority}/ca.key", "-sha256", "-extensions", "v3_req"]
    life = ["-set_serial", serial(), "-days", str(server.days)]
    return [
        ["openssl", "req", "-new", *new_key(server.key), *request],
        ["openssl", "x509", "-req", *files, *signer, *life],
    ]


def self_signed(server: profile.Server, folder: Path) -> list[list[str]]:
    """Return the document's command for one certificate, self-signed."""
    files = ["-keyout", f"{folder}/domain.key", "-out", f"{folder}/domain.crt", "-config", f"{folder}/{CONFIG}"]
    life = ["-x509", "-days", str(server.days), "-set_serial", serial(), "-extensions", "v3_req"]
    return [["openssl", "req", *new_key(server.key), *files, *life]]


def verification(folder: Path) -> list[str]:
    """Return the command that checks a folder's server certificate against its authority, with the issuer it sends."""
    sent = ["-untrusted", f"{folder}/domain.crt"]
    return ["openssl", "verify", "-x509_strict", "-CAfile", f"{folder}/ca.crt", *sent, f"{folder}/domain.crt"]


def carry_out(commands: Sequence[Sequence[str]]) -> None:
    """Run commands: those that make a key side by side, then the last one, which may sign with one of them.

    Raises:
        RegistryError: openssl failed; the message has the last line of its output.
    """
    *keys, last = commands
    with ThreadPoolExecutor() as beside:
        list(beside.map(_run, keys))
    _run(last)


def _run(command: Sequence[str]) -> None:
    result = program.capture(command, env=NO_OTHERS, timeout=TIME_FOR_A_KEY)
    if not result.ok:
        raise RegistryError(f"openssl {command[1]} failed: {result.last_line}", cure=WITHOUT)
