"""Trust status of every store of this machine, client by client, for `trust.list` and `status`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import files
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.settings import Settings
from trusted_registry.trust.local import install, trust_anchor, unverified
from trusted_registry.trust.local import state as store_state
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.model import Store


@dataclass(frozen=True)
class TrustStatus:
    """State of one registry host in one store."""

    store: Store
    registry_host: str
    state: str
    paths: str


def find(settings: Settings, engine: Engine, selection: StoreSelection, *, dry: bool = False) -> list[TrustStatus]:
    """Return the state of each registry host in each store, in table order.

    Raises:
        RegistryError: There is no certificate to trust.
    """
    registry_hosts = trust_anchor.load(settings, dry=dry, required=True).registry_hosts
    skipped = {it.registry_host: it for it in unverified.find(settings, engine)}
    engines_own = install.engine_store(engine)
    found = []
    for store in install.select_stores(engine, selection):
        try:
            items = install.find_items(settings, [store], dry=dry)
        except RegistryError as error:  # a conflict in one store says nothing about the others
            text = "not known" if isinstance(error, NeedsRootError) else "unsound"
            found += [TrustStatus(store, it, f"{text}: {error.message}", "") for it in registry_hosts]
            continue
        states = store_state.by_registry_host(items, registry_hosts)
        for registry_host in registry_hosts:
            state = states.get((store.key, registry_host), State.ABSENT)
            text = _state_text(store, [it for it in items if it.registry_host in ("", registry_host)], state)
            if registry_host in skipped and store.key == engines_own:
                loopback = skipped[registry_host].is_loopback
                text += f", not verified ({'loopback' if loopback else 'insecure-registries'})"
            found.append(TrustStatus(store, registry_host, text, _paths(items, registry_host)))
    return found


def explained(state: str) -> str:
    """Return a state for people, with the meaning of the two words that nobody guesses."""
    word = state.partition(",")[0].partition(":")[0]
    return f"{state} ({_MEANINGS[word]})" if word in _MEANINGS else state


_MEANINGS = {
    State.STALE.value: "an older certificate is there",
    State.SHADOWED.value: "the client reads another folder",
}


def _state_text(store: Store, items: list[Item], state: State) -> str:
    if state is State.TRUSTED and store.restart and _changed_since_start(items, store.restart.process):
        return "needs a restart"
    others = state is State.TRUSTED and any(item.by_others for item in items)
    return f"{state.value}, by somebody else's file" if others else state.value


def _changed_since_start(items: list[Item], process: str) -> bool:
    """Return whether a file changed after its reader was started.

    The readers are the processes of that name that are the files' owner's, and in no container, which has files of its
    own; without a name, False.
    """
    import psutil

    if not process:
        return False
    found = [item.path.stat() for item in items if files.exists(item.path)]
    owners, changed = {it.st_uid for it in found}, max((it.st_mtime for it in found), default=0.0)
    # psutil counts from a boot time in whole seconds (proc(5), btime); a program may be started sooner than that.
    late = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - psutil.boot_time()
    running = (it for it in psutil.process_iter(["name", "create_time", "uids"]) if it.info["name"] == process)
    readers = [it for it in running if it.info["uids"] and it.info["uids"].effective in owners]
    return any(it.info["create_time"] + late < changed and not _is_contained(it.pid) for it in readers)


def _is_contained(pid: int) -> bool:
    """Return whether a process has process numbers of its own, as those of a container have (proc(5), NSpid)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it ended, or this is no Linux
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1


def _paths(items: list[Item], registry_host: str) -> str:
    mine = [item for item in items if item.registry_host in ("", registry_host) and str(item.path) != "."]
    return ", ".join(dict.fromkeys(str(item.path) for item in mine)) or "the program's own"
