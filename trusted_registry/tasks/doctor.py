"""Diagnosis: findings, causes and cures, from an error message or by checks."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from trusted_registry import address, files
from trusted_registry.certificate import issue, openssl
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.client_messages import catalogue
from trusted_registry.console import visible
from trusted_registry.defaults import HTTPS
from trusted_registry.doctor import checks, gather, mend
from trusted_registry.doctor.facts import SwarmFacts, or_none
from trusted_registry.doctor.finding import Finding
from trusted_registry.engine import connection
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.instance import front
from trusted_registry.instance.model import Role
from trusted_registry.registry.observe import Observation
from trusted_registry.report import Report
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm import noted
from trusted_registry.trust import client_stores
from trusted_registry.values import one_of, reachable, whole_number

_SYSTEMD = Path("/run/systemd/system")
_BLOCK, _TAIL, _MOST_BLOCKS = 1 << 20, 3, 512
"""Bytes of a block of standard input, the blocks kept of its end, and those read of a stream that has no end."""
_SHOWN = 500
"""Characters shown of each end of a message: a certificate's names alone may take hundreds."""


def explain(run: Run, *, text: str) -> Report:
    """Report the cause and the cure of each known message in a text; none is a failure."""
    found = _beside_mirrors(recognise(run, text), run)
    explanations = ["\n".join(_explanation(match)) for match in found]
    lines = [*explanations[:1], *(f"\n{later}" for later in explanations[1:])]
    cure = "./inv doctor looks for what is wrong; ./inv doctor --remote NAME:PORT at another machine."
    unknown = RegistryError("There is no known error message in this text.", cure=cure)
    failure = None if found or run.console.dry else unknown
    return Report([match.as_dict() for match in found], lines=lines, failure=failure)


def recognise(run: Run, text: str) -> list[catalogue.Match]:
    """Return the known messages in a text, which is read from standard input if empty."""
    if not text and run.console.dry:
        return []
    if not text and sys.stdin and sys.stdin.isatty():
        run.console.say("Paste the message, then press Ctrl-D:")
    return catalogue.find(text or _standard_input(), _local_context(run.settings))


def _beside_mirrors(found: list[catalogue.Match], run: Run) -> list[catalogue.Match]:
    """Return messages with what the mirrors here tell of the upstreams that they are about."""
    from trusted_registry.tasks import mirror_told

    return mirror_told.explained(found, run)


def _standard_input() -> str:
    """Return the end of standard input: a log may be larger than the memory here, and its last lines are meant."""
    stream = getattr(sys.stdin, "buffer", None)
    if not stream:
        return sys.stdin.read(_TAIL * _BLOCK) if sys.stdin else ""  # None where a shell closed it
    with contextlib.suppress(OSError):  # a pipe, or a file that is smaller
        stream.seek(-_TAIL * _BLOCK, os.SEEK_END)
    try:
        return b"".join(collections.deque(_blocks(stream), maxlen=_TAIL)).decode(errors="replace")
    except OSError as error:
        cure = "Give a file or a program's words: ./inv explain < FILE"
        raise RegistryError(f"Standard input cannot be read: {error.strerror}.", cure=cure) from error


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the blocks of a stream up to its end, which a terminal tells but once, or as many as take no second."""
    for _ in range(_MOST_BLOCKS):
        block = stream.read(_BLOCK)
        yield block
        if len(block) < _BLOCK:
            return


def _local_context(settings: Settings) -> catalogue.LocalContext:
    own = (*settings.hosts, *address.own_addresses(), address.own_name() or "", "localhost", "127.0.0.1", "::1")
    return catalogue.LocalContext(
        registry=settings.registry_host,
        hosts=frozenset(own if files.exists(settings.folder / "domain.key") else own[len(settings.hosts) :]),
        container=settings.container,
        systemd=_SYSTEMD.is_dir(),
        keeps=issue.keeps_keys(settings.folder),
    )


def _explanation(match: catalogue.Match) -> Iterable[str]:
    yield f"said: {_shortened(match.said)}"
    yield f" why: {match.cause}"
    for step in match.cure:
        yield f"  {'or' if step.instead else 'do'}: {step.line}"
    if match.look:
        yield "also: ./inv doctor checks whether it is so here"


def _shortened(said: str) -> str:
    """Return a line, or the first and last words of a very long one: the fault mostly comes last."""
    if len(said) <= 2 * _SHOWN:
        return said
    return f"{said[:_SHOWN].rpartition(' ')[0] or said[:_SHOWN]} … {said[-_SHOWN:].partition(' ')[2] or said[-_SHOWN:]}"


def diagnose(run: Run, *, client: str, remote: str, fix: bool) -> Report:
    """Check the whole way to the registry and back, and report the findings; see `examine`."""
    found = examine(run, client=client, remote=remote, fix=fix)
    return Report([]) if run.console.dry else report(found)


def report(found: Sequence[Finding]) -> Report:
    """Report each finding with its cause and its cure; any is a failure."""
    if not found:
        done = f"{len(checks.CHECKS)} checks of the whole way to the registry and back"
        return Report([], lines=[f"doctor: nothing is wrong ({done})"])
    fixable = any(finding.fix for finding in found)
    cure = "The lines after “do:” fix it" + ("; ./inv doctor --fix does what is safe." if fixable else ".")
    failure = RegistryError(f"{len(found)} {'things are' if len(found) > 1 else 'thing is'} wrong.", cure=cure)
    lines = [line for finding in found for line in _described(finding)]
    return Report([it.as_dict() for it in found], lines=lines, failure=failure)


def _described(finding: Finding) -> Iterable[str]:
    yield f"wrong: {finding.check}: {_printable(finding.evidence)}\n  why: {_printable(finding.cause)}"
    cures = [*(f"   do: {line}" for line in finding.cure), *(f"   or: {line}" for line in finding.instead)]
    yield "\n".join(cures) + "\n"


def examine(run: Run, *, client: str, remote: str, fix: bool) -> list[Finding]:
    """Check the whole way to the registry and back, and return the findings.

    Args:
        run: The registry to check, and the console that shows commands.
        client: Name of the one store to check; "" means every store on this machine.
        remote: Another machine's registry instead: its name or address, optionally with a port.
        fix: Whether to apply the fixes, then check again.

    Raises:
        SettingError: The client is unknown, or the other machine's name is not valid.
    """
    if client:
        one_of("--client", client, client_stores.NAMES)
    absent = connection.connect_error()
    engine = engines.unavailable(run.console, absent) if absent else engines.connect(run.console)
    there = host_and_port(remote) if remote else _remote_registry(run.settings, engine)
    if run.console.dry:
        _show_commands(run, there)
        return []

    def find_faults() -> list[Finding]:
        if there:
            facts = gather.remote(run.settings, engine, *there, client=client)
            if facts.observation and facts.observation.certificate:
                run.console.say(_observed(facts.observation, facts.observation.certificate, facts.now))
            return checks.judge(facts, client)
        return checks.judge(gather.local(run.settings, engine, absent, client, _swarm(run)), client)

    found = find_faults()
    if fix and mend.apply(found, Run(_settings_of(run.settings, there, engine), run.console), engine):
        found = find_faults()
    return found


def _swarm(run: Run) -> SwarmFacts | None:
    """Return the facts about the swarm that runs the registry; None where this machine alone does."""
    note = or_none(lambda: noted.read(run.settings.folder))
    if not note or not note.hosts:
        return None
    from trusted_registry.doctor import swarm
    from trusted_registry.tasks import swarm_plan

    # Without an engine, or a certificate, which are told, the registry is on a swarm all the same.
    return or_none(lambda: swarm.find(run.settings, note, swarm_plan.connect(run))) or SwarmFacts(())


def _observed(observation: Observation, shown: Certificate, now: datetime.datetime) -> str:
    """Describe the server that answers: protocol, login and certificate."""
    login = f", asks for a login ({observation.login})" if observation.login else ""
    system = f"does not accept it ({observation.system})" if observation.system else "accepts it"
    named = ", ".join((*shown.addresses, *shown.dns))
    at = f"{address.bracketed(observation.host)}:{observation.port}"
    lines = (
        f"seen: {at}, {observation.protocol}, /v2/ answers {observation.status}{login}",
        f"      certificate for {named}; {shown.days_left(now)} days left; signed by {shown.issuer}",
        f"      the system's store {system}",
    )
    return "\n".join(_printable(line) for line in lines) + "\n"


def _printable(text: str) -> str:
    """Return foreign text, such as an issuer's name, with its control characters spelled out."""
    return visible(text, keep="")


def _remote_registry(settings: Settings, engine: Engine) -> tuple[str, int] | None:
    """Return host and port of the remote registry whose authority is here without its key, or None if absent."""
    runs = engine.available and engine.find(settings.container)
    ours = runs or any(files.exists(settings.folder / name) for name in gather.MADE_HERE)
    return None if ours or not files.exists(settings.folder / "ca.crt") else (settings.address, settings.port)


def host_and_port(remote: str) -> tuple[str, int]:
    """Return host and port of a value of --remote.

    Raises:
        SettingError: The host or the port is not valid.
    """
    host, colon, port = remote.rpartition(":")
    if not colon or remote.endswith("]") or (":" in host and not host.endswith("]")):
        host, port = remote, str(HTTPS)
    return reachable("--remote", host), whole_number("--remote", port, 1, 65535)


def _settings_of(settings: Settings, there: tuple[str, int] | None, engine: Engine) -> Settings:
    """Return the settings for fixes: of another machine's registry, or of ours with the container's port."""
    if there:
        return dataclasses.replace(settings, address=there[0], names=(), port=there[1])
    container = engine.find(settings.container)
    if container and container.role == Role.TLS:
        container = front.as_met(container, settings, engine)
        return dataclasses.replace(settings, port=container.port or settings.port, listen=container.listen)
    return settings


def _show_commands(run: Run, there: tuple[str, int] | None) -> None:
    """Show the commands by which a person would check by hand."""
    host, port = there or (run.settings.address, run.settings.port)
    at = f"{address.bracketed(host)}:{port}"
    run.console.command(["openssl", "s_client", "-connect", at, "-showcerts"])
    run.console.command(["curl", "--cacert", f"{run.settings.folder}/ca.crt", f"https://{at}/v2/"])
    if not there:
        run.console.command(["docker", "info"])
        run.console.command(["docker", "inspect", run.settings.container])
        run.console.command(openssl.verification(run.settings.folder))
    stores = [f"/etc/{engine}/certs.d" for engine in ("docker", "containers", "containerd")]
    run.console.command(["find", *stores, "-type", "f"])
