"""The kit: one POSIX sh script with the authority inside that has any Linux machine trust a registry."""

from __future__ import annotations

import hashlib
import re
import shlex
import ssl
from typing import TYPE_CHECKING

from trusted_registry import templates
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from trusted_registry.trust.stores import Subject


def file_name(subject: Subject, reference: str) -> str:
    """Return the kit's file name: the registry as people type it, and the first 16 digits of the fingerprint."""
    typed = re.sub(r"[^A-Za-z0-9.]+", "-", reference).strip("-.")
    return f"trust-{typed}-{subject.fingerprint[:16]}.sh"


def render(subject: Subject, reference: str) -> bytes:
    """Return the whole script.

    Args:
        subject: What is to be trusted.
        reference: The registry as people type it, such as 192.168.0.12.

    Raises:
        RegistryError: The fingerprint is not the certificate's.
    """
    text = subject.content.decode("ascii", errors="replace")
    try:
        der = ssl.PEM_cert_to_DER_cert(text)
    except ValueError:
        der = b""
    if hashlib.sha256(der).hexdigest() != subject.fingerprint:
        raise RegistryError("The fingerprint is not the certificate's.", cure="./inv cert.show shows both.")
    return templates.render(
        "trust.sh",
        reference=reference,
        fingerprint=subject.fingerprint,
        pem=shlex.quote(text),
        spellings=[shlex.quote(it) for it in subject.spellings],
    ).encode()
