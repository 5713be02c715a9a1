"""Certificates made by the openssl program: the commands that the document shows, in two plain steps each.

Only options common to OpenSSL 1.1.1, OpenSSL 3 and LibreSSL are used.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import program
from trusted_registry.certificate import profile
from trusted_registry.console import PIPE_AFTER_END
from trusted_registry.errors import RegistryError

CONFIG = "openssl.cnf"
NO_OTHERS = {"SSL_CERT_FILE": os.devnull}
"""Variables for a quick start: `openssl x509` reads every authority that the system trusts, and needs none of them."""

WITHOUT = "Make the certificate without it: INVOKE_CERTIFICATE_TOOL=cryptography ./inv cert"
TIME_FOR_A_KEY = 300
"""Seconds allowed for making a key; a 4096-bit RSA key takes 0.4 to 5 s, on a small board ten times that."""


@dataclass(frozen=True)
class Step:
    """One step: a command, and the one that signs with the key which the first writes to a pipe, if there is one."""

    argv: Sequence[str]
    reader: Sequence[str] = ()

    @property
    def shown(self) -> Sequence[str]:
        """The step as a person would type it."""
        before, after = PIPE_AFTER_END
        return [*self.argv, before, *self.reader, after] if self.reader else self.argv


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


def authority(authority: profile.Authority, folder: Path) -> list[Step]:
    """Return the steps that make issuer.key, issuer.crt and ca.crt in a folder, which must hold openssl.cnf.

    The root's key goes from the one program to the other by a pipe, signs the issuer, and is on no disk.
    """
    life = ["-days", str(authority.days)]
    root = ["openssl", "req", "-x509", *new_key(authority.key), "-keyout", "/dev/stdout", "-out", f"{folder}/ca.crt"]
    says = [*_named(authority.subject, folder), "-extensions", "v3_root", "-set_serial", serial(), *life]
    request = ["-keyout", f"{folder}/issuer.key", "-out", f"{folder}/issuer.csr", *_named(authority.issuer, folder)]
    sign = _signature("issuer", folder, "v3_issuer", f"{folder}/ca.crt", "/dev/stdin")
    return [
        Step(["openssl", "req", "-new", *new_key(authority.key), *request]),
        Step([*root, *says], reader=[*sign, *life]),
    ]


def server(server: profile.Server, folder: Path, *, signer: Path) -> list[Step]:
    """Return the steps that make domain.key and domain.crt in a folder.

    `signer` is the path of the signer's certificate; its key is in the same folder.
    """
    request = ["-keyout", f"{folder}/domain.key", "-out", f"{folder}/domain.csr", *_named(server.subject, folder)]
    sign = _signature("domain", folder, "v3_req", str(signer), str(signer.with_suffix(".key")))
    return [
        Step(["openssl", "req", "-new", *new_key(server.key), *request]),
        Step([*sign, "-days", str(server.days)]),
    ]


def _signature(stem: str, folder: Path, section: str, signer: str, key: str) -> list[str]:
    """Return the command that signs STEM.csr, but for the life of the certificate."""
    files = ["-in", f"{folder}/{stem}.csr", "-out", f"{folder}/{stem}.crt", "-extfile", f"{folder}/{CONFIG}"]
    by = ["-CA", signer, "-CAkey", key, "-sha256", "-extensions", section, "-set_serial", serial()]
    return ["openssl", "x509", "-req", *files, *by]


def _named(common_name: str, folder: Path) -> list[str]:
    """Return the options that name a subject, which LibreSSL overrides by a configuration that says `prompt = no`."""
    return ["-config", f"{folder}/{CONFIG}", "-subj", f"/O={profile.ORGANIZATION}/CN={common_name}"]


def self_signed(server: profile.Server, folder: Path) -> list[Step]:
    """Return the document's command for one certificate, self-signed."""
    files = ["-keyout", f"{folder}/domain.key", "-out", f"{folder}/domain.crt", *_named(server.subject, folder)]
    life = ["-x509", "-days", str(server.days), "-set_serial", serial(), "-extensions", "v3_req"]
    return [Step(["openssl", "req", *new_key(server.key), *files, *life])]


def verification(folder: Path) -> list[str]:
    """Return the command that checks a folder's server certificate against its authority, with the sent issuer."""
    sent = ["-untrusted", f"{folder}/domain.crt"]
    return ["openssl", "verify", "-x509_strict", "-CAfile", f"{folder}/ca.crt", *sent, f"{folder}/domain.crt"]


def carry_out(steps: Sequence[Step]) -> None:
    """Run the steps: those that make a key side by side, then those that sign, in their order.

    Raises:
        RegistryError: openssl failed; the message has the last line of its output.
    """
    makes_key = [step for step in steps if step.argv[1] == "req"]
    with ThreadPoolExecutor() as beside:
        made = list(beside.map(lambda step: _run(step.argv, secret=bool(step.reader)), makes_key))
    for step, key in zip(makes_key, made, strict=True):
        if step.reader:
            _run(step.reader, text=key)
    for step in steps:
        if step not in makes_key:
            _run(step.argv)


def _run(command: Sequence[str], *, text: str = "", secret: bool = False) -> str:
    """Run openssl and return its output; one that may hold a key is quoted in no error."""
    result = program.capture(command, text=text, env=NO_OTHERS, timeout=TIME_FOR_A_KEY)
    if not result.ok:
        said = dataclasses.replace(result, out="") if secret else result
        raise RegistryError(f"openssl {command[1]} failed: {said.last_line}", cure=WITHOUT)
    return result.out
