"""Looks up trust: what each client's store holds, what lies beside it, and what the engine does not verify."""

from __future__ import annotations

import contextlib
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import run
from trusted_registry.doctor.facts import Facts, Stored
from trusted_registry.errors import RegistryError
from trusted_registry.trust import stores, whereabouts
from trusted_registry.trust.clients import containerd
from trusted_registry.trust.local import anchor, here, ledger, look
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State
from trusted_registry.trust.row import MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trusted_registry.registry.engine import Engine
    from trusted_registry.trust.row import Store, Subject
    from trusted_registry.trust.whereabouts import Where

CONTAINERD = "containerd"
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def add(facts: Facts, engine: Engine, client: str) -> Facts:
    """Return facts with those about trust; where there is nothing to trust, with those that need none."""
    facts = replace(facts, unverified=_unverified(facts, engine), engine_since=_since(), bundle_since=_bundle())
    facts = replace(facts, systemd=Path("/run/systemd/system").is_dir())
    try:
        subject = anchor.subject(facts.settings, dry=True, required=True)
        rows = here.chosen(engine, Choice(only=(client,) if client else ()))
    except RegistryError:
        return facts
    known, where = ledger.read(ledger.where()), whereabouts.here()
    found = tuple(stored(store, subject, known, where) for store in rows)
    system = [row for row in stores.STORES if row.name == "system" and whereabouts.present(row.signs, where)]
    vouched = any(item.state is State.TRUSTED for row in system for item in stored(row, subject, known, where).items)
    # Kubernetes alone reads certs.d through what config.toml says: nerdctl and ctr are told where it is.
    kubernetes = any(whereabouts.program(name, where) for name in ("crictl", "kubelet"))
    advice = _advice() if kubernetes and any(store.key == CONTAINERD for store in rows) else ()
    return replace(facts, stores=found, containerd=advice, vouched=vouched)


def _unverified(facts: Facts, engine: Engine) -> tuple[str, ...]:
    try:
        return tuple(here.unverified(facts.settings, engine))
    except RegistryError:
        return ()


def stored(store: Store, subject: Subject, known: Sequence[ledger.Entry], where: Where) -> Stored:
    """Return what a store holds, and what lies beside it."""
    files = [file for file in store.files(subject) if file.spelling]
    folders = dict.fromkeys(where.path(file.path).parent for file in files)
    beside = tuple(path for folder in folders for path in _listed(folder))
    ours = frozenset(entry.path for entry in known)
    closed = _unreadable([where.path(file.path) for file in files]) if store.scope == MACHINE else ()
    try:
        items = tuple(look.look([store], subject, where, known))
    except RegistryError as error:
        return Stored(store, problem=error, files=beside, unreadable=closed, ours=ours)
    return Stored(store, items, None, beside, closed, ours, _elsewhere(folders, subject))


def _listed(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _unreadable(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return what keeps others than root from reading certificates: their folder, or the file itself."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            wanted = stat.S_IROTH | stat.S_IXOTH
            found += [path.parent] if path.parent.stat().st_mode & wanted != wanted else []
            found += [] if path.stat().st_mode & stat.S_IROTH else [path]
    return tuple(dict.fromkeys(found))


def _elsewhere(folders: Iterable[Path], subject: Subject) -> tuple[Path, ...]:
    """Return the folders beside ours that hold the very certificate: a spelling that somebody mistook."""
    ours = list(folders)
    found = []
    for above in dict.fromkeys(folder.parent for folder in ours):
        for folder in _listed(above):
            with contextlib.suppress(OSError):
                if folder not in ours and any(it.read_bytes() == subject.content for it in folder.glob("*.crt")):
                    found.append(folder)
    return tuple(found)


def _advice() -> tuple[containerd.Advice, ...]:
    if not shutil.which(containerd.ASK[0]):
        return ()
    try:
        done = run.look(containerd.ASK, timeout=5)
        return containerd.advice(done.out) if done.ok else ()
    except RegistryError:
        return ()


def _since() -> float:
    """Return when the engine on this machine was started."""
    import psutil

    for process in psutil.process_iter(["name", "create_time"]):
        if process.info["name"] == "dockerd":
            return float(process.info["create_time"])
    return 0.0


def _bundle() -> float:
    """Return when the system's own bundle of authorities changed."""
    for name in _BUNDLES:
        with contextlib.suppress(OSError):
            return Path(name).stat().st_mtime
    return 0.0
