"""Facts that doctor collects once, and that all checks judge."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from trusted_registry.certificate.changeover import Stage
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.certificate.issue import Issued
from trusted_registry.doctor.engine_folder import EngineFolder
from trusted_registry.doctor.firewall import Bypass
from trusted_registry.engine.types import Container, EngineInfo
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import Role
from trusted_registry.mirror.reach import Reach
from trusted_registry.registry.observe import Observation
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import SwarmNode, Task
from trusted_registry.trust.local.asking import Answer
from trusted_registry.trust.local.ledger import Entry
from trusted_registry.trust.local.state import Item
from trusted_registry.trust.local.unverified import Unverified
from trusted_registry.trust.model import Store
from trusted_registry.trust.specifics.containerd import Advice

T = TypeVar("T")


def or_none(ask: Callable[[], T]) -> T | None:
    """Return an answer, or None on a RegistryError that another check reports."""
    try:
        return ask()
    except RegistryError:
        return None


@dataclass(frozen=True)
class FileMode:
    """Permission bits of a file or folder that must be private, and whether this user is its owner."""

    path: Path
    mode: int
    owned: bool


@dataclass(frozen=True)
class Disk:
    """File system of the images: free bytes; all and free inodes, both 0 if the file system counts none."""

    path: str
    free: int
    inodes: int
    free_inodes: int


@dataclass(frozen=True)
class Proxy:
    """Proxy of the engine or of this shell: whose setting, the proxy's URL, and the hosts exempt from the proxy."""

    whose: str
    url: str
    no_proxy: str


@dataclass(frozen=True)
class StoreState:
    """Contents of one trust store.

    Args:
        store: Entry of the table of stores.
        items: Contents for this registry, each with its state.
        problem: Reason why the store could not be read; None if readable.
        files: All files in the registry's folders, for stores that have such folders.
        unreadable: Certificate files, and their folders, that not everybody may read.
        ours: Paths that this project wrote, in any store.
        other_files: Folders of a misspelt registry host with the same certificate.
    """

    store: Store
    items: tuple[Item, ...] = ()
    problem: RegistryError | None = None
    files: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()
    ours: frozenset[str] = frozenset()
    other_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class MirrorFacts:
    """A mirror that clients here are told of.

    Args:
        upstream: Host of its upstream in references.
        at: Its own `host:port`.
        state: The engine's word for its container, or `not there`.
        stale: Whether the mirror shows another certificate than the one on disk.
        error: Reason why the mirror does not answer.
        reach: Answer of its upstream; None if not asked.
        disk: File system of its images.
    """

    upstream: str
    at: str
    state: str
    stale: bool = False
    error: str = ""
    reach: Reach | None = None
    disk: Disk | None = None


@dataclass(frozen=True)
class BucketFacts:
    """The bucket that holds the images.

    Args:
        location: Its location, as a person types that.
        error: The first thing that it does not do; None if it does all that a registry needs.
        skew: Seconds by which this machine's clock is ahead of the bucket's; None if that does not tell.
    """

    location: str
    error: RegistryError | None = None
    skew: float | None = None


@dataclass(frozen=True)
class SwarmHost:
    """Host of a registry on a swarm, as the swarm knows it, and as a client meets it.

    Args:
        host: Address.
        node: Its node; None where it is none, or the swarm cannot be asked.
        labelled: Whether the node has the installation's label.
        registry: The registry's container; of no state for none.
        front: The front's.
        seen: Answer of its registry.
        met: Answer at the front's port.
    """

    host: str
    node: SwarmNode | None
    labelled: bool
    registry: Task
    front: Task
    seen: Observation
    met: Observation


@dataclass(frozen=True)
class SwarmFacts:
    """Registry on a swarm.

    Args:
        hosts: Its hosts.
        leader: Name of the node that leads; "" where none does, or the swarm cannot be asked.
        manages: Whether the engine here manages that swarm.
        error: Reason why the swarm cannot be asked, such as that it has no leader.
        differing: Files of which the swarm keeps no content as it is here.
    """

    hosts: tuple[SwarmHost, ...]
    leader: str = ""
    manages: bool = True
    error: RegistryError | None = None
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All facts; a default stands for a fact that does not exist or was not looked up.

    Args:
        settings: Settings of the registry, with the port on which the container runs.
        now: Time of the look-up.
        remote: Whether the registry is another machine's, seen from a client.
        issued: Certificates of this checkout.
        broken: Reason why the certificates, or the file of users, cannot be used.
        anchor: Certificate that clients trust.
        file_modes: Modes of the files and folders that must be private.
        tracked: Keys that git tracks.
        own_addresses: This machine's IPv4 addresses, without those of bridges.
        resolved: Addresses by DNS name; empty for a name that does not resolve.
        engine: Version and settings that the engine reports.
        engine_error: Reason why no engine answers.
        lost_containers: Processes of containers that the engine lost when it was killed in their start.
        engine_since: Start of the engine, in seconds since the epoch; 0 if unknown.
        container: The registry's container.
        wanted: Digest of the container that the settings now ask for; "" if unknown.
        edited: Name of a file whose content for the registry differs from that in the folder of the certificates.
        front: Reason why the front leads nobody to the registry; "" if the front works, or none is needed.
        port_holder: Process or container that listens on the registry's port in its place.
        first_port: First port that programs without root may listen on; 0 if unknown.
        key_mounts: Containers that mount the authority's key, each with the mounted path.
        observation: Answer at the registry's address.
        disk: File system of the images.
        growth: Bytes a day by which the images grew lately; 0 if unknown.
        login: Whether the registry is to require a login.
        unread_users: Users whose password hash the registry does not read.
        proxies: Proxies of the engine and of this shell.
        store_states: Trust, store by store.
        unverified: Registry hosts that the engine does not verify.
        allowed: Registry hosts on this machine's addresses for which this checkout allowed plain HTTP, while no plain
            registry runs.
        containerd: Settings of containerd that keep certs.d from being read.
        bundle_since: Last change of the system's store, in seconds since the epoch; 0 if absent.
        stage: How far a changeover to another authority has come.
        outdated: Entries of the ledger for an earlier authority that is still trusted.
        vouched: Whether the system's store holds the registry's authority.
        systemd: Whether systemd runs here.
        answers: Answers of the clients that were asked whether they accept the registry.
        engine_folder: Folder that the engine reads; looked up if the engine refuses what should be trusted.
        bypass: Port of the registry that the firewall refuses, but Docker publishes all the same.
        mirrors: Mirrors that clients here are told of.
        bucket: The bucket that holds the images; None if a volume does.
        swarm: The swarm that runs the registry; None if this machine alone does.
    """

    settings: Settings
    now: datetime.datetime
    remote: bool = False
    issued: Issued | None = None
    broken: RegistryError | None = None
    anchor: Certificate | None = None
    file_modes: tuple[FileMode, ...] = ()
    tracked: tuple[str, ...] = ()
    own_addresses: tuple[str, ...] = ()
    resolved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    engine: EngineInfo | None = None
    engine_error: RegistryError | None = None
    lost_containers: tuple[int, ...] = ()
    engine_since: float = 0.0
    container: Container | None = None
    wanted: str = ""
    edited: str = ""
    front: str = ""
    port_holder: str | None = None
    first_port: int = 0
    key_mounts: tuple[tuple[str, str], ...] = ()
    observation: Observation | None = None
    disk: Disk | None = None
    growth: float = 0.0
    login: bool = False
    unread_users: tuple[str, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    store_states: tuple[StoreState, ...] = ()
    unverified: tuple[Unverified, ...] = ()
    allowed: tuple[str, ...] = ()
    containerd: tuple[Advice, ...] = ()
    bundle_since: float = 0.0
    stage: Stage = Stage.NONE
    outdated: tuple[Entry, ...] = ()
    vouched: bool = False
    systemd: bool = True
    answers: tuple[Answer, ...] = ()
    engine_folder: EngineFolder | None = None
    bypass: Bypass | None = None
    mirrors: tuple[MirrorFacts, ...] = ()
    bucket: BucketFacts | None = None
    swarm: SwarmFacts | None = None

    @property
    def serves(self) -> bool:
        """Whether the registry is ours: this checkout has the key or container."""
        return not self.remote and (self.issued is not None or self.broken is not None or self.container is not None)

    @property
    def running(self) -> bool:
        """Whether our own TLS registry runs here."""
        return self.container is not None and self.container.role == Role.TLS and self.container.state == "running"

    @property
    def plain(self) -> bool:
        """Whether the container is the document's plain registry."""
        return self.container is not None and self.container.role == Role.PLAIN

    @property
    def server(self) -> Certificate | None:
        """Server certificate of this checkout, or else the one that the registry shows."""
        shown = self.observation.certificate if self.observation else None
        return self.issued.server if self.issued else shown

    @property
    def keeps_anchor(self) -> bool:
        """Whether the certificate that clients trust is in the folder of this checkout, which can install it."""
        return self.anchor is not None and self.anchor.path.parent == self.settings.folder

    @property
    def is_untrusted(self) -> bool:
        """Whether neither the folder, nor a client, nor the system stands behind another machine's registry."""
        seen = self.observation
        return self.remote and self.anchor is None and seen is not None and bool(seen.certificate and seen.system)

    @property
    def there(self) -> str:
        """Remark behind a command for the registry's machine; empty if this is that one."""
        return "  # on the registry's machine" if self.remote else ""
