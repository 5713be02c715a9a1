"""Where the table of stores could have written: a ledger's entry counts nowhere else, whoever wrote that ledger."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry.trust import stores, whereabouts
from trusted_registry.trust.clients import insecure
from trusted_registry.trust.local import daemon, ledger
from trusted_registry.trust.row import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trusted_registry.edge import Edge
    from trusted_registry.trust.local.ledger import Entry
    from trusted_registry.trust.row import Store
    from trusted_registry.trust.whereabouts import Where

_ANY = Subject(b"", "0" * 64, ("REGISTRY",))
"""Stands for every certificate and every spelling."""
_NAME = re.compile(r"trusted-registry-[0-9a-f]{16}\Z")
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}\Z")
_SPELLING = r"(?!\.\.?/)[^/]+"


def counted(entries: Iterable[Entry], edge: Edge) -> list[Entry]:
    """Return the entries that name what could have been written; of the others it is said that they stay."""
    where, found = whereabouts.here(), []
    for entry in entries:
        if belongs(entry, where):
            found.append(entry)
        else:
            place = entry.path or entry.value
            edge.warn(f"{ledger.where()} names {place}, where nothing of {entry.store} is ever written; it stays.")
    return found


def belongs(entry: Entry, where: Where) -> bool:
    """Whether an entry names a place of its store, for any certificate and any spelling, with no link on the way."""
    if entry.store == daemon.STORE:
        return Path(entry.path) in {insecure.config_file(rootless=it).resolve() for it in (True, False)}
    if entry.store.startswith("keychain-"):
        return bool(_SHA1.match(entry.value))
    store = next((row for row in stores.STORES if row.key == entry.store), None)
    if store is None:
        return False
    if store.database:
        return bool(_NAME.match(entry.value)) and _is_database(entry.path, store, where)
    return any(_fits(entry.path, pattern) for pattern in _patterns(store, where))


def _is_database(path: str, store: Store, where: Where) -> bool:
    templates = store.database.places if store.database else ()
    patterns = (str(where.path(template)).replace("*", _ANY.spellings[0]) for template in templates)
    return any(_fits(path, pattern) for pattern in patterns) if templates else not path


def _patterns(store: Store, where: Where) -> Iterator[str]:
    for file in store.files(_ANY):
        yield str(where.path(file.path))
        for folder in store.hidden_by:
            yield str(where.path(folder) / file.spelling / Path(file.path).name)
    for block in store.blocks(_ANY):
        yield str(where.path(block.path))


def _fits(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern stands for, and leads to nowhere else."""
    spelled = re.escape(pattern).replace(_ANY.spellings[0], _SPELLING).replace(re.escape(_ANY.name), _NAME.pattern[:-2])
    if not re.fullmatch(spelled, path):
        return False
    fixed = Path(pattern.partition(_ANY.spellings[0])[0].partition(_ANY.name)[0] + "x").parent
    return os.path.realpath(Path(path).parent) == os.path.join(os.path.realpath(fixed), *_between(path, fixed))  # noqa: PTH118


def _between(path: str, fixed: Path) -> tuple[str, ...]:
    return Path(path).parent.relative_to(fixed).parts
