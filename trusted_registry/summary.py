"""How things stand, in words: what `up` ends with and what `status` shows."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trusted_registry import address, installation
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import ownership, probe, users
from trusted_registry.trust.local import here, overview

if TYPE_CHECKING:
    from trusted_registry.registry.answers import Running
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


@dataclass(frozen=True)
class Certificate:
    """The server certificate: its names, whole days left, SHA-256 in hex; a problem instead where there is one."""

    names: tuple[str, ...] = ()
    days_left: int | None = None
    fingerprint: str | None = None
    authority: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Registry:
    """The container, and what answers at the registry's address."""

    state: str = "absent"
    role: str | None = None
    image: str | None = None
    port: int | None = None
    health: str = "not running"


@dataclass(frozen=True)
class Status:
    """All of it; trust is a state by store and spelling."""

    reference: str
    certificate: Certificate
    registry: Registry
    trust: dict[str, str]


def registry(settings: Settings) -> str:
    """Return the registry part of a reference, as people type it."""
    return address.reference(settings.address, settings.port)


def after_up(settings: Settings) -> str:
    """Return what a person needs next: the lines to copy, and what other machines do."""
    name = registry(settings)
    login = f"\n  docker login {name}" if users.wanted(settings.folder) else ""
    return f"""
Your registry is {name}. Use it:{login}
  docker pull ubuntu
  docker tag ubuntu {name}/ubuntu
  docker push {name}/ubuntu
  docker pull {name}/ubuntu
Other machines: run this here, and type there the line that it shows:
  {" ".join(("./inv", "trust.serve", *settings.flags))}"""


def look(settings: Settings, engine: Engine, *, dry: bool = False) -> Status:
    """Return how things stand; what an interrupted run had decided is finished first, unless this is a dry run."""
    return Status(
        reference=registry(settings),
        certificate=_certificate(settings, dry=dry),
        registry=_registry(settings, engine),
        trust=_trust(settings, engine, dry=dry),
    )


def _certificate(settings: Settings, *, dry: bool) -> Certificate:
    try:
        found = issue.find(settings.folder, dry=dry)
    except RegistryError as error:
        return Certificate(problem=error.message)
    if found is None:
        return Certificate(problem="none yet")
    return Certificate(
        names=(*found.server.addresses, *found.server.dns),
        days_left=found.server.days_left(inspect.now()),
        fingerprint=found.server.fingerprint,
        authority=found.anchor.fingerprint,
        problem=issue.unfit(found, settings),
    )


def _registry(settings: Settings, engine: Engine) -> Registry:
    if engine.silence:
        return Registry("not known", health=f"{engine.silence.message} {engine.silence.cure}")
    found = engine.find(settings.container)
    if found is None:
        return Registry()
    if ownership.is_another_s(found, settings):
        return Registry(found.state, "another checkout's", found.image, found.port, "not this checkout's")
    role = found.role or "not ours"
    health = _health(settings, found) if found.state == "running" else "not running"
    image = installation.known(settings.folder).image_name(found.image)
    return Registry(found.state, role, image, found.port, health)


def _health(settings: Settings, found: Running) -> str:
    plain = found.role != "tls"
    endpoint = probe.Endpoint(found.listen or settings.address, found.port or settings.port)
    try:
        if plain:
            return "answers" if probe.speaks_plain(endpoint) else "does not answer"
        status, _, _ = probe.request(
            endpoint, "GET", "/v2/", probe.context(issue.trusted(settings.folder, dry=True).path)
        )
        if probe.fingerprint(endpoint) != inspect.read(settings.folder / "domain.crt").fingerprint:
            return "serves another certificate than domain.crt; ./inv cert.renew --if-expiring 0 has it serve that"
    except (OSError, http.client.HTTPException, RegistryError) as error:
        return _trouble(error)
    asks = users.wanted(settings.folder)
    if status == http.client.OK and asks:
        return "answers everybody, though there are users; ./inv registry.tls has it ask for a login"
    if status == http.client.UNAUTHORIZED and asks:
        return "answers, and asks for a login"
    return "answers" if status in probe.READY else f"answers with status {status}"


def _trouble(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"serves another certificate ({error.verify_message}); ./inv cert.renew --if-expiring 0 mends it"
    return f"does not answer: {error}"


def _trust(settings: Settings, engine: Engine, *, dry: bool = False) -> dict[str, str]:
    try:
        places = overview.overview(settings, engine, here.EVERY, dry=dry)
    except RegistryError as error:
        return {registry(settings): error.message}
    return {f"{place.store.name}: {place.spelling}": place.said for place in places}


def as_json(found: Status) -> str:
    """Return the status as JSON, one object, with a final newline."""
    return json.dumps(asdict(found), indent=2) + "\n"


def as_table(found: Status) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of a table."""
    certificate, container = found.certificate, found.registry
    rows = []
    if certificate.fingerprint:
        rows += [
            ["certificate", ", ".join(certificate.names)],
            ["", f"{certificate.days_left} days left, SHA-256 {certificate.fingerprint[:16]}…"],
        ]
    if certificate.problem:
        rows.append(["certificate", certificate.problem])
    rows.append(["registry", f"{container.state}; {container.health}"])
    if container.image:
        rows.append(["", f"{container.image}, {container.role}, port {container.port}"])
    rows += [[f"trust for {spelling}", state] for spelling, state in found.trust.items()]
    return f"Registry {found.reference}", ["What", "How it stands"], rows
