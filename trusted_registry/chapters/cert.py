"""Certificates for an IP address."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from trusted_registry import address, given, installation, run
from trusted_registry.certificate import inspect, issue, openssl, rules
from trusted_registry.errors import RegistryError
from trusted_registry.registry import turn
from trusted_registry.settings import MAX_SERVER_DAYS, TOOLS, one_of, whole

if TYPE_CHECKING:
    from trusted_registry.certificate.issue import Issued
    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings


def config(settings: Settings, edge: Edge, *, self_signed: bool) -> None:
    """Render openssl.cnf."""
    path = issue.write_config(settings, edge, self_signed=self_signed)
    tell(edge, f"config: {path}; ./inv cert uses the same")


def make(settings: Settings, edge: Edge, *, self_signed: bool, force: bool, tool: str) -> None:
    """Make what is missing."""
    if tool:
        settings = dataclasses.replace(settings, tool=one_of("--tool", tool, TOOLS))
    with turn.taken(settings, edge):
        installation.read(settings.folder)  # a damaged one is told before anything is made
        changed = issue.ensure(settings, edge, self_signed=self_signed, force=force)
        installation.ensure(settings.folder, edge)
        _keep(settings, edge)
    tell_certificate(settings, edge, "made" if changed else "already there", names=changed)


def show(settings: Settings, edge: Edge) -> None:
    """Show openssl's text of the server certificate, and what matters in it."""
    argv = ["openssl", "x509", "-in", str(settings.folder / "domain.crt"), "-noout", "-text"]
    edge.command(argv)
    if edge.dry:
        return
    found = _present(settings)
    if openssl.installed():
        edge.say(run.look(argv).out)
    tell_certificate(settings, edge, f"for {', '.join((*found.server.addresses, *found.server.dns))}")


def check(settings: Settings, edge: Edge) -> None:
    """Check every rule that some client insists on.

    Raises:
        RegistryError: A rule is broken.
    """
    if edge.dry:
        authority, server = str(settings.folder / "ca.crt"), str(settings.folder / "domain.crt")
        edge.command(["openssl", "verify", "-x509_strict", "-CAfile", authority, server])
        return
    found = _present(settings)
    findings = rules.check(found.server, found.authority, settings.hosts, inspect.now())
    for finding in findings:
        edge.say(f"{finding.path.name} {finding.rule}; refused by: {finding.clients}")
    if findings:
        cure = "./inv cert.renew; for the authority's own faults: ./inv cert --force."
        raise RegistryError(f"{len(findings)} of the rules are broken.", cure=cure)
    edge.say("certificate: it breaks no rule of any client known here")


def renew(settings: Settings, edge: Edge, *, if_expiring: str) -> None:
    """Make a new server certificate and have a running registry serve it."""
    days = whole("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    with turn.taken(settings, edge):
        _renew(settings, edge, days)


def _renew(settings: Settings, edge: Edge, days: int | None) -> None:
    from trusted_registry.registry import serve

    # A registry that runs here is asked here, whatever other machine the certificate is to name as well.
    here = settings
    if not edge.dry and address.is_elsewhere(settings.address):
        here = dataclasses.replace(settings, address=address.own())
    if days is not None and not edge.dry and not issue.due(settings, days):
        _keep(settings, edge)
        tell_certificate(settings, edge, "not due yet")
        if serve.refresh(here, edge, stale_only=True):
            edge.say("registry: it still served an older one; restarted")
        return
    issue.renew(settings, edge)
    _keep(settings, edge)
    tell_certificate(settings, edge, "renewed", names=True)
    if serve.refresh(here, edge):
        tell(edge, "registry: restarted, and serves it")


def _keep(settings: Settings, edge: Edge) -> None:
    """Keep what flags said, but for another machine's address: a certificate may name that, no registry here has it."""
    if not edge.dry and "address" in settings.given and address.is_elsewhere(settings.address):
        kept = {key: value for key, value in settings.given.items() if key != "address"}
        settings = dataclasses.replace(settings, given=kept)
        edge.warn(f"{settings.address} is named, and not kept: it is none of this machine's addresses")
    given.keep(settings, edge)


def _present(settings: Settings) -> Issued:
    found = issue.find(settings.folder)
    if found is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    return found


def tell(edge: Edge, text: str) -> None:
    """Say what was done, unless nothing was."""
    if not edge.dry:
        edge.say(text)


def tell_certificate(settings: Settings, edge: Edge, what: str, *, names: bool = False) -> None:
    """Say what became of the certificate, by what clients know it, and by which names they may ask for the registry."""
    found = None if edge.dry else issue.find(settings.folder)
    if found is None:
        return
    server, anchor = found.server, found.anchor
    left = server.days_left(inspect.now())
    edge.say(f"certificate: {server.path}, {what}; {left} days left, {server.key}, SHA-256 {server.fingerprint[:16]}…")
    if names:
        edge.say(f"names: {', '.join((*server.addresses, *server.dns))}")
    kind = "authority" if found.authority else "self-signed"
    edge.say(f"{kind}: {anchor.path} is what clients trust, SHA-256 {anchor.fingerprint}")
