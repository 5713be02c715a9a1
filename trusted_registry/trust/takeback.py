"""Takes this machine's trust back: what the ledger says was written, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import run
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust import apply, daemon, here, ledger, macos, plan, stores
from trusted_registry.trust.look import State
from trusted_registry.trust.stores import File

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.ledger import Entry


def remove(settings: Settings, engine: Engine, edge: Edge, *, everyone: bool = False) -> list[str]:
    """Take back what this checkout wrote on this machine, or what every checkout of this user wrote.

    Returns:
        The places that were freed.

    Raises:
        RegistryError: Something cannot be taken back; what was taken back before it is forgotten all the same.
    """
    with apply.one_at_a_time(edge):
        entries = [entry for entry in ledger.read(ledger.where()) if everyone or entry.by == str(settings.root)]
        rows = {store.key for store in stores.STORES}
        mine = [entry for entry in entries if entry.store in rows]
        unknown = _unknown_to(entries, settings, engine) if everyone else []
        freed: list[str] = []
        for key in dict.fromkeys(entry.store for entry in (*mine, *unknown)):
            of_store = [entry for entry in mine if entry.store == key]
            freed += _free(key, of_store, [entry for entry in unknown if entry.store == key], edge)
        for entry in entries:
            if entry.store not in rows:
                _take_back(entry, engine, edge)
                _forget([entry], edge)
                freed.append(f"{entry.value} in {entry.path}")
        return freed


def _free(key: str, known: list[Entry], unknown: list[Entry], edge: Edge) -> list[str]:
    its_plan, changed = plan.taken_back(key, [*known, *unknown])
    for path in changed:
        edge.warn(f"{path} was changed since it was written here; it stays.")
    apply.carry_out(its_plan, edge)
    _forget(known, edge)
    files = [str(operation.path) for operation in its_plan.operations if isinstance(operation, Remove)]
    shared = [f"lines in {operation.path}" for operation in its_plan.operations if isinstance(operation, Write)]
    inside = [entry for entry in known if entry.value and its_plan.runs and not its_plan.operations]
    return [*files, *shared, *(f"{entry.value} in {entry.path or key}" for entry in inside)]


def _take_back(entry: Entry, engine: Engine, edge: Edge) -> None:
    store, _, keychain = entry.store.partition("-")
    if store != "keychain":
        daemon.disallow(entry, engine, edge)
        return
    for argv in macos.remove(Path(entry.path), entry.value, keychain, Path.home()):
        try:
            run.act(argv, edge)
        except RegistryError as error:  # the certificate's file may be another one by now, or gone
            edge.warn(error.message)


def _forget(entries: list[Entry], edge: Edge) -> None:
    if not edge.dry:
        ledger.forget(ledger.where(), entries)


def _unknown_to(entries: list[Entry], settings: Settings, engine: Engine) -> list[Entry]:
    """Return the files that hold this very certificate and are not in the ledger: another user wrote them."""
    try:
        found = here.items(settings, here.chosen(engine, here.EVERY))
    except RegistryError:
        return []
    known = {entry.path for entry in entries}
    return [
        ledger.entry(item.store.key, item.path, item.what.content, by=settings.root)
        for item in found
        if isinstance(item.what, File) and item.state is State.TRUSTED and str(item.path) not in known
    ]
