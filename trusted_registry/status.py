"""Status of certificate, registry and trust, as `up` and `status` show them."""

from __future__ import annotations

import contextlib
import http.client
import re
from dataclasses import asdict, dataclass, replace

from trusted_registry import installation
from trusted_registry.certificate import changeover, inspect, issue
from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import front, ownership
from trusted_registry.instance.model import Role
from trusted_registry.registry import observe, probe, users
from trusted_registry.report import Report, Table
from trusted_registry.settings import Settings
from trusted_registry.trust.local import install, trust_status

_VERSION = re.compile(r" v?([0-9][A-Za-z0-9.+~-]{0,60})\s*\Z")
"""End of what `registry --version` prints."""


@dataclass(frozen=True)
class CertificateStatus:
    """Server certificate: names, whole days left, SHA-256 fingerprints in hex, the problem and changeover if any."""

    names: tuple[str, ...] = ()
    days_left: int | None = None
    fingerprint: str | None = None
    authority: str | None = None
    problem: str | None = None
    changeover: str | None = None


@dataclass(frozen=True)
class RegistryStatus:
    """Container of the registry, its image with version and origin, health of the server at its address, its front."""

    state: str = "absent"
    role: str | None = None
    image: str | None = None
    version: str | None = None
    origin: str | None = None
    port: int | None = None
    health: str = "not running"
    front: str | None = None


@dataclass(frozen=True)
class Status:
    """Status of all parts; trust is a state by store and registry host."""

    reference: str
    certificate: CertificateStatus
    registry: RegistryStatus
    trust: dict[str, str]


def next_steps(settings: Settings) -> str:
    """Return the next steps for a person: commands for this machine, and the one for other machines."""
    name = settings.registry_host
    image = pasteable([f"{name}/ubuntu"])
    login = f"\n  {pasteable(['docker', 'login', name])}" if users.is_login_required(settings.folder) else ""
    return f"""
Your registry is {name}. Use it:{login}
  docker pull ubuntu
  docker tag ubuntu {image}
  docker push {image}
  docker pull {image}
Other machines: run this here, and type there the line that it shows:
  {pasteable(["./inv", "trust.serve", *settings.flags])}"""


def find(settings: Settings, engine: Engine, *, dry: bool = False) -> Status:
    """Return the current status; committed moves of a killed run are finished first, except in a dry run."""
    return Status(
        reference=settings.registry_host,
        certificate=_certificate(settings, dry=dry),
        registry=_registry(settings, engine),
        trust=_trust(settings, engine, dry=dry),
    )


def _certificate(settings: Settings, *, dry: bool) -> CertificateStatus:
    try:
        issued, stage = issue.find(settings.folder, dry=dry), changeover.stage(settings.folder)
    except RegistryError as error:
        return CertificateStatus(problem=error.message)
    if issued is None:
        return CertificateStatus(problem="none yet")
    return CertificateStatus(
        names=(*issued.server.addresses, *issued.server.dns),
        days_left=issued.server.days_left(inspect.now()),
        fingerprint=issued.server.fingerprint,
        authority=issued.anchor.fingerprint,
        problem=issue.misfit(issued, settings),
        changeover=stage.value or None,
    )


def _registry(settings: Settings, engine: Engine) -> RegistryStatus:
    if engine.connect_error:
        return RegistryStatus("not known", health=f"{engine.connect_error.message} {engine.connect_error.cure}")
    container = engine.find(settings.container)
    if container is None:
        return RegistryStatus()
    met = front.as_met(container, settings, engine)
    found = RegistryStatus(container.state, image=container.image, port=met.port)
    if ownership.is_another_s(container, settings):
        return replace(found, role="another checkout's", health="not this checkout's")
    own = installation.known(settings.folder)
    return replace(
        found,
        role=container.role or "not ours",
        image=own.image_name(container.image),
        version=version(settings, container, engine),
        origin=_origin(own, container, engine),
        health=_health(settings, met) if container.state == "running" else found.health,
        front=front.described(container, settings, engine),
    )


def version(settings: Settings, container: Container, engine: Engine) -> str | None:
    """Return the version that the program in the container says it has; None if it runs not, or says nothing."""
    if container.ours and container.state == "running":
        with contextlib.suppress(RegistryError):
            said = engine.execute(settings.container, ["registry", "--version"])
            if said.code == 0 and (found := _VERSION.search(said.out)):
                return found[1]
    return None


def _origin(own: installation.Installation, container: Container, engine: Engine) -> str:
    """Return where the image came from, by this installation's note or the registry's digest in the engine."""
    if made := own.images.get(container.image_id):
        return f"made here from {made.origin}"
    pulled = engine.image_digest(container.image_id)
    return f"pulled as {pulled}" if pulled else "loaded or built on this machine"


def _health(settings: Settings, container: Container) -> str:
    endpoint = probe.Endpoint(container.listen or settings.address, container.port or settings.port)
    if container.role != Role.TLS:
        return "answers" if probe.speaks_plain(endpoint) else "does not answer"
    try:
        seen = observe.look(endpoint, issue.trust_anchor(settings.folder, dry=True).path)
        wanted = inspect.read(settings.folder / "domain.crt").fingerprint
    except RegistryError as error:
        return f"does not answer: {error}"
    if lost := seen.connect_error or seen.refused:
        return f"does not answer: {lost}"
    if seen.distrust:
        return _refused(seen, settings)
    if seen.fingerprint != wanted:
        return "serves another certificate than domain.crt; ./inv cert.renew --if-expiring 0 has it serve that"
    return _login_state(seen.status, asks=users.is_login_required(settings.folder))


def _refused(seen: observe.Observation, settings: Settings) -> str:
    if seen.unsent:
        cure = observe.sending_cure(settings)
        return f"does not send its issuer ({seen.unsent}), so that every client refuses it; {cure}"
    return f"serves another certificate ({seen.distrust}); ./inv cert.renew --if-expiring 0 mends it"


def _login_state(status: int, *, asks: bool) -> str:
    if status == http.client.OK and asks:
        return "answers everybody, though there are users; ./inv registry.tls has it ask for a login"
    if status == http.client.UNAUTHORIZED and asks:
        return "answers, and asks for a login"
    return "answers" if status in probe.READY_STATUSES else f"answers with status {status}"


def _trust(settings: Settings, engine: Engine, *, dry: bool = False) -> dict[str, str]:
    try:
        places = trust_status.find(settings, engine, install.ALL_STORES, dry=dry)
    except RegistryError as error:
        return {settings.registry_host: error.message}
    return {f"{entry.store.name}: {entry.registry_host}": entry.state for entry in places}


def report(status: Status) -> Report:
    """Report the status."""
    certificate, container = status.certificate, status.registry
    rows = []
    if certificate.fingerprint:
        rows.append(["certificate", ", ".join(certificate.names)])
        rows.append(["", f"{certificate.days_left} days left, SHA-256 {certificate.fingerprint[:16]}…"])
    if certificate.problem:
        rows.append(["certificate", certificate.problem])
    if certificate.changeover:
        rows.append(["authority", certificate.changeover])
    rows.append(["registry", f"{container.state}; {container.health}"])
    if container.image:
        version = f" ({container.version})" if container.version else ""
        rows.append(["", f"{container.image}{version}, {container.role}, port {container.port}"])
    if container.front:
        rows.append(["front", container.front])
    if container.origin:
        rows.append(["", f"image {container.origin}"])
    rows += [[f"trust for {registry_host}", state] for registry_host, state in status.trust.items()]
    return Report(asdict(status), Table(f"Registry {status.reference}", ["What", "How it stands"], rows))
