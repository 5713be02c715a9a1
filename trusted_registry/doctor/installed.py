"""Certificate by which this machine's clients already trust another machine's registry, whoever wrote it."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from pathlib import Path

from trusted_registry.certificate import inspect
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.errors import RegistryError
from trusted_registry.registry.observe import Observation
from trusted_registry.settings import Settings
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.model import TrustAnchor


def find(seen: Observation, settings: Settings) -> Certificate | None:
    """Return the first certificate in a client's folder for a registry that signed that registry's chain, or None."""
    last = (seen.certificate, *seen.issuers)[-1]
    for path in _paths(settings):
        with contextlib.suppress(RegistryError, OSError, ValueError):
            certificate = inspect.read(path)
            if last and (certificate.fingerprint == last.fingerprint or inspect.signed_by(last, certificate)):
                return certificate
    return None


def _paths(settings: Settings) -> Iterator[Path]:
    anyone, machine = TrustAnchor(b"", "0" * 64, settings.registry_hosts), machines.current()
    for store in client_stores.STORES:
        for file in store.files(anyone) if store.system == platform.system() else ():
            if file.registry_host and file.path.endswith(".crt"):
                yield machine.path(file.path)
