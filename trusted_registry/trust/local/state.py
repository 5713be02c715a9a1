"""State of the stores of this machine: read, never changed."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import enum
import os
import platform
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trusted_registry.console import pasteable
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import beside, databases
from trusted_registry.trust.local.ledger import Entry, digest
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import Database, File, ManagedBlock, Refresh, Store, TrustAnchor, der, has_all

_MOST = 16 << 20
"""Bytes of a file that is read: bundles of all the world's authorities have half of one MB."""


class State(enum.Enum):
    """State of the registry in a store, each worse than the one before."""

    TRUSTED = "trusted"
    ABSENT = "absent"
    STALE = "stale"
    SHADOWED = "shadowed"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Item:
    """One part of a store's contents, present or missing, with its path, its state, and the text of a shared file.

    `path` of a database is its folder, or empty if its program knows the place; a shadowed file's is in the folder that
    clients read instead of the store's own. `text` of a database is the name of a foreign entry, `anchor` the
    certificate that it is to hold. `by_others` is for what trusts by another hand.
    """

    store: Store
    what: File | ManagedBlock | Database
    path: Path
    state: State
    text: str = ""
    anchor: TrustAnchor | None = None
    by_others: bool = False

    @property
    def registry_host(self) -> str:
        """Registry host of the item; empty for all of them."""
        return "" if isinstance(self.what, Database) else self.what.registry_host


def select(
    machine: Machine, *, only: Sequence[str] = (), skip: Sequence[str] = (), system: bool = False, engine: str = ""
) -> list[Store]:
    """Return the stores to write or show, in the table's order.

    Args:
        machine: This user's folders and programs.
        only: Names of stores; no others are returned, and these even without signs of their clients.
        skip: Names of stores to leave out.
        system: Whether to include those of the operating system, of browsers and of Java.
        engine: Key of the answering engine's store; returned without any signs too.

    Raises:
        RegistryError: A store was asked for by name that this system does not have.
    """
    rows = [store for store in client_stores.STORES if store.system == platform.system()]
    found = []
    for store in rows:
        wanted = store.name in only if only else (system or not store.on_request)
        if wanted and store.name not in skip and (store.key == engine or _present(store, machine)):
            found.append(store)
    missing = [it for it in dict.fromkeys(only) if it not in skip and it not in {store.name for store in found}]
    found += [_store_without_signs(name, rows, machine) for name in missing]
    return sorted(found, key=client_stores.STORES.index)


def _present(store: Store, machine: Machine) -> bool:
    return machines.has_signs(store.signs, machine) and (
        store.database is None or bool(databases.find_places(store.database, machine))
    )


def _store_without_signs(name: str, rows: Iterable[Store], machine: Machine) -> Store:
    """Return a store that was asked for by name, without signs of clients.

    Raises:
        RegistryError: This system has no such store, or the store's database or program is absent.
    """
    named = [it for it in rows if it.name == name]
    store = next((store for store in named if store.refresh), named[0] if named else None)
    if store is None or store.refresh:
        raise RegistryError(
            f"No store of the kind {name} is known on this system.",
            cure="See what is here: ./inv trust.list; by hand: the page that ./inv trust.kit writes.",
        )
    if store.database:
        tool = store.database.find[0]
        if machines.find_program(tool, machine):
            raise RegistryError(
                f"There is no database of {store.clients} in {machine.home} yet.", cure="Start the program once."
            )
        packages = {"certutil": "libnss3-tools (Debian), nss-tools (Fedora), nss (Arch)", "keytool": "a Java runtime"}
        raise RegistryError(f"{tool} is not installed.", cure=f"Install {packages[tool]}.")
    return store


def find(rows: Iterable[Store], anchor: TrustAnchor, machine: Machine, ledger: Iterable[Entry]) -> list[Item]:
    """Return the contents of stores, present and missing, with their states.

    Raises:
        RegistryError: A folder of the path is a link, a file beside would make clients fail, or a file cannot be read
            (NeedsRootError if root could).
    """
    ours = {(entry.path, entry.sha256) for entry in ledger}
    return [item for store in rows for item in _store(store, anchor, machine, ours)]


def _store(store: Store, anchor: TrustAnchor, machine: Machine, ours: set[tuple[str, str]]) -> Iterator[Item]:
    for file in map(machine.filled, store.files(anchor)):
        item = _file(store, file, machine.path(file.path), ours)
        if item.state is State.TRUSTED and not _is_refreshed(store.refresh, file, machine):
            item = dataclasses.replace(item, state=State.ABSENT)
        yield item
        yield from _shadowing(store, file, machine, ours)
    for block in map(machine.resolve, store.blocks(anchor)):
        path = machine.path(block.path)
        check_link(path)
        text = read(path)
        state = _block(text, block)
        if state is State.FOREIGN and (str(path), digest(editing.current_content(text, block) or b"")) in ours:
            state = State.STALE  # of a mirror that is at another place now
        others = state is State.TRUSTED and not editing.has(text, block)
        yield Item(store, editing.fitted(text, block), path, state, text, by_others=others)
    if store.database:
        for place in databases.find_places(store.database, machine):
            for wanted in anchor.all:
                name = databases.find_name(store.database, wanted, place)
                entry = State.ABSENT if name is None else State.FOREIGN if name else State.TRUSTED
                yield Item(store, store.database, place, entry, name or "", wanted)


def _file(store: Store, file: File, path: Path, ours: set[tuple[str, str]]) -> Item:
    with _errors_explained(path):
        if file.registry_host:
            check_link(path.parent)
        check_link(path)
        if file.registry_host:
            beside.check(path.parent, store)
    present = content(path)
    if present is None:
        return Item(store, file, path, State.ABSENT)
    if present == file.content:
        return Item(store, file, path, State.TRUSTED)
    if (str(path), digest(present)) in ours:
        return Item(store, file, path, State.STALE)
    if has_all(present, file.content):
        return Item(store, file, path, State.TRUSTED, by_others=True)
    return Item(store, file, path, State.FOREIGN)


def _is_refreshed(refresh: Refresh | None, file: File, machine: Machine) -> bool:
    """Return whether the refresh command ran after the certificate came.

    An interrupted run did not reach that command.
    """
    bundle = content(machine.path(refresh.bundle)) if refresh and refresh.bundle else None
    held = base64.b64encode(der(file.content.decode("ascii", errors="replace"))) if bundle is not None else b""
    return bundle is None or held in b"".join(bundle.split())


def _shadowing(store: Store, file: File, machine: Machine, ours: set[tuple[str, str]]) -> Iterator[Item]:
    """Yield the files that clients read instead of those in a store."""
    for template in store.shadowed_by if file.registry_host else ():
        path = machine.path(template) / file.registry_host / Path(file.path).name
        with _errors_explained(path):
            read_instead = path.parent.is_dir()
        if read_instead:
            item = _file(store, file, path, ours)
            yield dataclasses.replace(item, state=State.SHADOWED) if item.state is State.ABSENT else item


def _block(text: str, block: ManagedBlock) -> State:
    if editing.has(text, block) or editing.is_held(text, block):
        return State.TRUSTED
    if editing.changed_lines(text, block):
        return State.FOREIGN
    if editing.foreign_line(text, block) and not editing.fitted(text, block).within:
        return State.FOREIGN
    return State.ABSENT if editing.current_content(text, block) is None else State.STALE


def check_link(path: Path) -> None:
    """Refuse a link, as its target is not ours to change.

    Raises:
        RegistryError: The path is a link, or cannot be read (NeedsRootError if root could).
    """
    with _errors_explained(path):
        if path.is_symlink():
            raise RegistryError(
                f"{path} is a link to {path.readlink()}; it is not followed.",
                cure=f"Put what it leads to in its place, or remove it: {_remove_command(path)}",
            )


def _remove_command(path: Path) -> str:
    """Return the command that removes a file, ready to paste."""
    return pasteable([*([] if os.access(path.parent, os.W_OK) else ["sudo"]), "rm", str(path)])


def ignored_certificates(items: Iterable[Item]) -> list[Path]:
    """Return the certificates beside ours that clients ignore: `*.pem`."""
    folders = dict.fromkeys(item.path.parent for item in items if isinstance(item.what, File) and item.registry_host)
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.pem"))]


def read(path: Path) -> str:
    """Return a shared file's text; empty if the file is absent.

    Raises:
        RegistryError: The file cannot be read, or is no text.
    """
    try:
        return (content(path) or b"").decode()
    except UnicodeDecodeError as error:
        raise RegistryError(
            f"{path} is not text. It was left as it is.", cure=f"See what it is: {pasteable(['file', str(path)])}"
        ) from error


def text_or_none(path: Path) -> str | None:
    """Return a file's text, empty if absent; None if this user cannot read that."""
    try:
        return read(path)
    except RegistryError:
        return None


def content(path: Path) -> bytes | None:
    """Return a file's content, or None if absent.

    Raises:
        RegistryError: The file cannot be read (NeedsRootError if root could), or is nothing that clients read.
    """
    with _errors_explained(path), contextlib.suppress(FileNotFoundError):
        found = path.stat()
        if found.st_size <= _MOST and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return path.read_bytes()
        reason = f"larger than {_MOST >> 20} MB" if stat.S_ISREG(found.st_mode) else "no file"
        raise RegistryError(f"{path} is {reason}.", cure=f"See what it is: {pasteable(['ls', '-ld', str(path)])}")
    return None


@contextlib.contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NeedsRootError(
            f"{path} may be read by root alone.", cure=f"See whose it is: {pasteable(['sudo', 'ls', '-l', str(path)])}"
        ) from error
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be read: {error.strerror}.", cure=f"Look: {pasteable(['ls', '-ld', str(path)])}"
        ) from error


def by_registry_host(items: Iterable[Item], registry_hosts: Iterable[str]) -> dict[tuple[str, str], State]:
    """Return the worst state of each registry host in each store.

    The keys are pairs of store key and registry host.
    """
    order = list(State)
    found: dict[tuple[str, str], State] = {}
    for item in items:
        for registry_host in [item.registry_host] if item.registry_host else registry_hosts:
            at = (item.store.key, registry_host)
            found[at] = max(found.get(at, State.TRUSTED), item.state, key=order.index)
    return found
