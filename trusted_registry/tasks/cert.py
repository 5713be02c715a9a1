"""Certificates for an IP address."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from trusted_registry import address, files, installation, program, saved_flags
from trusted_registry.certificate import changeover, config_file, imported, inspect, issue, openssl
from trusted_registry.console import Console, current_folder
from trusted_registry.errors import RegistryError
from trusted_registry.instance import run_lock
from trusted_registry.run import Run
from trusted_registry.settings import MAX_SERVER_DAYS, TOOLS, Settings
from trusted_registry.values import one_of, whole_number

_ROOM = 22
"""Characters for the names in a line of 80: one address of IPv4, or two short names."""


def config(run: Run, *, self_signed: bool) -> None:
    """Render openssl.cnf."""
    path = config_file.write(run, self_signed=self_signed)
    say_done(run.console, f"config: {path}; ./inv cert uses the same")


def make(run: Run, *, self_signed: bool, force: bool, tool: str) -> None:
    """Make the missing keys and certificates."""
    if tool:
        run = run.with_settings(tool=one_of("--tool", tool, TOOLS))
    with run_lock.held(run):
        installation.read(run.settings.folder)  # a damaged one is told before anything is made
        if force:
            adopt(run)
        changed = issue.ensure(run, self_signed=self_signed, force=force)
        if force:
            changeover.forget(run)
        installation.ensure(run.settings.folder, run.console)
        keep(run)
    say_certificate(run, "made" if changed else "already there", names=changed)


def show(run: Run) -> None:
    """Show openssl's text of the server certificate, and a summary."""
    argv = ["openssl", "x509", "-in", str(run.settings.folder / "domain.crt"), "-noout", "-text"]
    run.console.command(argv)
    if run.console.dry:
        return
    issued = _find_issued(run.settings)
    if openssl.installed():
        run.console.say(program.capture(argv).out)
    say_certificate(run, f"for {', '.join((*issued.server.addresses, *issued.server.dns))}")


def check(run: Run) -> None:
    """Check the certificates against the rules of every client.

    Raises:
        RegistryError: A rule is broken.
    """
    from trusted_registry.certificate import rules

    if run.console.dry:
        run.console.command(openssl.verification(run.settings.folder))
        return
    issued = _find_issued(run.settings)
    findings = rules.check(issued.server, issued.authority, run.settings.hosts, inspect.now(), issuers=issued.issuers)
    for finding in findings:
        who = "no client is known to refuse that; certificates made here are stricter"
        said = f"note: {finding.path.name} {finding.rule}; {who}" if finding.own else rules.told(finding)
        run.console.say(said)
    if refused := [finding for finding in findings if not finding.own]:
        cure = "./inv cert.renew; for the authority's own faults: ./inv cert --force."
        cure = imported.CURE if imported.is_foreign(issued) else cure
        raise RegistryError(f"{len(refused)} of the clients' rules are broken.", cure=cure)
    run.console.say("certificate: it breaks no known rule of any client")


def renew(run: Run, *, if_expiring: str) -> None:
    """Renew the server certificate, and have a running registry and its mirrors serve it."""
    from trusted_registry.instance import running
    from trusted_registry.tasks import mirror_beside

    days = whole_number("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    with run_lock.held(run):
        local = on_this_machine(run)
        if days is not None and not run.console.dry and not is_due(run.settings, days):
            keep(run)
            run.console.say_idle(f"certificate: {due(run, days)}")
            if running.restart(local, stale_only=True):
                run.console.say("registry: it still served an older one; restarted")
            mirror_beside.renew(local)
            return
        adopt(local)
        issue.renew(run)
        keep(run)
        say_certificate(run, "renewed", names=True)
        if running.restart(local):
            say_done(run.console, "registry: serves it")
        mirror_beside.renew(local)


def on_this_machine(run: Run) -> Run:
    """Return a run for the registry on this machine, whatever other machine's address its certificate is to name."""
    if run.console.dry or not address.is_elsewhere(run.settings.address):
        return run
    return run.with_settings(address=address.own_address())


def is_due(settings: Settings, days: int) -> bool:
    """Return whether a renewal is due, which it never is of a certificate that only its own authority can renew."""
    return issue.is_due(settings, days) and not imported.is_here(settings.folder)


def due(run: Run, days: int) -> str:
    """Return why nothing is renewed, and warn of a certificate that only its own authority can renew.

    Raises:
        RegistryError: That has expired.
    """
    issued = _find_issued(run.settings)
    reason = issue.misfit(issued, run.settings, days=days)
    if reason is None or not imported.is_foreign(issued):
        return f"not due yet, {issued.server.days_left(inspect.now())} days left"
    if issued.server.days_left(inspect.now()) < 0:
        raise RegistryError(f"{issued.server.path} {reason}.", cure=imported.CURE)
    run.console.warn(f"{issued.server.path} {reason}. {imported.CURE}")
    return "not made here, so not renewed here"


def adopt(run: Run) -> None:
    """Adopt the registry that shows the certificate on disk, before that is replaced and nothing else proves whose."""
    from trusted_registry.engine import engine as engines
    from trusted_registry.instance import ownership

    if run.console.dry or not files.exists(run.settings.folder / "domain.crt"):
        return
    # Without an engine there is nothing to adopt: what restarts the registry then tells of that.
    with contextlib.suppress(RegistryError), contextlib.closing(engines.connect(run.console)) as engine:
        ownership.adopt_container(run, engine)


def _is_new_elsewhere(settings: Settings) -> bool:
    """Whether a flag of this run names another machine's address; one that was kept is a router's, and was tried."""
    said = settings.saved_flags.get("address")
    return bool(said) and said != settings.saved_flags_before.get("address") and address.is_elsewhere(settings.address)


def keep(run: Run) -> None:
    """Keep what flags said, but for another machine's address: a certificate may name that, no registry here has it."""
    if not run.console.dry and _is_new_elsewhere(run.settings):
        flags = {key: value for key, value in run.settings.saved_flags.items() if key != "address"}
        run = run.with_settings(saved_flags=flags)
        run.console.warn(
            f"{run.settings.address} is in the certificate, but not remembered: this machine has no such address"
        )
    saved_flags.save(run)


def _find_issued(settings: Settings) -> issue.Issued:
    issued = issue.find(settings.folder)
    if issued is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    return issued


def say_done(console: Console, text: str) -> None:
    """Report a change, except in a dry run."""
    if not console.dry:
        console.say(text)


def say_briefly(run: Run, what: str) -> None:
    """Report the server certificate and the trust anchor, a line each; `cert.show` says the rest."""
    issued = None if run.console.dry else issue.find(run.settings.folder)
    if issued is None:
        return
    server, anchor = issued.server, issued.anchor
    names = shortened((*server.addresses, *server.dns))
    run.console.say(f"certificate: {what}, {server.days_left(inspect.now())} days left, for {names}")
    kind = "authority" if issued.authority else "self-signed"
    path = os.path.relpath(anchor.path, current_folder())
    run.console.say(f"{kind}: {path} is what clients trust, SHA-256 {anchor.fingerprint[:16]}…")
    if said := changeover.stage(run.settings.folder).value:
        run.console.say(f"changeover: {said}")


def shortened(names: Sequence[str], room: int = _ROOM) -> str:
    """Return the first of some names, as many as fit, and the number of the others."""
    shown = [name for at, name in enumerate(names) if not at or len(", ".join(names[: at + 1])) <= room]
    more = len(names) - len(shown)
    return f"{', '.join(shown)}{f' and {more} more' if more else ''}"


def say_certificate(run: Run, what: str, *, names: bool = False) -> None:
    """Report the server certificate, the fingerprint of the trust anchor and, on request, every name that is valid."""
    issued = None if run.console.dry else issue.find(run.settings.folder)
    if issued is None:
        return
    server, anchor = issued.server, issued.anchor
    facts = f"{server.days_left(inspect.now())} days left, {server.key}, SHA-256 {server.fingerprint[:16]}…"
    run.console.say(f"certificate: {server.path}, {what}; {facts}")
    if names:
        run.console.say(f"names: {', '.join((*server.addresses, *server.dns))}")
    kind = "authority" if issued.authority else "self-signed"
    for issuer in issued.issuers:
        run.console.say(f"issuer: {issuer.path}, sent by the registry; ends on {issuer.not_after:%Y-%m-%d}")
    run.console.say(f"{kind}: {anchor.path} is what clients trust, SHA-256 {anchor.fingerprint}")
    if said := changeover.stage(run.settings.folder).value:
        run.console.say(f"changeover: {said}")
