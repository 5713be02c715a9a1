"""A machine's disk in a folder of a test's own: its signs, its stores, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import forge
from trusted_registry import address
from trusted_registry.certificate import inspect
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import install
from trusted_registry.trust.local import state as store_state
from trusted_registry.trust.local.install import ALL_STORES, StoreSelection
from trusted_registry.trust.local.ledger import Entry, digest
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.state import Item, State
    from trusted_registry.trust.model import Store

SPELLINGS = ("192.168.0.12", "192.168.0.12:443")
DOCKER = "/etc/docker/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
USERS = "{home}/.config/containers/certs.d"
ANCHORS = "/usr/local/share/ca-certificates"


class Box:
    """A root folder, a home in it, and programs that do nothing."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.home = folder / "home" / "me"
        self.programs = folder / "programs"
        for made in (self.home, self.programs):
            made.mkdir(parents=True, exist_ok=True)
        self.machine = Machine(
            home=self.home,
            config=self.home / ".config",
            data=self.home / ".local" / "share",
            run=folder / "run" / "user" / "1000",
            docker=self.home / ".docker",
            programs=(self.programs,),
            root=folder,
        )

    def folder(self, template: str) -> Path:
        """Make a folder, which may begin with a place in braces."""
        path = self.machine.path(template)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def file(self, template: str, content: bytes | str = b"", mode: int = 0o644) -> Path:
        """Put a file, which may begin with a place in braces."""
        path = self.machine.path(template)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def program(self, name: str) -> Path:
        """Put a program."""
        return self.file(f"/programs/{name}", "#!/bin/sh\n", 0o755)

    def look(self, key: str, anchor: TrustAnchor, ledger: Iterable[Entry] = ()) -> list[Item]:
        """Return what stands in a store."""
        return store_state.find([store_of(key)], anchor, self.machine, ledger)


def store_of(key: str) -> Store:
    """Return the store with this key."""
    return next(store for store in client_stores.STORES if store.key == key)


def anchor(folder: Path, stem: str = "ca", registry_hosts: tuple[str, ...] = SPELLINGS) -> TrustAnchor:
    """Make an authority in a folder, and return it as what is to be trusted."""
    path = forge.save(forge.authority(), folder, stem)
    return TrustAnchor(path.read_bytes(), inspect.read(path).fingerprint, registry_hosts, str(path))


def entry(path: Path, content: bytes, store: str = "docker") -> Entry:
    """Return what the ledger says of a file that was written here."""
    return Entry(store, str(path), digest(content), "", "/checkout", "2026-01-02T03:04:05Z")


def states(settings: Settings, engine: Engine, selection: StoreSelection = ALL_STORES) -> dict[tuple[str, str], State]:
    """Return the state of each store for each spelling, by the store's key and the spelling."""
    found = install.find_items(settings, install.select_stores(engine, selection))
    return store_state.by_registry_host(found, address.registry_hosts(settings.hosts, settings.port))
