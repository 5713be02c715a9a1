"""The kit: trust for machines without a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import RegistryError
from trusted_registry.trust.stores import Subject

if TYPE_CHECKING:
    from trusted_registry.settings import Settings


def subject(settings: Settings) -> Subject:
    """Return what other machines are to trust, and by which names.

    The certificate is written anew from what was read of its file: nothing else that the file may hold travels on.

    Raises:
        RegistryError: There is no certificate, or it expired.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    found = issue.trusted(settings.folder)
    if found.days_left(inspect.now()) < 0:
        raise RegistryError(f"{found.path} expired on {found.not_after:%Y-%m-%d}.", cure=issue.FORCE)
    content = found.certificate.public_bytes(Encoding.PEM)
    return Subject(content, found.fingerprint, address.spellings(settings.hosts, settings.port))
