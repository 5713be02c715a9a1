"""What doctor looks up once, and all checks judge by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trusted_registry.registry.probe import READY_STATUSES

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping
    from pathlib import Path

    from trusted_registry.certificate.inspect import Certificate
    from trusted_registry.certificate.issue import Issued
    from trusted_registry.errors import RegistryError
    from trusted_registry.registry.engine_types import Container, EngineInfo
    from trusted_registry.settings import Settings
    from trusted_registry.trust.clients.containerd import Advice
    from trusted_registry.trust.local.state import Item
    from trusted_registry.trust.model import Store

"""What /v2/ of a registry answers: that it is there, or that it wants a login."""


@dataclass(frozen=True)
class Observation:
    """What a connection to the registry's address showed.

    Args:
        host: Where it was asked.
        port: At which port.
        connect_error: Why nothing answered; "" where something did.
        plain: Whether it speaks plain HTTP.
        refused: Why TLS failed; "" where it did not.
        distrust: Why certs/ca.crt does not stand behind what is shown; "" where it does or there is none.
        system: The same of the operating system's store.
        certificate: The certificate; None where none was seen.
        protocol: Such as TLSv1.3.
        outdated_tls: Whether it accepts TLS 1.1, which nothing should.
        status: What /v2/ answered; 0 where nothing was heard.
        api: What the answer's Docker-Distribution-Api-Version says, which a registry sends with errors too; or "".
        login: What it asks for to log in, such as Basic or Bearer; "" where it asks for nothing.
        skew: Seconds by which this machine's clock is ahead of the registry's; None where its answer has no date.
    """

    host: str
    port: int
    connect_error: str = ""
    plain: bool = False
    refused: str = ""
    distrust: str = ""
    system: str = ""
    certificate: Certificate | None = None
    protocol: str = ""
    outdated_tls: bool = False
    status: int = 0
    api: str = ""
    login: str = ""
    skew: float | None = None

    @property
    def is_strange(self) -> bool:
        """Whether what answers is no registry, by what it says or cannot say."""
        return bool(self.refused or (self.status and self.status not in READY_STATUSES and not self.api))


@dataclass(frozen=True)
class FileMode:
    """A file or folder that must be private: its permission bits, and whether it is this user's."""

    path: Path
    mode: int
    owned: bool


@dataclass(frozen=True)
class Disk:
    """The file system that holds the images: bytes that are free; inodes in all and free, 0 where it counts none."""

    path: str
    free: int
    inodes: int
    free_inodes: int


@dataclass(frozen=True)
class Proxy:
    """A proxy that something goes through: whose setting it is, the proxy, and what goes past it."""

    whose: str
    url: str
    no_proxy: str


@dataclass(frozen=True)
class StoreState:
    """What one store of trust holds.

    Args:
        store: The row.
        items: What stands in it for this registry.
        problem: Why it could not be looked at; None where it could.
        files: All that lies in the registry's folders, for stores that have such.
        unreadable: Files and folders there that not everybody may read.
        ours: Paths that this project wrote, of any store.
        other_files: Folders of other spellings with the same certificate.
    """

    store: Store
    items: tuple[Item, ...] = ()
    problem: RegistryError | None = None
    files: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()
    ours: frozenset[str] = frozenset()
    other_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All of it; what is missing was not looked up, or is not there.

    Args:
        settings: Which registry, by the port on which it runs.
        now: When this was.
        remote: Whether the registry is another machine's, seen from a client.
        issued: The certificates here.
        broken: Why they cannot be used.
        anchor: What clients trust.
        file_modes: What must be private.
        tracked: Keys that git tracks.
        own_addresses: This machine's IPv4 addresses, those of bridges left out.
        resolved: Addresses by DNS name; none where nobody knows the name.
        engine: What the engine says of itself.
        engine_error: Why none answers.
        engine_since: When it was started, in seconds since the epoch; 0 where that is not known.
        container: The registry's container.
        wanted: The digest of the container that the settings now ask for; "" where that is not known.
        edited: The registry's configuration, where it is not what this project wrote.
        port_holder: Who listens on the registry's port, where the registry does not.
        first_port: The first port that programs without root may listen on; 0 where that is not known.
        key_mounts: Containers that were given the authority's key, with the path by which.
        observation: What answers.
        disk: Where the images are.
        login: Whether the registry is to ask for one.
        unread_users: Users whose hash the registry does not read.
        proxies: What goes through a proxy.
        store_states: Trust, store by store.
        unverified: Spellings that the engine does not verify.
        allowed: Where this checkout allowed plain HTTP on this machine's own address, and runs no plain registry.
        containerd: What its configuration keeps from being read.
        bundle_since: When the system's store last changed, in seconds since the epoch; 0 where there is none.
        vouched: Whether the system's store holds the registry's authority.
        systemd: Whether systemd runs here.
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
    engine_since: float = 0.0
    container: Container | None = None
    wanted: str = ""
    edited: Path | None = None
    port_holder: str | None = None
    first_port: int = 0
    key_mounts: tuple[tuple[str, str], ...] = ()
    observation: Observation | None = None
    disk: Disk | None = None
    login: bool = False
    unread_users: tuple[str, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    store_states: tuple[StoreState, ...] = ()
    unverified: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    containerd: tuple[Advice, ...] = ()
    bundle_since: float = 0.0
    vouched: bool = False
    systemd: bool = True

    @property
    def serves(self) -> bool:
        """Whether this checkout is the registry's own: it has the key, or the container runs here."""
        return not self.remote and (self.issued is not None or self.broken is not None or self.container is not None)

    @property
    def running(self) -> bool:
        """Whether our own TLS registry runs here."""
        return self.container is not None and self.container.role == "tls" and self.container.state == "running"
