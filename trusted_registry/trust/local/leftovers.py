"""Places that still trust the authority after a removal: by whom they were written, and the command that takes them."""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import Console, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import databases, install, ledger, owned, plan
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.state import State
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import MACHINE, USER, Store, TrustAnchor

_REMOVE = "./inv trust.remove"


@dataclass(frozen=True)
class Left:
    """A place that trusts the authority, and the command that takes it away."""

    place: str
    command: str


def find(run: Run, engine: Engine) -> list[Left]:
    """Return every place of this machine that trusts this installation's authority, whoever wrote it.

    The stores are asked, not the ledger: another user's is not at hand. Root looks into the home of the user whose
    checkout this is, too.
    """
    trusted = owned.authority(run.settings)
    if trusted is None:
        return []
    own, known, found = machines.current(), ledger.read(ledger.path()), []
    present = {store.key for store in install.select_stores(engine, install.StoreSelection(system=True))}
    for store in (it for it in client_stores.STORES if it.system == platform.system()):
        homes = {} if store.scope != USER or store.database else _others_homes(run.settings)
        for name, machine in {"": own, **homes}.items():
            parts = (_in_files, _in_blocks, *([_in_database] if store.key in present else []))
            for part in parts:  # one that root alone may read hides nothing that stands in another
                try:
                    found += [
                        Left(place, _command(place, away, name, known)) for place, away in part(store, trusted, machine)
                    ]
                except RegistryError as error:
                    _warn_unread(store, error, run.console, told=store.key in present)
    return list({it.place: it for it in found}.values())


def _others_homes(settings: Settings) -> dict[str, Machine]:
    """Return the folders of the user whose checkout this is, by name, where root looks and is another."""
    if os.geteuid():
        return {}
    try:
        user = pwd.getpwuid(settings.root.stat().st_uid)
    except (OSError, KeyError):
        return {}
    return {user.pw_name: machines.current({}, Path(user.pw_dir))} if user.pw_uid else {}


def _warn_unread(store: Store, error: RegistryError, console: Console, *, told: bool) -> None:
    """Warn of a place that was not looked at; of what root alone may read, only where the store is one in use."""
    if isinstance(error, NeedsRootError) and not told:
        return
    cure = f"To look there too: sudo {_REMOVE}" if isinstance(error, NeedsRootError) else error.cure
    console.warn(f"{store.clients}: not looked at. {error.message} {cure}")


def _sudo(store: Store) -> list[str]:
    return ["sudo"] if store.scope == MACHINE and os.geteuid() else []


def _in_files(store: Store, trusted: TrustAnchor, machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield the files of a store that hold the authority, each with the command that takes it away by hand."""
    for file in store.files(trusted):
        paths = [machine.path(file.path)]
        if file.registry_host:  # by whichever name: names come and go
            folders = [paths[0].parents[1], *map(machine.path, store.shadowed_by)]
            paths = [path for folder in folders for path in _by_name(folder, paths[0].name)]
        for path in paths:
            if trusted.is_in(states.content(path)):
                rm = pasteable([*_sudo(store), "rm", *map(str, _with_hosts(path))])
                editable = _naming_file(path, store)
                yield str(path), f"{pasteable([*_sudo(store), 'editor', str(editable)])} && {rm}" if editable else rm


def _naming_file(path: Path, store: Store) -> Path | None:
    """Return the shared file that names a certificate; one that this user may not read is taken to do so."""
    try:
        return plan.shared_naming(path, store, {})
    except NeedsRootError:
        return path.with_name(Path(store.blocks(plan.ANY)[0].path).name)


def _in_blocks(store: Store, trusted: TrustAnchor, machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield the shared files of a store that name the authority, each with the command that takes it away by hand."""
    for block in map(machine.resolve, store.blocks(trusted)):
        path = machine.path(block.path)
        text = states.read(path)
        if editing.has(text, block) or editing.is_held(text, block):
            yield str(path), pasteable([*_sudo(store), "editor", str(path)])


def _in_database(store: Store, trusted: TrustAnchor, machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield a store's databases that hold the authority, each with the command that takes it away by hand."""
    for item in states.find([store], trusted, machine, ()) if store.database else ():
        if item.state is State.TRUSTED and store.database:
            away = [databases.command_about(it, trusted, item.path) for it in store.database.remove]
            place = f"{trusted.name} of {item.path if item.path != Path() else store.clients}"
            yield place, " && ".join(pasteable([*_sudo(store), *command]) for command in away)


def _with_hosts(path: Path) -> list[Path]:
    """Return a file and the hosts.toml beside it that names it: containerd fails on one without the other."""
    beside = path.with_name("hosts.toml")
    named = f"{path.parent.name}/{path.name}".encode() in (states.content(beside) or b"")
    return [path, beside] if named else [path]


def _by_name(folder: Path, name: str) -> list[Path]:
    try:
        return sorted(folder.glob(f"*/{name}"))
    except OSError:
        return []


def _command(place: str, away: str, home_of: str, known: list[ledger.Entry]) -> str:
    """Return the command that takes a place away: that of the checkout, or of the user, who wrote it; or by hand."""
    if home_of:
        return f"as {home_of}: {_REMOVE}"
    entry = next((it for it in known if it.path and it.path == place), None)
    if entry and files.exists(Path(entry.by) / "tasks.py"):
        return f"{pasteable(['cd', entry.by])} && {_REMOVE}"
    return f"sudo {_REMOVE}; or by hand: {away}" if os.geteuid() and _is_roots(Path(place)) else away


def _is_roots(path: Path) -> bool:
    return machines.exists(path) and path.stat().st_uid == 0
