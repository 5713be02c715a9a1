"""Collects the facts about the registry on a swarm: its leader, each host, and what the swarm keeps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from trusted_registry import installation
from trusted_registry.certificate import issue
from trusted_registry.doctor.facts import SwarmFacts, SwarmHost
from trusted_registry.errors import RegistryError
from trusted_registry.instance import roles
from trusted_registry.registry import observe
from trusted_registry.registry.observe import Observation
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import Held, SwarmNode, Task, newest
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import CONTENT_LABEL, FILE_LABEL, FRONT, NAME, REGISTRY, REGISTRY_PORT

_SAME = ("domain.crt", "domain.key")
"""Files of the certificates' folder that the swarm keeps as they are there."""


def find(settings: Settings, note: Note, swarm: Swarm) -> SwarmFacts:
    """Return the facts about the hosts of a note; without a leader, those that the hosts tell themselves."""
    own = installation.known(settings.folder).id
    nodes: Sequence[SwarmNode] = ()
    tasks: Sequence[Task] = ()
    held: Sequence[Held] = ()
    error: RegistryError | None = None
    try:
        nodes, tasks, held = swarm.nodes(), swarm.tasks(NAME), swarm.held()
    except RegistryError as refused:  # no leader is waited for: hosts can be asked without one
        error = refused
    with ThreadPoolExecutor() as pool:  # one that hangs takes its time
        hosts = tuple(pool.map(partial(_host, tasks, settings, own), *zip(*note.members(nodes).items(), strict=True)))
    return SwarmFacts(
        hosts,
        leader=next((it.name for it in nodes if it.leader), ""),
        manages=bool(nodes),
        error=error,
        differing=_differing(settings, [it for it in held if it.labels.get(installation.LABEL) == own]),
    )


def _host(tasks: Sequence[Task], settings: Settings, own: str, host: str, node: SwarmNode | None) -> SwarmHost:
    return SwarmHost(
        host=host,
        node=node,
        labelled=bool(node and own and node.labels.get(installation.LABEL) == own),
        registry=newest(REGISTRY, node, tasks),
        front=newest(FRONT, node, tasks),
        seen=answer_at(host, REGISTRY_PORT, settings),
        met=answer_at(host, settings.port, settings),
    )


def answer_at(host: str, port: int, settings: Settings) -> Observation:
    """Return the answer at a port of a host to somebody who trusts the registry."""
    return observe.ask(Endpoint(host, port), issue.trust_anchor(settings.folder, dry=True).path)


def _differing(settings: Settings, held: Sequence[Held]) -> tuple[str, ...]:
    """Return the names of files of which the swarm keeps no content as it is here."""
    present = {(it.labels.get(FILE_LABEL), it.labels.get(CONTENT_LABEL)) for it in held}
    files = [roles.file_of(settings.folder, name) for name in _SAME] if held else []
    return tuple(it.name for it in files if (it.name, it.digest) not in present)
