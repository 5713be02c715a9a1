"""Note of the swarm that has this checkout's registry, and the tasks that go by another name there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import SwarmNode, at
from trusted_registry.values import address

FILE = "swarm.json"
INSTEAD: Mapping[str, str] = {
    "up": "swarm.up",
    "registry.basic": "swarm.down",
    "registry.tls": "swarm.up",
    "registry.upgrade": "swarm.up",
    "registry.move": "swarm.down",
    "registry.restore": "swarm.down",
    "registry.stop": "swarm.down",
    "registry.logs": "docker service logs trusted-registry_registry",
    "status": "swarm.status",
    "cert.renew": "swarm.renew",
    "down": "swarm.down",
}
"""Tasks about a registry on this machine alone, with the task, or the command, to use on a swarm, or to use first."""


@dataclass(frozen=True)
class Note:
    """Registry on a swarm.

    Args:
        hosts: Addresses of the hosts.
        address: The virtual address that keepalived moves between them; "" for none.
        unprivileged: First port for which a host needs no right, on all of them.
        nodes: Ids of the hosts' nodes, in their order; a node may have another address than its host.
        storage: Words that lead to the images; none in a note of a version that did not say.
    """

    hosts: tuple[str, ...] = ()
    address: str = ""
    unprivileged: int = 1024
    nodes: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()

    def members(self, nodes: Iterable[SwarmNode]) -> dict[str, SwarmNode | None]:
        """Return the node of each host, or None for one that is no more."""
        every = list(nodes)
        return {host: at(host, id_, every) for host, id_ in zip_longest(self.hosts, self.nodes, fillvalue="")}


NONE = Note()


def read(folder: Path) -> Note:
    """Return the note of a certificates' folder; one without hosts where the registry is on no swarm.

    Raises:
        RegistryError: The file is damaged.
    """
    path = folder / FILE
    with files.explained(path, "read"):
        if not files.exists(path):
            return NONE
        content = path.read_bytes()
    try:
        said = json.loads(content)
        return Note(
            hosts=tuple(address("hosts", it) for it in said["hosts"]),
            address=said["address"] and address("address", said["address"]),
            unprivileged=int(said["unprivileged"]),
            nodes=tuple(map(str, said["nodes"])),
            storage=tuple(map(str, said.get("storage", ()))),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingError) as error:
        cure = f"Remove it, and name the hosts again: {pasteable(['rm', path])} && ./inv swarm.up --hosts A,B,C"
        raise RegistryError(f"{path} is damaged, so nobody knows the swarm's hosts.", cure=cure) from error


def save(folder: Path, note: Note) -> None:
    """Keep a note, before anything is deployed by it."""
    if read(folder) != note:
        files.write(folder / FILE, f"{json.dumps(asdict(note), indent=2)}\n".encode())


def forget(folder: Path) -> None:
    """Drop the note."""
    files.remove(folder / FILE, keep=folder)


def check(task: str, settings: Settings) -> None:
    """Refuse a task that would start or look for a second registry on this machine.

    Raises:
        RegistryError: The registry of this checkout is on a swarm.
    """
    # Asked before each task; and by whatever else starts a registry here, such as a restore.
    if task in INSTEAD and read(settings.folder).hosts:
        instead = INSTEAD[task]
        cure = settings.command(instead) if instead.startswith("swarm.") else instead
        raise RegistryError("The registry of this checkout is on a swarm.", cure=cure)
