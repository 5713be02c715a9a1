"""Checks of the registry on a swarm: a leader, each host, one certificate and the same secrets everywhere."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from dataclasses import replace

from trusted_registry.console import pasteable
from trusted_registry.doctor.facts import Facts, SwarmFacts, SwarmHost
from trusted_registry.doctor.finding import Finding, RenewFix, RestartFix, StartFix
from trusted_registry.errors import NoLeaderError
from trusted_registry.swarm import noted
from trusted_registry.swarm.model import DOWN, RUNNING
from trusted_registry.swarm.stack import REGISTRY, REGISTRY_PORT

_UP = "./inv swarm.up"


def swarm(facts: Facts) -> Iterator[Finding]:
    """Yield findings for managers without a leader, hosts that do not serve, and contents that are not the same."""
    found = facts.swarm
    if found is None:
        return
    yield from _leader(found)
    for host in found.hosts:
        yield from _host(host, known=found.manages and not found.error)
    yield from _unequal(found, facts)


def _leader(found: SwarmFacts) -> Iterator[Finding]:
    if isinstance(found.error, NoLeaderError):
        evidence = "the managers of the swarm have no leader"
        cause = (
            "Most of them are off, or cannot reach each other. Registries that run serve on; nothing can be changed."
        )
        start = "docker node ls  # on each of them; start those that are off, until most are there"
        alone = "docker swarm init --force-new-cluster  # on one that is left, if most are lost for good; then swarm.up"
        yield Finding("leader", evidence, cause, (start,), instead=(alone,))
    elif found.error:
        yield Finding("leader", found.error.message, "The swarm cannot be asked here.", (found.error.cure,))
    elif not found.manages:
        evidence = "the engine here manages no swarm, and the registry is on one"
        cause = "This machine left the swarm, or manages that no more."
        yield Finding("leader", evidence, cause, ("docker swarm join-token manager  # on another manager; then here",))


def _host(host: SwarmHost, *, known: bool) -> Iterator[Finding]:
    """Yield the finding of a host, of which the first cause counts."""
    at, seen, node = f"{host.host}:{REGISTRY_PORT}", host.seen, host.node
    ps = pasteable(["ssh", host.host, "docker", "ps"])
    inspect = pasteable(["docker", "service", "ps", "--no-trunc", REGISTRY])
    if known and not node:
        yield Finding("host", f"{host.host} is no node of the swarm", "Nothing is started there.", (f"{_UP} --init",))
    elif known and node and node.state == DOWN:
        hangs = "; its kernel answers, so it hangs" if not seen.connect_error else ""
        cause = "It is off, hangs, or the managers cannot reach it; fronts lead nobody there."
        gone = f"{_UP} --hosts A,B  # with the others alone, if it is gone for good"
        start = f"{ps}  # start it; what is missing there follows by itself"
        yield Finding("host", f"the swarm does not see {host.host}{hangs}", cause, (start,), instead=(gone,))
    elif known and node and not node.works:
        active = pasteable(["docker", "node", "update", "--availability", "active", node.name])
        yield Finding("host", f"{host.host} is {node.word}", "The swarm starts nothing there.", (active,))
    elif known and not host.labelled:
        evidence = f"{host.host} lacks the label by which the swarm runs a registry there"
        yield Finding("host", evidence, "It was taken away by hand, or a run ended early.", (_UP,))
    elif known and RUNNING not in {host.registry.state} & {host.front.state}:
        part, task = ("front", host.front) if host.registry.state == RUNNING else ("registry", host.registry)
        evidence = f"the {part} of {host.host} is {task.state or 'absent'}{f': {task.error}' if task.error else ''}"
        yield Finding("host", evidence, "It does not serve.", (inspect, _UP))
    elif seen.connect_error:
        evidence = f"{at}: {seen.connect_error}"
        yield Finding("host", evidence, "It is off, or a firewall is between; fronts lead nobody there.", (ps, _UP))
    elif seen.refused:
        cause = "Whoever takes connections and does not answer hangs: clients that are led there wait."
        restart = pasteable(["ssh", host.host, "sudo", "reboot"])
        yield Finding("host", f"{at}: {seen.refused}", cause, (f"{ps}  # if that hangs too: {restart}",))
    elif host.met.connect_error or host.met.refused:
        evidence = f"the front of {host.host}: {host.met.connect_error or host.met.refused}"
        yield Finding("host", evidence, "Clients of that address get no answer.", (inspect, _UP))


def _unequal(found: SwarmFacts, facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates or secrets that are not those of all, or not those on disk."""
    wanted = facts.issued.server.fingerprint if facts.issued else ""
    shown = {it.host: it.seen.fingerprint for it in found.hosts if it.seen.fingerprint}
    if other := [it for it in shown if wanted and shown[it] != wanted]:
        evidence = f"{', '.join(other)} shows another certificate than domain.crt"
        cause = "A rollout did not come to its end, or the certificate was replaced without one."
        yield Finding("certificates", evidence, cause, (_UP,))
    elif found.differing:
        evidence = f"the swarm keeps another {' and '.join(found.differing)} than {facts.settings.folder} has"
        yield Finding("secrets", evidence, "What was changed there does not count yet.", (_UP,))
    specs = {it.host: it.registry.spec for it in found.hosts if it.registry.state == RUNNING and it.registry.spec}
    if len(set(specs.values())) > 1:
        most = collections.Counter(specs.values()).most_common(1)[0][0]
        evidence = f"{', '.join(it for it in specs if specs[it] != most)} reads other secrets than the other hosts"
        cause = "A rollout stopped half way: users, key or configuration are not the same everywhere."
        yield Finding("secrets", evidence, cause, (_UP,))


def on_swarm(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without repairs of a registry on one machine, whose cures name the tasks that a swarm takes."""
    return [_with_tasks_of_swarm(it) for it in findings]


def _with_tasks_of_swarm(finding: Finding) -> Finding:
    fix = None if isinstance(finding.fix, StartFix | RestartFix | RenewFix) else finding.fix
    cure, instead = (tuple(map(_instead, lines)) for lines in (finding.cure, finding.instead))
    return replace(finding, cure=cure, instead=instead, fix=fix)


def _instead(line: str) -> str:
    begin, _, rest = line.partition("./inv ")
    task, _, flags = rest.partition(" ")
    other = noted.INSTEAD.get(task, "")
    if begin or not other:
        return line
    if other == "swarm.down":  # what a person would stop to start it anew
        return _UP
    return f"{'./inv ' if other.startswith('swarm.') else ''}{other} {flags}".strip()
