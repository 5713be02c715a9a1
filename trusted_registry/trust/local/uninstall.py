"""Removal of trust from this machine: the writes in the ledger, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from trusted_registry import program
from trusted_registry.console import Console, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.files import Remove
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import apply, daemon_lists, install, ledger, owned, places, plan
from trusted_registry.trust.local.ledger import Entry
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import Database, File, ManagedBlock, Store
from trusted_registry.trust.specifics import macos
from trusted_registry.trust.specifics.daemon_json import INSECURE

_GONE = "Unable to delete certificate matching"
"""Error of `security` for a certificate that is not in the keychain (any more)."""


def remove(run: Run, engine: Engine, *, everyone: bool = False) -> list[str]:
    """Undo the writes of this installation, or of all installations of this user.

    Returns:
        Paths and entries that were removed, for people.

    Raises:
        RegistryError: A write cannot be undone; all others were, and are forgotten.
    """
    with apply.locked(run.console):
        wanted = ledger.read(ledger.path()) if everyone else owned.entries(run.settings)
        entries = places.counted(wanted, run.console)
        mine = [entry for entry in entries if client_stores.find(entry.store)]
        unknown = _found_unrecorded(entries, run, engine) if everyone else []
        freed: list[str] = []
        failed: list[RegistryError] = []  # of one store each: the others are still cleaned
        for entry in (it for it in entries if it not in mine):  # first the lists that name what goes next
            try:
                freed.append(_uninstall(entry, engine, run.console))
            except RegistryError as error:
                failed.append(error)
        for key in dict.fromkeys(entry.store for entry in (*mine, *unknown)):
            known = [entry for entry in mine if entry.store == key]
            others = [entry for entry in unknown if entry.store == key]
            try:
                freed += _uninstall_store(client_stores.store(key), known, others, run.console)
            except RegistryError as error:
                failed.append(error)
        if failed:
            for place in freed:
                run.console.say(f"removed: {place}")
            for fault in failed[:-1]:
                run.console.warn(f"{fault.message} {fault.cure}")
            raise failed[-1]
        return freed


def disallow_plain(run: Run, engine: Engine) -> list[str]:
    """Withdraw this checkout's permission of plain HTTP; trust stays.

    Returns:
        Paths and entries that were removed, for people.

    Raises:
        RegistryError: daemon.json is not valid or cannot be written, or the engine does not reload the file.
    """
    with apply.locked(run.console):
        own = places.counted(owned.entries(run.settings), run.console)
        return [_uninstall(entry, engine, run.console) for entry in own if entry.store == INSECURE.store]


def _uninstall_store(store: Store, known: list[Entry], unknown: list[Entry], console: Console) -> list[str]:
    its_plan, stays = plan.uninstall(store.key, [*known, *unknown])
    in_blocks = {entry.path for entry in (*known, *unknown) if entry.value}
    for path in stays.changed:
        message = f"{path}: lines between our marks were changed since; they stay."
        console.warn(message if str(path) in in_blocks else f"{path} was changed since it was written here; it stays.")
    for path, naming in stays.named.items():
        if _hand_over([it for it in known if it.path == str(path)], naming, known, console):
            continue
        take = f"Remove its line: {pasteable([*plan.sudo(store, naming), 'editor', str(naming)])}; then repeat this"
        console.warn(f"{path} stays: an entry of {naming} that was not written here names it. {take}")
    apply.carry_out(its_plan, console)
    _forget([entry for entry in known if Path(entry.path) not in stays.named], console)
    if its_plan and store.restart:
        console.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")
    if store.key == macos.COLIMA:
        for registry_host in dict.fromkeys(operation.path.parent.name for operation in its_plan.operations):
            console.say(f"Colima keeps what it once copied: {pasteable(macos.colima_leftovers(registry_host))}")
    files = [str(it.path) if isinstance(it, Remove) else f"lines in {it.path}" for it in its_plan.operations]
    runs = [" ".join(argv) for argv in its_plan.runs]
    removed = [entry for entry in known if entry.value and any(entry.value in it and entry.path in it for it in runs)]
    return [*files, *(f"{entry.value} in {entry.path or f'the store of {store.clients}'}" for entry in removed)]


def _hand_over(certificate: list[Entry], naming: Path, known: list[Entry], console: Console) -> bool:
    """Have a certificate be the other installation's that names it in a shared file too, and so takes it back.

    Returns:
        Whether there is one.
    """
    others = [it for it in ledger.read(ledger.path()) if it not in known and it.value and it.path == str(naming)]
    if not others:
        return False
    if not console.dry:
        theirs = [dataclasses.replace(it, by=others[0].by) for it in certificate]
        ledger.record(ledger.path(), theirs, installation=others[0].installation)
    console.say(f"stays, as the checkout {others[0].by} needs it: {certificate[0].path}")
    return True


def _uninstall(entry: Entry, engine: Engine, console: Console) -> str:
    """Undo a change of daemon.json or of a keychain, forget that entry, and return its words for people."""
    store, _, keychain = entry.store.partition("-")
    if store == "keychain":
        _uninstall_keychain(entry, keychain, console)
    else:
        daemon_lists.remove(entry, engine, console)
    _forget([entry], console)
    return f"{entry.value} in {entry.path}"


def _uninstall_keychain(entry: Entry, keychain: str, console: Console) -> None:
    settings, certificate = macos.remove(Path(entry.path), entry.value, keychain, Path.home())
    try:
        program.run(settings, console)
    except RegistryError as error:  # the certificate's file may be another one by now, or gone
        console.warn(error.message)
    try:
        program.run(certificate, console)
    except RegistryError as error:
        if _GONE not in error.message:
            raise


def _forget(entries: list[Entry], console: Console) -> None:
    if not console.dry:
        ledger.forget(ledger.path(), entries)


def _found_unrecorded(entries: list[Entry], run: Run, engine: Engine) -> list[Entry]:
    """Return entries for this certificate that are not in the ledger.

    Another user wrote these files and blocks.
    """
    known = {entry.path for entry in entries}
    found: list[Entry] = []
    for store in install.select_stores(engine, install.StoreSelection(system=True)):
        try:
            items = install.find_items(run.settings, [store], dry=run.console.dry)
        except NeedsRootError as error:
            run.console.warn(f"{store.clients}: not looked at. {error.message}")
            continue
        except RegistryError:
            continue
        trusted = [item for item in items if item.state is State.TRUSTED and not item.by_others]
        theirs = [item for item in trusted if str(item.path) not in known]
        found += [_entry(item, run.settings) for item in theirs if not isinstance(item.what, Database)]
    return found


def _entry(item: Item, settings: Settings) -> Entry:
    """Return the entry that the ledger would have for an item.

    A folder of a registry host that is left empty counts as ours.
    """
    if isinstance(item.what, File):
        made = ledger.entry(item.store.key, item.path, item.what.content, by=settings.root)
        return dataclasses.replace(made, keep=str(item.path.parent.parent)) if item.registry_host else made
    lines, value = (item.what.lines, ledger.block_key(item.what)) if isinstance(item.what, ManagedBlock) else ((), "")
    made = ledger.entry(item.store.key, item.path, editing.content(lines), by=settings.root, value=value)
    return dataclasses.replace(made, keep="")
