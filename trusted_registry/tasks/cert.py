"""Certificates for an IP address."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from trusted_registry import address, installation, program, saved_flags
from trusted_registry.certificate import inspect, issue, openssl, rules
from trusted_registry.errors import RegistryError
from trusted_registry.registry import run_lock
from trusted_registry.settings import MAX_SERVER_DAYS, TOOLS, one_of, whole_number

if TYPE_CHECKING:
    from trusted_registry.certificate.issue import Issued
    from trusted_registry.console import Console
    from trusted_registry.settings import Settings


def config(settings: Settings, console: Console, *, self_signed: bool) -> None:
    """Render openssl.cnf."""
    path = issue.write_config(settings, console, self_signed=self_signed)
    say_done(console, f"config: {path}; ./inv cert uses the same")


def make(settings: Settings, console: Console, *, self_signed: bool, force: bool, tool: str) -> None:
    """Make the missing keys and certificates."""
    if tool:
        settings = dataclasses.replace(settings, tool=one_of("--tool", tool, TOOLS))
    with run_lock.held(settings, console):
        installation.read(settings.folder)  # a damaged one is told before anything is made
        changed = issue.ensure(settings, console, self_signed=self_signed, force=force)
        installation.ensure(settings.folder, console)
        _keep(settings, console)
    say_certificate(settings, console, "made" if changed else "already there", names=changed)


def show(settings: Settings, console: Console) -> None:
    """Show openssl's text of the server certificate, and a summary."""
    argv = ["openssl", "x509", "-in", str(settings.folder / "domain.crt"), "-noout", "-text"]
    console.command(argv)
    if console.dry:
        return
    issued = _find_issued(settings)
    if openssl.installed():
        console.say(program.capture(argv).out)
    say_certificate(settings, console, f"for {', '.join((*issued.server.addresses, *issued.server.dns))}")


def check(settings: Settings, console: Console) -> None:
    """Check the certificates against the rules of every client.

    Raises:
        RegistryError: A rule is broken.
    """
    if console.dry:
        authority, server = str(settings.folder / "ca.crt"), str(settings.folder / "domain.crt")
        console.command(["openssl", "verify", "-x509_strict", "-CAfile", authority, server])
        return
    issued = _find_issued(settings)
    findings = rules.check(issued.server, issued.authority, settings.hosts, inspect.now())
    for finding in findings:
        console.say(f"{finding.path.name} {finding.rule}; refused by: {finding.clients}")
    if findings:
        cure = "./inv cert.renew; for the authority's own faults: ./inv cert --force."
        raise RegistryError(f"{len(findings)} of the rules are broken.", cure=cure)
    console.say("certificate: it breaks no rule of any client known here")


def renew(settings: Settings, console: Console, *, if_expiring: str) -> None:
    """Renew the server certificate, and restart a running registry with it."""
    days = whole_number("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    with run_lock.held(settings, console):
        _renew(settings, console, days)


def _renew(settings: Settings, console: Console, days: int | None) -> None:
    from trusted_registry.registry import instance

    # A registry that runs here is asked here, whatever other machine the certificate is to name as well.
    local = settings
    if not console.dry and address.is_elsewhere(settings.address):
        local = dataclasses.replace(settings, address=address.own_address())
    if days is not None and not console.dry and not issue.is_due(settings, days):
        _keep(settings, console)
        say_certificate(settings, console, "not due yet")
        if instance.restart(local, console, stale_only=True):
            console.say("registry: it still served an older one; restarted")
        return
    issue.renew(settings, console)
    _keep(settings, console)
    say_certificate(settings, console, "renewed", names=True)
    if instance.restart(local, console):
        say_done(console, "registry: restarted, and serves it")


def _keep(settings: Settings, console: Console) -> None:
    """Keep what flags said, but for another machine's address: a certificate may name that, no registry here has it."""
    if not console.dry and "address" in settings.saved_flags and address.is_elsewhere(settings.address):
        flags = {key: value for key, value in settings.saved_flags.items() if key != "address"}
        settings = dataclasses.replace(settings, saved_flags=flags)
        console.warn(f"{settings.address} is named, and not kept: it is none of this machine's addresses")
    saved_flags.save(settings, console)


def _find_issued(settings: Settings) -> Issued:
    issued = issue.find(settings.folder)
    if issued is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    return issued


def say_done(console: Console, text: str) -> None:
    """Report a change, except in a dry run."""
    if not console.dry:
        console.say(text)


def say_certificate(settings: Settings, console: Console, what: str, *, names: bool = False) -> None:
    """Report the server certificate, the fingerprint of the trust anchor and, on request, every name that is valid."""
    issued = None if console.dry else issue.find(settings.folder)
    if issued is None:
        return
    server, anchor = issued.server, issued.anchor
    left = server.days_left(inspect.now())
    console.say(
        f"certificate: {server.path}, {what}; {left} days left, {server.key}, SHA-256 {server.fingerprint[:16]}…"
    )
    if names:
        console.say(f"names: {', '.join((*server.addresses, *server.dns))}")
    kind = "authority" if issued.authority else "self-signed"
    console.say(f"{kind}: {anchor.path} is what clients trust, SHA-256 {anchor.fingerprint}")
