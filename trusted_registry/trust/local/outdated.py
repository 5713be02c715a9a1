"""Trust in an earlier authority of this installation, left where none of today's files takes its place.

A store by certificate names, such as the system's, keeps an old one beside the new one; so does a folder of certs.d
after a changeover.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.contents import NEXT_AUTHORITY
from trusted_registry.trust.local import apply, databases, ledger, owned, places, plan
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.ledger import Entry, digest
from trusted_registry.trust.model import Database, Store, TrustAnchor, der

ENGINE_REMEMBERS = (
    "it may have read the system's store before, which it forgets when restarted: sudo service docker restart"
)
"""An engine reads the system's store once (Go, crypto/x509/root.go, sync.Once)."""


def find(settings: Settings, anchor: TrustAnchor) -> list[Entry]:
    """Return the entries of this installation for another certificate than those that clients are to trust now.

    Only what stands there as it was written counts, and no path that is written for the certificate of today.
    """
    machine, found = machines.current(), []
    known = [entry for entry in owned.entries(settings) if places.belongs(entry, machine)]
    for entry in known:
        store = client_stores.find(entry.store)
        with contextlib.suppress(RegistryError):  # what this user may not read
            if store and _is_outdated(entry, store, anchor, machine):
                found.append(entry)
                if not store.database:
                    found += _hosts_toml(entry, known, _wanted(store, anchor, machine))
    return list(dict.fromkeys(found))


def _hosts_toml(entry: Entry, known: Iterable[Entry], wanted: set[Path]) -> list[Entry]:
    """Return the entries of the hosts.toml beside a file, unless it is one of today's: containerd fails on it alone."""
    path = Path(entry.path).with_name("hosts.toml")
    return [it for it in known if it.path == str(path) and path not in wanted]


def _is_outdated(entry: Entry, store: Store, anchor: TrustAnchor, machine: machines.Machine) -> bool:
    if anchor.retired and not store.database and _is_retired(entry, store, anchor, machine):
        return True
    if store.database:
        is_earlier = entry.value not in {it.name for it in anchor.all}
        return is_earlier and _is_held(store.database, Path(entry.path), entry.value)
    if entry.value or Path(entry.path) in _wanted(store, anchor, machine):
        return False
    content = states.content(Path(entry.path))
    if content is None or digest(content) != entry.sha256:
        return False
    # The second file of a changeover has no use after that, though by then it holds what is trusted.
    return Path(entry.path).name == NEXT_AUTHORITY or _is_another_s(content, anchor)


def _is_retired(entry: Entry, store: Store, anchor: TrustAnchor, machine: machines.Machine) -> bool:
    """Whether an entry is of a mirror that clients are not to use any more, and of nothing else."""
    before = replace(anchor, mirrors=anchor.retired)
    if entry.value:
        keys = [{ledger.block_key(it) for it in store.blocks(each)} for each in (before, anchor)]
        return entry.value in keys[0] - keys[1]
    return Path(entry.path) in _wanted(store, before, machine) - _wanted(store, anchor, machine)


def _is_held(database: Database, place: Path, name: str) -> bool:
    is_there = not database.mark or files.exists(place / database.mark)
    return is_there and program.capture(databases.command_by_name(database.find, name, place)).ok


def _wanted(store: Store, anchor: TrustAnchor, machine: machines.Machine) -> set[Path]:
    """Return the paths of a store for the certificates of today, by whichever registry host."""
    return set(_paths(store, anchor, machine))


def _paths(store: Store, anchor: TrustAnchor, machine: machines.Machine) -> Iterator[Path]:
    for file in store.files(anchor):
        yield machine.path(file.path)
        for folder in store.shadowed_by if file.registry_host else ():
            yield machine.path(folder) / file.registry_host / Path(file.path).name


def _is_another_s(content: bytes, anchor: TrustAnchor) -> bool:
    """Return whether a file begins with a certificate, of another authority than those of today."""
    try:
        return der(content.decode("ascii", errors="replace")) not in {it.der for it in anchor.all}
    except ValueError:
        return False


def take_back(stores: Sequence[Store], anchor: TrustAnchor, run: Run) -> None:
    """Take earlier authorities back from stores that trust the one of today by now; root's are left without root."""
    entries = [] if run.console.dry else find(run.settings, anchor)
    for store in stores:
        mine = [entry for entry in entries if entry.store == store.key]
        if not mine:
            continue
        try:
            undo, stays = plan.uninstall(store.key, mine)
            apply.carry_out(undo, run.console)
        except NeedsRootError as error:
            run.console.warn(f"{store.clients}: an earlier authority is left. {error.message} {error.cure}")
            continue
        for path, naming in stays.named.items():
            run.console.warn(f"{path} stays, though not used any more: an entry of {naming} that is not ours names it.")
        for path in stays.changed:
            run.console.warn(f"{path} was changed since it was written here; it stays.")
        mine = [entry for entry in mine if Path(entry.path) not in stays.named]
        ledger.forget(ledger.path(), mine)
        _say_removed([entry for entry in mine if Path(entry.path) not in stays.changed], store, anchor, run)
        if store.refresh and any(it.name == "docker" for it in stores):
            run.console.say(f"docker: {ENGINE_REMEMBERS}")


def _say_removed(entries: Sequence[Entry], store: Store, anchor: TrustAnchor, run: Run) -> None:
    machine = machines.current()
    retired = [it for it in entries if anchor.retired and _is_retired(it, store, anchor, machine)]
    earlier = [it for it in entries if it not in retired]
    for why, found in (("of a mirror that is not used any more", retired), ("an earlier authority", earlier)):
        if names := dict.fromkeys(entry.value or entry.path for entry in found):
            run.console.say(f"trust: removed, {why}: {', '.join(names)}")
