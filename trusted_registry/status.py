"""Status of certificate, registry and trust, as `up` and `status` show them."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from trusted_registry import installation
from trusted_registry.certificate import changeover, handed, inspect, issue
from trusted_registry.console import pasteable
from trusted_registry.engine import membership
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import front, ownership
from trusted_registry.instance.model import Role
from trusted_registry.mirror import status as mirrors
from trusted_registry.registry import observe, probe, users
from trusted_registry.report import Report, Table
from trusted_registry.settings import Settings
from trusted_registry.trust.local import install, trust_status

_VERSION = re.compile(r" v?([0-9][A-Za-z0-9.+~-]{0,60})\s*\Z")
"""End of what `registry --version` prints."""
_LISTED = 5
"""Seconds in which the images are counted, or are not."""

REMOTE = "on another machine"
"""State of a registry whose authority alone is here."""


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
    """Container of the registry, its image with version and origin, health at its address, front, storage, images."""

    state: str = "absent"
    role: str | None = None
    image: str | None = None
    version: str | None = None
    origin: str | None = None
    port: int | None = None
    health: str = "not running"
    front: str | None = None
    front_problem: str | None = None
    storage: str | None = None
    repositories: int | None = None
    tags: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Status:
    """Status of all parts; trust is a state by store and registry host."""

    reference: str
    certificate: CertificateStatus
    registry: RegistryStatus
    trust: dict[str, str]
    mirrors: tuple[mirrors.MirrorStatus, ...] = ()


def next_steps(settings: Settings) -> str:
    """Return the next steps for a person: commands for this machine, and the one for other machines."""
    name = settings.registry_host
    image = pasteable([f"{name}/ubuntu"])
    login = f"\n  {pasteable(['docker', 'login', name])}" if users.is_login_required(settings.folder) else ""
    # A shell that was begun before this user was in the group needs that until the next login.
    group = f" (here after `newgrp {membership.GROUP}`)" if os.environ.get(membership.ENTERED) else ""
    return f"""
Your registry is {name}. Use it{group}:{login}
  docker pull ubuntu && docker tag ubuntu {image}
  docker push {image}
Other machines: run this here and paste the line it prints over there:
  {pasteable(["./inv", "trust.serve", *settings.flags])}"""


def find(settings: Settings, engine: Engine, *, dry: bool = False) -> Status:
    """Return the current status; committed moves of a killed run are finished first, except in a dry run."""
    return Status(
        reference=settings.registry_host,
        certificate=_certificate(settings, dry=dry),
        registry=_registry(settings, engine),
        trust=_trust(settings, engine, dry=dry),
        mirrors=mirrors.find(settings, engine),
    )


def _certificate(settings: Settings, *, dry: bool) -> CertificateStatus:
    try:
        if handed.is_handed(settings.folder):
            return CertificateStatus(authority=issue.trust_anchor(settings.folder, dry=dry).fingerprint)
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
    if handed.is_handed(settings.folder):
        return RegistryStatus(REMOTE, port=settings.port, health=_health_from_here(settings))
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
    found = _with_images(found, container, settings, engine)
    return replace(
        found,
        role=container.role or "not ours",
        image=own.image_name(container.image),
        version=version(settings, container, engine),
        origin=_origin(own, container, engine),
        health=_health(settings, met) if container.state == "running" else found.health,
        front=front.described(container, settings, engine),
        front_problem=front.trouble(container, settings, engine) or None,
        storage=container.volume or container.bucket or None,
    )


def _with_images(found: RegistryStatus, container: Container, settings: Settings, engine: Engine) -> RegistryStatus:
    """Return a status with the number and the size of the images, where its storage tells."""
    from trusted_registry.images import listing, storages, usage

    if container.ours and (container.volume or container.bucket) and container.state == "running":
        with contextlib.suppress(RegistryError):
            held = storages.of(container, settings, engine).files(seconds=_LISTED)
            named = [
                it for name, it in held.repositories.items() if not listing.is_ours(name) and (it.tags or it.revisions)
            ]
            tags = sum(len(it.tags) for it in named)
            return replace(found, repositories=len(named), tags=tags, bytes=usage.total(held))
    return found


def version(settings: Settings, container: Container, engine: Engine) -> str | None:
    """Return the version that the program in the container names; None if there is no answer."""
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
        seen = observe.ask(endpoint, issue.trust_anchor(settings.folder, dry=True).path)
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
    return f"serves another certificate ({seen.distrust}); ./inv cert.renew --if-expiring 0 fixes it"


def _health_from_here(settings: Settings) -> str:
    """Return how another machine's registry answers a client here."""
    try:
        seen = observe.ask(probe.Endpoint(settings.address, settings.port), issue.trust_anchor(settings.folder).path)
    except RegistryError as error:
        return f"not known: {error.message}"
    if lost := seen.connect_error or seen.refused:
        return f"does not answer: {lost}"
    if seen.distrust:
        return f"shows a certificate that ca.crt did not sign ({seen.distrust})"
    return _login_state(seen.status, asks=False)


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
    found: dict[str, str] = {}
    for entry in places:  # of two stores of one name, such as an engine's with and without root, both are told
        key = f"{entry.store.name}: {entry.name}"
        found[f"{entry.store.key}: {entry.name}" if key in found else key] = entry.state
    return found


def report(status: Status, *, judged: bool = True) -> Report:
    """Report the status.

    Args:
        status: The status.
        judged: Whether the report is one of a failure where something is wrong.
    """
    table = Table(f"Registry {status.reference}", ["What", "State"], _rows(status))
    return Report(asdict(status), table, failure=_failure(status) if judged else None)


def _rows(status: Status) -> list[list[str]]:
    """Return the findings, each under a name of its own."""
    certificate, container = status.certificate, status.registry
    mark = f"SHA-256 {certificate.fingerprint[:16]}…" if certificate.fingerprint else ""
    left = f"{certificate.days_left} days left, {mark}" if certificate.fingerprint else ""
    alone = certificate.authority and not certificate.fingerprint  # of another machine's registry
    authority = f"SHA-256 {certificate.authority[:16]}…" if alone and certificate.authority else ""
    version, trouble = f" ({container.version})" if container.version else "", container.front_problem
    rows = [
        ["names", ", ".join(certificate.names)],
        ["certificate", "; ".join(filter(None, (left, certificate.problem)))],
        ["authority", certificate.changeover or authority],
        ["registry", f"{container.state}; {container.health}"],
        ["container", f"{container.role}, port {container.port}" if container.image else ""],
        ["image", f"{container.image}{version}" if container.image else ""],
        ["origin", container.origin or ""],
        ["storage", container.storage or ""],
        ["images", _images(container)],
        ["front", f"{trouble}; ./inv up fixes it" if trouble else container.front or ""],
    ]
    return [*(row for row in rows if row[1]), *mirrors.rows(status.mirrors), *_trust_rows(status.trust)]


def _images(status: RegistryStatus) -> str:
    from trusted_registry.images import words

    if status.repositories is None or status.tags is None or status.bytes is None:
        return ""
    repositories = words.plural(status.repositories, "repository", "repositories")
    return f"{repositories}, {words.plural(status.tags, 'tag')}; {words.size(status.bytes)} on the disk"


def _trust_rows(trust: Mapping[str, str]) -> list[list[str]]:
    """Return a row for each store and state, with all registry hosts of which that is so."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for key, state in trust.items():
        store, colon, registry_host = key.rpartition(": ")
        hosts.setdefault((f"{store}{colon}", state), []).append(registry_host)
    return [
        [f"trust for {store}{', '.join(found)}", trust_status.explained(state)]
        for (store, state), found in hosts.items()
    ]


_WELL = ("answers", "answers, and asks for a login")


def _failure(status: Status) -> RegistryError | None:
    """Return the error that names the first fault, or None."""
    if status.registry.state == "absent" and not status.certificate.fingerprint:
        return RegistryError("There is no registry here yet.", cure="./inv up")
    plain = status.registry.role == Role.PLAIN.value  # it needs neither a certificate nor trust
    wrong = [] if plain else [f"certificate: {status.certificate.problem}"] if status.certificate.problem else []
    if status.registry.front_problem:
        wrong.append(f"front: {status.registry.front_problem}")
    elif status.registry.health not in _WELL:
        wrong.append(f"registry: {status.registry.state}; {status.registry.health.rstrip('.')}")
    if not plain:
        wrong += [f"trust for {key}: {state}" for key, state in status.trust.items() if not _is_well(state)]
    wrong += mirrors.troubles(status.mirrors)
    if not wrong:
        return None
    more = f" ({len(wrong) - 1} more)" if wrong[1:] else ""
    return RegistryError(f"Something is wrong: {wrong[0]}{more}.", cure="./inv doctor says why, and how to fix it.")


def _is_well(state: str) -> bool:
    """Whether a store is in order, or is one that this user may not read."""
    return state.startswith(("trusted", "not known"))
