"""Where the table of stores could have written: a ledger's entry counts nowhere else, whoever wrote that ledger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from trusted_registry.console import Console
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import ledger
from trusted_registry.trust.model import Mirror, Store, TrustAnchor
from trusted_registry.trust.specifics import daemon_json

_HOST = "REGISTRY"
_ANY = TrustAnchor(
    b"", "0" * 64, (_HOST,), beside=TrustAnchor(b"", "0" * 64, (_HOST,)), mirrors=(Mirror(_HOST, _HOST),)
)
"""Stands for every certificate and every spelling."""
_NAME = re.compile(r"trusted-registry-[0-9a-f]{16}\Z")
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}\Z")
_ANY_HOST = r"(?!\.\.?/)[^/]+"


def counted(entries: Iterable[ledger.Entry], console: Console) -> list[ledger.Entry]:
    """Return the entries that name what could have been written; of the others it is said that they stay."""
    machine, found = machines.current(), []
    for entry in entries:
        if belongs(entry, machine):
            found.append(entry)
        else:
            place = entry.path or entry.value
            console.warn(f"{ledger.path()} names {place}, where nothing of {entry.store} is ever written; it stays.")
    return found


def belongs(entry: ledger.Entry, machine: machines.Machine) -> bool:
    """Whether an entry names a place of its store, for any certificate and any spelling, with no link on the way."""
    if daemon_json.of_store(entry.store):
        return Path(entry.path) in {daemon_json.config_file(rootless=it).resolve() for it in (True, False)}
    if entry.store.startswith("keychain-"):
        return bool(_SHA1.match(entry.value))
    store = client_stores.find(entry.store)
    if store is None:
        return False
    if store.database:
        return bool(_NAME.match(entry.value)) and _is_database(entry.path, store, machine)
    return any(_fits(entry.path, pattern) for pattern in _patterns(store, machine))


def _is_database(path: str, store: Store, machine: machines.Machine) -> bool:
    templates = store.database.places if store.database else ()
    patterns = (str(machine.path(template)).replace("*", _HOST) for template in templates)
    return any(_fits(path, pattern) for pattern in patterns) if templates else not path


def _patterns(store: Store, machine: machines.Machine) -> Iterator[str]:
    for file in store.files(_ANY):
        yield str(machine.path(file.path))
        for folder in store.shadowed_by if file.registry_host else ():
            yield str(machine.path(folder) / file.registry_host / Path(file.path).name)
    for block in store.blocks(_ANY):
        yield str(machine.path(block.path))


def _fits(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern stands for, and leads to nowhere else."""
    spelled = re.escape(pattern).replace(_HOST, _ANY_HOST).replace(re.escape(_ANY.name), _NAME.pattern[:-2])
    if not re.fullmatch(spelled, path):
        return False
    fixed = Path(pattern.partition(_HOST)[0].partition(_ANY.name)[0] + "x").parent
    folder = Path(path).parent
    return os.path.realpath(folder) == str(Path(os.path.realpath(fixed), folder.relative_to(fixed)))
