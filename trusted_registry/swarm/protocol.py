"""Protocol of a swarm, as a manager's engine answers for it, and the promise about each answer.

Changes are shown as the commands that a person would type, and not made in a dry run; a look is then empty where no
engine answers. Every method raises NoLeaderError while the managers have none, NotNowError where a moment later all may
be well, and RegistryError for any other refusal.
"""

from __future__ import annotations

from typing import Protocol

from trusted_registry.swarm.model import Held, Service, SwarmNode, Task
from trusted_registry.swarm.stack import Numbered


class Swarm(Protocol):
    """A swarm; other modules decide by its answers."""

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes; none where this engine manages no swarm."""

    def init(self, address: str) -> None:
        """Make a swarm of this engine alone, known by an address of this machine; one that manages one is no error."""

    def token(self, *, manager: bool) -> str:
        """Return the secret by which a machine joins."""

    def label(self, node: SwarmNode, name: str, value: str) -> None:
        """Give a node a label, or take that from it where the value is ""; all else of the node stays."""

    def held(self) -> tuple[Held, ...]:
        """Return the secrets and configs whose names begin as those of a stack, whoever made them."""

    def keep(self, file: Numbered, installation: str) -> None:
        """Have the swarm keep a file; the same one under that name is no error, and another one is left alone."""

    def drop(self, held: Held) -> bool:
        """Remove a secret or a config; return False where a service still reads it. An absent one is no error."""

    def deploy(self, name: str, text: str) -> None:
        """Have the services of a stack be as a text says; others of its services stay."""

    def push(self, service: str) -> None:
        """Have a service be brought to every node anew."""

    def services(self, name: str) -> tuple[Service, ...]:
        """Return the services of a stack."""

    def tasks(self, name: str) -> tuple[Task, ...]:
        """Return the tasks of a stack's services, those that ended too."""

    def remove(self, name: str) -> tuple[Task, ...]:
        """Remove a stack with its networks, and wait until its registries have ended; an absent one is no error.

        Returns:
            Tasks of its fronts that go on for longer, with what is open.

        Raises:
            RegistryError: A registry does not end, or the engine manages no swarm, so that nobody knows.
        """
