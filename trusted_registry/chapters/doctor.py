"""What is wrong, why, and what cures it: from a message, or by looking."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, summary
from trusted_registry.certificate import issue
from trusted_registry.doctor import checks, mend
from trusted_registry.doctor import look as looks
from trusted_registry.edge import visible
from trusted_registry.errors import RegistryError
from trusted_registry.messages import catalogue
from trusted_registry.registry import connection
from trusted_registry.registry import engine as engines
from trusted_registry.settings import one_of, reachable, whole
from trusted_registry.trust import stores

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from trusted_registry.certificate.inspect import Facts as Certificate
    from trusted_registry.doctor.facts import Wire
    from trusted_registry.doctor.finding import Finding
    from trusted_registry.edge import Edge
    from trusted_registry.messages.catalogue import Found
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings

_SYSTEMD = Path("/run/systemd/system")
_SAID = 500
"""Characters of each end of a message that are shown: a certificate's names alone may take hundreds."""


def recognised(settings: Settings, edge: Edge, text: str) -> list[Found]:
    """Return what a text says; it is read from standard input where none is given."""
    if not text and edge.dry:
        return []
    if not text and sys.stdin.isatty():
        edge.say("Paste the message, then press Ctrl-D:")
    return catalogue.find(text or sys.stdin.read(), _here(settings))


def explained(edge: Edge, found: list[Found]) -> None:
    """Say what messages mean and what helps.

    Raises:
        RegistryError: There are none that are known.
    """
    for match in found:
        edge.say("\n".join(("", *_lines(match)) if match is not found[0] else _lines(match)))
    if not found and not edge.dry:
        raise RegistryError(
            "Nothing in this text is a message that is known here.",
            cure="./inv doctor looks for what is wrong; ./inv doctor --remote NAME:PORT at another machine.",
        )


def _here(settings: Settings) -> catalogue.Here:
    own = (*settings.hosts, *address.all_own(), address.own_name() or "", "localhost", "127.0.0.1", "::1")
    return catalogue.Here(
        registry=summary.registry(settings),
        hosts=frozenset(own if (settings.folder / "domain.key").exists() else own[len(settings.hosts) :]),
        container=settings.container,
        systemd=_SYSTEMD.is_dir(),
        keeps=issue.keeps_keys(settings.folder),
    )


def _lines(match: Found) -> Iterable[str]:
    yield f"said: {_shortened(match.said)}"
    yield f" why: {match.cause}"
    for step in match.cure:
        yield f"  {'or' if step.instead else 'do'}: {step.line}"
    if match.look:
        yield f"also: ./inv doctor looks at {', '.join(match.look)}"


def _shortened(said: str) -> str:
    """Return a line as it is, or its first and last words where it is very long: what is wrong mostly comes last."""
    if len(said) <= 2 * _SAID:
        return said
    return f"{said[:_SAID].rpartition(' ')[0] or said[:_SAID]} … {said[-_SAID:].partition(' ')[2] or said[-_SAID:]}"


def examine(settings: Settings, edge: Edge, *, client: str, remote: str, fix: bool) -> list[Finding]:
    """Look at the whole way to the registry and back, and return what is wrong.

    Args:
        settings: Which registry.
        edge: Whom to show commands to.
        client: Name of the one store of trust to look at; "" is all that are found.
        remote: Another machine's registry instead: its name or address, perhaps with a port.
        fix: Whether to do what can be done about it, and look again.

    Raises:
        SettingError: There is no such client, or the name cannot be one.
    """
    if client:
        one_of("--client", client, stores.NAMES)
    engine, engineless = _engine(edge)
    there = parted(remote) if remote else _elsewhere(settings, engine)
    if edge.dry:
        _show(settings, edge, there)
        return []

    def look() -> list[Finding]:
        if there:
            facts = looks.remote(settings, engine, *there, client=client)
            if facts.wire and facts.wire.shown:
                edge.say(_seen(facts.wire, facts.wire.shown, facts.now))
            return checks.judge(facts, client)
        return checks.judge(looks.local(settings, engine, engineless, client), client)

    found = look()
    if fix and mend.mend(found, _reached(settings, there, engine), engine, edge):
        found = look()
    return found


def _seen(wire: Wire, shown: Certificate, now: datetime.datetime) -> str:
    """Return what answers there, well or not."""
    login = f", asks for a login ({wire.login})" if wire.login else ""
    system = f"does not accept it ({wire.system})" if wire.system else "accepts it"
    named = ", ".join((*shown.addresses, *shown.dns))
    lines = (
        f"seen: {address.bracketed(wire.host)}:{wire.port}, {wire.protocol}, /v2/ answers {wire.status}{login}",
        f"      certificate for {named}; {shown.days_left(now)} days left; signed by {shown.issuer}",
        f"      the system's store {system}",
    )
    return "\n".join(_printable(line) for line in lines) + "\n"


def _printable(text: str) -> str:
    """Return what others wrote, such as an issuer's name, without what would move the cursor."""
    return visible(text, keep="")


def _elsewhere(settings: Settings, engine: Engine) -> tuple[str, int] | None:
    """Return where the registry is whose authority a client's checkout holds, with no key beside it."""
    runs = engine.here and engine.find(settings.container)
    ours = runs or any((settings.folder / name).exists() for name in looks.MADE)
    return None if ours or not (settings.folder / "ca.crt").exists() else (settings.address, settings.port)


def parted(remote: str) -> tuple[str, int]:
    """Return host and port of what --remote was given.

    Raises:
        SettingError: It names no host, or no port.
    """
    host, colon, port = remote.rpartition(":")
    if not colon or remote.endswith("]") or (":" in host and not host.endswith("]")):
        host, port = remote, str(catalogue.HTTPS)
    return reachable("--remote", host), whole("--remote", port, 1, 65535)


def told(edge: Edge, found: list[Finding]) -> None:
    """Say what is wrong, each with its cause and its cure.

    Raises:
        RegistryError: Anything is.
    """
    for finding in found:
        edge.say(f"wrong: {finding.check}: {_printable(finding.evidence)}\n  why: {_printable(finding.cause)}")
        lines = [*(f"   do: {line}" for line in finding.cure), *(f"   or: {line}" for line in finding.instead)]
        edge.say("\n".join(lines) + "\n")
    if edge.dry:
        return
    if found:
        fixable = any(finding.fix for finding in found)
        cure = "The lines after “do:” cure it" + ("; ./inv doctor --fix does what is safe." if fixable else ".")
        raise RegistryError(f"{len(found)} {'things are' if len(found) > 1 else 'thing is'} wrong.", cure=cure)
    edge.say(f"doctor: nothing is wrong, by {len(checks.CHECKS)} checks of the whole way to the registry and back")


def as_json(found: Iterable[Finding | Found]) -> str:
    """Return what was found as JSON, with a final newline."""
    return json.dumps([it.as_dict() for it in found], indent=2) + "\n"


def _engine(edge: Edge) -> tuple[Engine, RegistryError | None]:
    absent = connection.absence()
    return (engines.Engine(None, edge, absent) if absent else engines.connect(edge)), absent


def _reached(settings: Settings, there: tuple[str, int] | None, engine: Engine) -> Settings:
    """Return the settings by which what is wrong is mended: another machine's registry, or ours on its own port."""
    if there:
        return dataclasses.replace(settings, address=there[0], names=(), port=there[1])
    running = engine.find(settings.container)
    if running and running.role == "tls":
        return dataclasses.replace(settings, port=running.port or settings.port, listen=running.listen)
    return settings


def _show(settings: Settings, edge: Edge, there: tuple[str, int] | None) -> None:
    """Show the commands by which a person would look."""
    host, port = there or (settings.address, settings.port)
    edge.command(["openssl", "s_client", "-connect", f"{address.bracketed(host)}:{port}", "-showcerts"])
    edge.command(["curl", "--cacert", str(settings.folder / "ca.crt"), f"https://{address.bracketed(host)}:{port}/v2/"])
    if not there:
        edge.command(["docker", "info"])
        edge.command(["docker", "inspect", settings.container])
        edge.command(
            [
                "openssl",
                "verify",
                "-x509_strict",
                "-CAfile",
                str(settings.folder / "ca.crt"),
                str(settings.folder / "domain.crt"),
            ]
        )
    edge.command(["find", "/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d", "-type", "f"])
