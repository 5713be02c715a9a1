"""Checks of the clients' own answers: files may be as they should, and a client read others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.message import Kind
from trusted_registry.console import pasteable
from trusted_registry.doctor.engine_folder import EngineFolder
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding
from trusted_registry.settings import registry_flags
from trusted_registry.trust.local.asking import Answer
from trusted_registry.trust.local.state import State
from trusted_registry.trust.model import RestartHint

KEY = "refused"
_EXPLAINING = (
    *("files", "rules", "names", "dates", "chain", "served", "protocol", "proxy", "bucket"),
    *("certs.d", "stale", "shadowed", "spelling", "containerd", "os-store"),
)
"""Keys of checks whose findings are reasons for a client's refusal."""


def refused(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for each client that was asked and refuses the registry."""
    for store in dict.fromkeys(answer.store for answer in facts.answers):
        answers = [it for it in facts.answers if it.store == store and not it.accepted]
        if answers:
            yield _finding(facts, answers)


def _finding(facts: Facts, answers: list[Answer]) -> Finding:
    first, hosts = answers[0], ", ".join(dict.fromkeys(it.registry_host for it in answers))
    evidence = f"{first.client} refuses {hosts}: {first.reason}"
    trusting = [it for it in facts.store_states if it.store.name == first.store and it.items]
    trusted = any(all(item.state is State.TRUSTED for item in it.items) for it in trusting)
    if first.kind is Kind.DISTRUST and trusted:
        evidence += "; what this project wrote for it is there"
        restart = next((it.store.restart for it in trusting if it.store.restart), None)
        cause, cure = _unread(facts, answers, restart)
        return Finding(KEY, evidence, cause, cure, client=first.store)
    meant = catalogue.find(first.reason)
    cause = meant[0].cause if meant else "That is its own answer; everything else that was checked here is fine."
    see = f"./inv trust.check --only {_program(first)}  # asks again, by every name"
    steps = [step.line for step in meant[0].cure if not step.instead] if meant else []
    return Finding(KEY, evidence, cause, tuple(steps) or (see,), client=first.store)


def _program(answer: Answer) -> str:
    return "docker" if answer.engine else answer.client


def _unread(facts: Facts, answers: list[Answer], restart: RestartHint | None) -> tuple[str, tuple[str, ...]]:
    """Return why a client does not read the files that are there, and the cure."""
    first, folder = answers[0], facts.engine_folder
    if restart:
        return f"{first.client} {restart.why}.", (restart.command,)
    if not first.engine or folder is None:
        cause = "It reads another folder, or another copy of it, as in a container, a snap or a virtual machine."
        return cause, (f"./inv trust.check --only {_program(first)}  # asks again, by every name",)
    if folder.is_another:
        return _reads_another_folder(facts, answers, folder)
    if not folder.process:
        there = pasteable(["./inv", "trust.linux", *registry_flags(facts.settings.address, facts.settings.port)])
        cause = "It is not a process of this machine: it reads the files of another machine, or of a container."
        return cause, (f"{there}  # there",)
    if folder.read is None:
        cause = f"It may have another {folder.own} than this machine, as in a snap; root alone can see that."
        return cause, ("sudo ./inv doctor  # names the folder that it reads",)
    cause = f"It reads {folder.own}, and does not take what is there: its log may say why."
    return cause, ("sudo journalctl --unit docker --lines 20" if facts.systemd else "sudo tail /var/log/docker.log",)


def _reads_another_folder(facts: Facts, answers: Iterable[Answer], folder: EngineFolder) -> tuple[str, tuple[str, ...]]:
    anchor = facts.anchor.path if facts.anchor else facts.settings.folder / "ca.crt"
    hosts = dict.fromkeys(it.registry_host for it in answers)
    sudo = "" if facts.engine and facts.engine.rootless else "sudo "
    cure = tuple(
        f"{sudo}install -D -m 0644 {shlex.quote(str(anchor))} {shlex.quote(f'{folder.read}/certs.d/{it}/ca.crt')}"
        for it in hosts
    )
    return f"This engine does not read {folder.own} here: its own is {folder.read}.", cure


def unexplained(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings without refusals whose reason is found, too."""
    found = list(found)
    reasons = {it.client for it in found if it.check in _EXPLAINING}
    return [it for it in found if it.check != KEY or not reasons & {"", it.client}]
