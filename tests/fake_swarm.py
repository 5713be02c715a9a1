"""A swarm in memory that keeps the protocol's promises: global services on labelled nodes, files that never change.

It reads the text of a stack as docker does, with YAML and variables, so that a text which docker would refuse fails.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from trusted_registry.errors import NoLeaderError, RegistryError
from trusted_registry.swarm.model import Held, Service, SwarmNode, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trusted_registry.swarm.protocol import Swarm
    from trusted_registry.swarm.stack import Numbered

NO_LEADER = NoLeaderError("The swarm has no leader.", cure="docker node ls")


class FakeSwarm:
    """Nodes, files and services; `done` keeps the changes in their order.

    Args:
        addresses: Addresses of the nodes that there are.
    """

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self.members = {it: node(it) for it in addresses}
        self.files: dict[str, tuple[Held, bytes]] = {}
        self.running: dict[str, tuple[Service, dict[str, Any]]] = {}
        self.done: list[str] = []
        self.leaderless = 0
        """How many questions from now on find no leader."""
        self.breaks: dict[str, str] = {}
        """Reasons why services do not start, by their names; their updates are rolled back."""
        self.stuck = False
        """Whether updates wait for a node that has gone."""
        self.lingering: tuple[str, ...] = ()
        """Addresses of the nodes whose fronts do not end when the stack is removed."""
        self.monitored = 0
        """How many questions for the services from now on find one whose update may still be taken back."""
        self.asked_of_tasks: Callable[[], object] = lambda: None
        """Called at each question for the tasks."""
        self.news = 0
        """How many questions from now on know nothing of the state of a node."""

    def _asked(self) -> None:
        if self.leaderless:
            self.leaderless -= 1
            raise NO_LEADER

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes."""
        self._asked()
        self.news -= bool(self.news)
        return tuple(replace(it, state="unknown") if self.news else it for it in self.members.values())

    def init(self, address: str) -> None:
        """Make a swarm of one node, unless there is one."""
        if not self.members:
            self.done.append(f"init {address}")
            self.members[address] = replace(node(address), leader=True, manager=True)

    def token(self, *, manager: bool) -> str:
        """Return a secret."""
        self._asked()
        return f"SWMTKN-{'manager' if manager else 'worker'}"

    def label(self, node: SwarmNode, name: str, value: str) -> None:
        """Label a node."""
        self._asked()
        self.done.append(f"label {node.address} {bool(value)}")
        kept = {key: it for key, it in node.labels.items() if key != name}
        self.members[node.address] = replace(node, labels={**kept, **({name: value} if value else {})})

    def held(self) -> tuple[Held, ...]:
        """Return all files."""
        self._asked()
        return tuple(it for it, _ in self.files.values())

    def keep(self, file: Numbered, installation: str) -> None:
        """Keep a file; one of that name has to be the same."""
        self._asked()
        held = file.held(file.name, installation)
        if file.name not in self.files:
            self.done.append(f"keep {file.name}")
            self.files[file.name] = (held, file.file.content)
        elif self.files[file.name][0] != held:
            raise RegistryError(f"{file.name} could not be made: already exists", cure="x")

    def drop(self, held: Held) -> bool:
        """Remove a file that nobody reads."""
        self._asked()
        used = {name for _, said in self.running.values() for name in said["reads"]}
        if held.name in used:
            return False
        if self.files.pop(held.name, None):
            self.done.append(f"drop {held.name}")
        return True

    def deploy(self, name: str, text: str) -> None:
        """Have services be as a text says, which names nothing that there is none of."""
        self._asked()
        said = YAML(typ="safe").load(_interpolated(text))
        names = {
            kind: {key: it["name"] for key, it in (said.get(kind) or {}).items()} for kind in ("secrets", "configs")
        }
        for kind, every in names.items():
            for wanted in every.values():
                if wanted not in self.files or self.files[wanted][0].secret is not (kind == "secrets"):
                    raise RegistryError(f"docker failed: {kind} not found: {wanted}", cure="x")
        self.done.append(f"deploy {' '.join(said['services'])}")
        for key, service in said["services"].items():
            assert re.fullmatch("sha256:[0-9a-f]+", service["image"]), "a node would ask a registry for it"
            self._update(f"{name}_{key}", service, names)

    def _update(self, name: str, said: dict[str, Any], names: Mapping[str, Mapping[str, str]]) -> None:
        reads = [names[kind][it["source"]] for kind in names for it in said.get(kind) or []]
        if reason := self.breaks.get(name):
            made = Service(name, said["deploy"]["labels"], said["image"])
            before = self.running.get(name, (made, {"reads": [], "labels": {}}))
            self.running[name] = (replace(before[0], update="rollback_completed", message=reason), before[1])
            return
        update = ("updating" if self.stuck else "completed") if name in self.running else ""
        service = Service(name, said["deploy"]["labels"], said["image"], update)
        self.running[name] = (service, {**said, "reads": reads})

    def push(self, service: str) -> None:
        """Begin an update anew, which then goes on."""
        self._asked()
        self.done.append(f"push {service}")
        self.stuck = False

    def services(self, name: str) -> tuple[Service, ...]:
        """Return the services of a stack."""
        self._asked()
        found = tuple(it for key, (it, _) in self.running.items() if key.startswith(f"{name}_"))
        self.monitored -= bool(self.monitored)
        return tuple(replace(it, update="updating") for it in found) if self.monitored else found

    def tasks(self, name: str) -> tuple[Task, ...]:
        """Return a task on each labelled node that works, for each service of a stack."""
        self._asked()
        self.asked_of_tasks()
        return tuple(
            Task(key, it.id, "running", "running", {} if self.stuck else said.get("labels") or {})
            for key, (_, said) in self.running.items()
            for it in self.members.values()
            if key.startswith(f"{name}_") and it.works and _constraint(said) in _labels(it)
        )

    def remove(self, name: str) -> tuple[Task, ...]:
        """Remove a stack; its fronts go on at the nodes of `lingering`."""
        self._asked()
        self.done.append(f"remove {name}")
        self.running = {key: it for key, it in self.running.items() if not key.startswith(f"{name}_")}
        return tuple(
            Task("", it.id, "remove", "running") for it in self.members.values() if it.address in self.lingering
        )


def node(address: str, **changes: object) -> SwarmNode:
    """Return a node as a swarm describes it."""
    return replace(SwarmNode(f"id{address}", f"node-{address}", address, "ready", version="26.1.5"), **changes)  # type: ignore[arg-type]


def _labels(node: SwarmNode) -> set[str]:
    return {f"node.labels.{name} == {value}" for name, value in node.labels.items()}


def _constraint(said: Mapping[str, Any]) -> str:
    return str((said.get("deploy") or {"placement": {"constraints": [""]}})["placement"]["constraints"][0])


def _interpolated(text: str) -> str:
    """Return a text as docker reads it: $$ is a dollar, and nothing else may begin with one."""
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", text), "docker would look for a variable"
    return text.replace("$$", "$")


def _keeps_the_protocol(swarm: FakeSwarm) -> Swarm:
    return swarm  # for mypy
