"""Takes this machine's trust back: what the ledger says was written, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import run
from trusted_registry.edge import printable
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust import stores
from trusted_registry.trust.clients import macos
from trusted_registry.trust.lines import blocks
from trusted_registry.trust.local import apply, daemon, here, ledger, owned, places, plan
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import NoRoot, State
from trusted_registry.trust.row import Block, Database, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.ledger import Entry
    from trusted_registry.trust.local.look import Item

_GONE = "Unable to delete certificate matching"
"""What `security` says of a certificate that is not in the keychain (any more)."""


def remove(settings: Settings, engine: Engine, edge: Edge, *, everyone: bool = False) -> list[str]:
    """Take back what this installation wrote on this machine, or what every one of this user wrote.

    Returns:
        The places that were freed.

    Raises:
        RegistryError: Something cannot be taken back; all else was, and is forgotten.
    """
    with apply.one_at_a_time(edge):
        wanted = ledger.read(ledger.where()) if everyone else owned.entries(settings)
        entries = places.counted(wanted, edge)
        rows = {store.key for store in stores.STORES}
        mine = [entry for entry in entries if entry.store in rows]
        unknown = _unknown_to(entries, settings, engine, edge) if everyone else []
        freed: list[str] = []
        failed: list[RegistryError] = []
        for key in dict.fromkeys(entry.store for entry in (*mine, *unknown)):
            of_store = [entry for entry in mine if entry.store == key]
            with _kept_for_the_end(failed):
                freed += _free(key, of_store, [entry for entry in unknown if entry.store == key], edge)
        for entry in entries:
            if entry.store not in rows:
                with _kept_for_the_end(failed):
                    _take_back(entry, engine, edge)
                    _forget([entry], edge)
                    freed.append(f"{entry.value} in {entry.path}")
        if failed:
            _tell(freed, failed[:-1], edge)
            raise failed[-1]
        return freed


def disallow(settings: Settings, engine: Engine, edge: Edge) -> list[str]:
    """Take back what this checkout allowed of plain HTTP on this machine, and no trust.

    Returns:
        The places that were freed.

    Raises:
        RegistryError: daemon.json cannot be understood or written, or the engine does not take it up.
    """
    freed = []
    with apply.one_at_a_time(edge):
        for entry in places.counted(owned.entries(settings), edge):
            if entry.store == daemon.STORE:
                daemon.disallow(entry, engine, edge)
                _forget([entry], edge)
                freed.append(f"{entry.value} in {entry.path}")
    return freed


@contextlib.contextmanager
def _kept_for_the_end(failed: list[RegistryError]) -> Iterator[None]:
    """Let one store's trouble keep no other store's trust in place."""
    try:
        yield
    except RegistryError as error:
        failed.append(error)


def _tell(freed: list[str], failed: list[RegistryError], edge: Edge) -> None:
    for place in freed:
        edge.say(f"removed: {place}")
    for error in failed:
        edge.warn(f"{error.message} {error.cure}")


def _free(key: str, known: list[Entry], unknown: list[Entry], edge: Edge) -> list[str]:
    its_plan, changed = plan.taken_back(key, [*known, *unknown])
    shared = {entry.path for entry in (*known, *unknown) if entry.value}
    for path in changed:
        lines = f"{path}: lines between our marks were changed since; they stay."
        edge.warn(lines if str(path) in shared else f"{path} was changed since it was written here; it stays.")
    apply.carry_out(its_plan, edge)
    _forget(known, edge)
    store = next((row for row in stores.STORES if row.key == key), None)
    whose = f"the store of {store.clients}" if store else key
    if its_plan and store and store.restart:
        edge.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")
    if key == macos.COLIMA:
        for spelling in dict.fromkeys(operation.path.parent.name for operation in its_plan.operations):
            edge.say(f"Colima keeps what it once copied: {printable(macos.left_in_colima(spelling))}")
    files = [str(operation.path) for operation in its_plan.operations if isinstance(operation, Remove)]
    edited = [f"lines in {operation.path}" for operation in its_plan.operations if isinstance(operation, Write)]
    runs = [" ".join(argv) for argv in its_plan.runs]
    inside = [entry for entry in known if entry.value and any(entry.value in it and entry.path in it for it in runs)]
    return [*files, *edited, *(f"{entry.value} in {entry.path or whose}" for entry in inside)]


def _take_back(entry: Entry, engine: Engine, edge: Edge) -> None:
    store, _, keychain = entry.store.partition("-")
    if store != "keychain":
        daemon.disallow(entry, engine, edge)
        return
    settings, *certificate = macos.remove(Path(entry.path), entry.value, keychain, Path.home())
    try:
        run.act(settings, edge)
    except RegistryError as error:  # the certificate's file may be another one by now, or gone
        edge.warn(error.message)
    for argv in certificate:
        try:
            run.act(argv, edge)
        except RegistryError as error:
            if _GONE not in error.message:
                raise


def _forget(entries: list[Entry], edge: Edge) -> None:
    if not edge.dry:
        ledger.forget(ledger.where(), entries)


def _unknown_to(entries: list[Entry], settings: Settings, engine: Engine, edge: Edge) -> list[Entry]:
    """Return the files and lines about this very certificate that are not in the ledger: another user wrote them."""
    known = {entry.path for entry in entries}
    found: list[Entry] = []
    for store in here.chosen(engine, Choice(system=True)):
        try:
            items = here.items(settings, [store], dry=edge.dry)
        except NoRoot as error:
            edge.warn(f"{store.clients}: not looked at. {error.message}")
            continue
        except RegistryError:
            continue
        theirs = [item for item in items if item.state is State.TRUSTED and str(item.path) not in known]
        found += [_entry(item, settings) for item in theirs if not isinstance(item.what, Database)]
    return found


def _entry(item: Item, settings: Settings) -> Entry:
    """Return what the ledger would have said; a folder of our spelling that is left empty is taken for ours."""
    if isinstance(item.what, File):
        made = ledger.entry(item.store.key, item.path, item.what.content, by=settings.root)
        return dataclasses.replace(made, keep=str(item.path.parent.parent)) if item.spelling else made
    lines, value = (item.what.lines, ledger.value(item.what)) if isinstance(item.what, Block) else ((), "")
    made = ledger.entry(item.store.key, item.path, blocks.said(lines), by=settings.root, value=value)
    return dataclasses.replace(made, keep="")
