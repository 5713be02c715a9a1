"""Collects the facts about trust: each client's store, the files beside, and registry hosts that are not verified."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from trusted_registry import program
from trusted_registry.doctor.facts import Facts, StoreState, or_none
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import daemon, install, ledger, outdated, trust_anchor, unverified
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import MACHINE, Store, TrustAnchor
from trusted_registry.trust.specifics import containerd

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def gather(facts: Facts, engine: Engine, client: str) -> Facts:
    """Return the facts with those about trust added.

    Without a trust anchor, only the facts that need none are added.
    """
    facts = replace(
        facts,
        unverified=tuple(or_none(lambda: unverified.find(facts.settings, engine)) or ()),
        engine_since=engine_start(engine) if engine.available else 0.0,
        bundle_since=_bundle_time(),
        systemd=Path("/run/systemd/system").is_dir(),
    )
    try:
        anchor = _anchor(facts)
        rows = install.select_stores(engine, StoreSelection(only=(client,) if client else ()))
    except RegistryError:
        return facts
    entries, machine = ledger.read(ledger.path()), machines.current()
    found = tuple(store_state(store, anchor, entries, machine) for store in rows)
    system = [it for it in client_stores.STORES if it.name == "system" and machines.has_signs(it.signs, machine)]
    items = [item for store in system for item in store_state(store, anchor, entries, machine).items]
    # Kubernetes alone reads certs.d through what config.toml says: nerdctl and ctr are told where it is.
    kubernetes = any(machines.find_program(name, machine) for name in ("crictl", "kubelet"))
    advice = _advice() if kubernetes and any(store.key == "containerd" for store in rows) else ()
    vouched = any(item.state is State.TRUSTED for item in items)
    # Beside another registry's authority, this installation's own is no earlier one.
    earlier = () if _is_a_client_s(facts) else or_none(lambda: outdated.find(facts.settings, anchor)) or ()
    return replace(facts, store_states=found, containerd=advice, vouched=vouched, outdated=tuple(earlier))


def _anchor(facts: Facts) -> TrustAnchor:
    """Return the certificate to judge the stores by: the folder's or, for another machine's registry, a client's."""
    if facts.anchor and _is_a_client_s(facts):
        return trust_anchor.of(facts.anchor, facts.settings)
    return trust_anchor.load(facts.settings, dry=True, required=True)


def _is_a_client_s(facts: Facts) -> bool:
    """Return whether the stores are judged by a certificate that a client holds for another machine's registry."""
    return facts.remote and facts.anchor is not None and not facts.keeps_anchor


def store_state(store: Store, anchor: TrustAnchor, entries: Sequence[ledger.Entry], machine: Machine) -> StoreState:
    """Return a store's contents for the registry, and the files beside."""
    files = [file for file in store.files(anchor) if file.registry_host]
    folders = dict.fromkeys(machine.path(file.path).parent for file in files)
    beside = tuple(path for folder in folders for path in _list_files(folder))
    ours = frozenset(entry.path for entry in entries)
    others = [path for path in beside if path.suffix == ".crt"]
    closed = _unreadable([*(machine.path(it.path) for it in files), *others]) if store.scope == MACHINE else ()
    try:
        items = tuple(states.find([store], anchor, machine, entries))
    except RegistryError as error:
        return StoreState(store, problem=error, files=beside, unreadable=closed, ours=ours)
    return StoreState(store, items, None, beside, closed, ours, _other_files(folders, anchor))


def _list_files(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _unreadable(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return certificate files and folders that not everybody may read."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            wanted = stat.S_IROTH | stat.S_IXOTH
            found += [path.parent] if path.parent.stat().st_mode & wanted != wanted else []
            found += [] if path.stat().st_mode & stat.S_IROTH else [path]
    return tuple(dict.fromkeys(found))


def _other_files(folders: Iterable[Path], anchor: TrustAnchor) -> tuple[Path, ...]:
    """Return folders of a misspelt registry host with the same certificate."""
    ours = list(folders)
    found = []
    for above in dict.fromkeys(folder.parent for folder in ours):
        for folder in _list_files(above):
            with contextlib.suppress(OSError):
                if folder not in ours and any(anchor.is_in(it.read_bytes()) for it in folder.glob("*.crt")):
                    found.append(folder)
    return tuple(found)


def _advice() -> tuple[containerd.Advice, ...]:
    result = or_none(lambda: program.capture(containerd.ASK, timeout=5))
    text = states.text_or_none(Path(containerd.CONFIG))
    return (or_none(lambda: containerd.advice(result.out, text)) or ()) if result and result.ok else ()


def engine_start(engine: Engine) -> float:
    """Return the start of the engine that answers, in seconds since the epoch; 0 if unknown."""
    import psutil

    with contextlib.suppress(RegistryError, psutil.Error):
        return float(psutil.Process(daemon.process_of(engine)).create_time())
    return 0.0


def _bundle_time() -> float:
    """Return the system bundle's mtime, seconds since the epoch; 0 if absent."""
    for name in _BUNDLES:
        with contextlib.suppress(OSError):
            return Path(name).stat().st_mtime
    return 0.0
