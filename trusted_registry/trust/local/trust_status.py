"""Trust status of every store of this machine, client by client, for `trust.list` and `status`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from trusted_registry import files
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import EngineInfo
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.settings import Settings
from trusted_registry.trust.local import daemon_lists, install, trust_anchor, unverified
from trusted_registry.trust.local import state as store_state
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.model import File, ManagedBlock, Mirror, Store, TrustAnchor
from trusted_registry.trust.specifics import engine_mirrors
from trusted_registry.trust.specifics.daemon_json import MIRRORS


@dataclass(frozen=True)
class TrustStatus:
    """State of one registry host in one store; of a mirror, with its upstream."""

    store: Store
    registry_host: str
    state: str
    paths: str
    upstream: str = ""

    @property
    def name(self) -> str:
        """Registry host for people; of a mirror, the upstream too."""
        return f"{self.upstream} by {self.registry_host}" if self.upstream else self.registry_host


def find(settings: Settings, engine: Engine, selection: StoreSelection, *, dry: bool = False) -> list[TrustStatus]:
    """Return the state of each registry host and mirror in each store, in table order.

    Raises:
        RegistryError: There is no certificate to trust.
    """
    anchor = trust_anchor.load(settings, dry=dry, required=True)
    registry_hosts = anchor.registry_hosts
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
        parts = {it: _of_mirror(it, store, anchor, items) for it in anchor.mirrors}
        items = [it for it in items if not any(it in part for part in parts.values())]
        states = store_state.by_registry_host(items, registry_hosts)
        for registry_host in registry_hosts:
            state = states.get((store.key, registry_host), State.ABSENT)
            text = _state_text(store, [it for it in items if it.registry_host in ("", registry_host)], state)
            if registry_host in skipped and store.key == engines_own:
                loopback = skipped[registry_host].is_loopback
                text += f", not verified ({'loopback' if loopback else 'insecure-registries'})"
            found.append(TrustStatus(store, registry_host, text, _paths(items, registry_host)))
        info = engine.info() if store.key == engines_own else None
        found += [_mirror_status(store, it, part, info) for it, part in parts.items() if part]
    return found


def _of_mirror(mirror: Mirror, store: Store, anchor: TrustAnchor, items: list[Item]) -> list[Item]:
    """Return the items that a store has for a mirror, and would not have without."""
    others = replace(anchor, mirrors=tuple(it for it in anchor.mirrors if it != mirror))
    left: list[File | ManagedBlock] = [*store.files(others), *store.blocks(others)]
    said: list[File | ManagedBlock] = [*store.files(anchor), *store.blocks(anchor)]
    its = {(it.path.rpartition("/")[2], it.registry_host) for it in said if it not in left}
    of_files = [it for it in items if isinstance(it.what, File | ManagedBlock)]
    return [it for it in of_files if (it.path.name, it.registry_host) in its]


def _mirror_status(store: Store, mirror: Mirror, items: list[Item], info: EngineInfo | None) -> TrustStatus:
    """Return a mirror's state in a store; `info` is that of the engine whose store it is."""
    worst = max((it.state for it in items), key=list(State).index)
    text = _state_text(store, items, worst)
    if worst is State.TRUSTED and info and not engine_mirrors.is_asked(info, mirror.upstream):
        text += f", but pulled only as {mirror.registry_host}/…"
    elif worst is State.TRUSTED and not daemon_lists.is_told(mirror, store, info):
        text = f"{State.ABSENT.value}: not in the engine's {MIRRORS.key}"
    paths = ", ".join(dict.fromkeys(str(it.path) for it in items))
    return TrustStatus(store, mirror.registry_host, text, paths, mirror.upstream)


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
