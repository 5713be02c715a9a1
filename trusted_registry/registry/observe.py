"""What answers where the registry should: the certificate on disk, no plain HTTP, and a question for a login."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from trusted_registry.certificate import issue
from trusted_registry.errors import OpenToAllError, RegistryError
from trusted_registry.registry import probe, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.settings import Settings


def serves(endpoint: probe.Endpoint, settings: Settings, wanted: str) -> bool:
    """Whether the registry there shows the certificate of this fingerprint, and asks for a login where it should."""
    try:
        return probe.fingerprint(endpoint) == wanted and turns_away(endpoint, settings)
    except (OSError, http.client.HTTPException):
        return False


def turns_away(endpoint: probe.Endpoint, settings: Settings) -> bool:
    """Whether a request without a login is refused, where there are users."""
    if not users.is_login_required(settings.folder):
        return True
    trust = probe.context(issue.trust_anchor(settings.folder).path)
    return probe.request(endpoint, "GET", "/v2/", trust)[0] == http.client.UNAUTHORIZED


def is_up(engine: Engine, name: str) -> bool:
    """Whether a container of this name runs."""
    container = engine.find(name)
    return container is not None and container.state == "running"


def check_tls(endpoint: probe.Endpoint, settings: Settings, still_up: Callable[[], bool], wanted: str) -> None:
    """Insist on the handshake, the certificate on disk, a refusal of plain HTTP, and the login where there is one."""
    trust = probe.context(issue.trust_anchor(settings.folder).path)
    probe.await_answer(lambda: probe.request(endpoint, "GET", "/v2/", trust)[0], still_up)
    shown = probe.fingerprint(endpoint)
    if shown != wanted:
        raise RegistryError(
            f"{endpoint} shows another certificate ({shown[:16]}…) than domain.crt ({wanted[:16]}…).",
            cure="Something else answers at that address: see `ip address` and INVOKE_REGISTRY_ADDRESS.",
        )
    if probe.speaks_plain(endpoint):
        raise RegistryError(
            f"{endpoint} answers plain HTTP.",
            cure="The image ignores /config/registry.yml; use registry:2 or registry:3.",
        )
    if not turns_away(endpoint, settings):
        raise OpenToAllError(
            f"{endpoint} lets everybody in, though there are users.",
            cure="The image ignores /config/registry.yml; use registry:2 or registry:3.",
        )
