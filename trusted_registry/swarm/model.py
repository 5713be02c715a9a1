"""Answers of a swarm as typed values: nodes, services, their tasks, and the files that the swarm keeps for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from trusted_registry.instance.model import DIGEST_LABEL

READY, RUNNING, DOWN = "ready", "running", "down"
IMAGE_LABEL = "trusted-registry.image"
"""Name of a container's image, which the swarm has by its id."""
UPDATING = "updating"
ENDED = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")
"""States of a task whose container has ended (moby, api/types/swarm, TaskState)."""
BROKEN_OFF = ("paused", "rollback_started", "rollback_paused", "rollback_completed")
"""States of an update that does not get on (moby, api/types/swarm, UpdateState)."""


@dataclass(frozen=True)
class SwarmNode:
    """A machine of the swarm, by its address; `state` and `availability` are the swarm's own words."""

    id: str
    name: str
    address: str
    state: str
    availability: str = "active"
    manager: bool = False
    leader: bool = False
    version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether the swarm starts something there."""
        return self.state == READY and self.availability == "active"

    @property
    def away(self) -> bool:
        """Whether nothing is started there before somebody does something; one unknown to a new leader soon works."""
        return self.state == DOWN or self.availability != "active"

    @property
    def word(self) -> str:
        """State in a word: ready only where something is started."""
        return self.availability if self.state == READY else self.state


def at(host: str, id_: str, nodes: Iterable[SwarmNode]) -> SwarmNode | None:
    """Return the node of a host by its address or its id; that which works, of several entries for one host."""
    listed = [replace(it, address=host) for it in nodes if it.address == host or it.id == id_]
    return min(listed, key=lambda it: not it.works, default=None)


@dataclass(frozen=True)
class Held:
    """A secret, or a config, that the swarm keeps; its content is in no answer."""

    id: str
    name: str
    secret: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """A service by its name, with labels, its image's id, and how its last update ended; "" where there was none."""

    name: str
    labels: Mapping[str, str]
    image: str = ""
    update: str = ""
    message: str = ""


@dataclass(frozen=True)
class Task:
    """A container of a service on a node, as the swarm wants it and as it is.

    Args:
        service: Name of the service.
        node: Id of the node.
        wanted: State that the swarm wants, such as running.
        state: State that it has.
        labels: Labels of the container.
        error: Reason of a failure.
    """

    service: str
    node: str
    wanted: str
    state: str
    labels: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def runs(self) -> bool:
        """Whether it runs, and is to go on."""
        return self.wanted == self.state == RUNNING

    @property
    def ended(self) -> bool:
        """Whether its container is no more."""
        return self.state in ENDED

    @property
    def spec(self) -> str:
        """Digest of the service's description by which it was made."""
        return self.labels.get(DIGEST_LABEL, "")


def newest(service: str, node: SwarmNode | None, tasks: Iterable[Task]) -> Task:
    """Return the task of a service on a node that is to run, rather one that does; one of no state where none is."""
    own = [it for it in tasks if node and (it.service, it.node, it.wanted) == (service, node.id, RUNNING)]
    return min(own, key=lambda it: not it.runs, default=Task(service, "", "", ""))
