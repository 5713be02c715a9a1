"""How things stand in every store of this machine, client by client: what `trust.list` and `status` show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import anchor, here, look
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.here import Choice
    from trusted_registry.trust.local.look import Item
    from trusted_registry.trust.row import Store


@dataclass(frozen=True)
class Place:
    """A store, a spelling of the registry's name, and what the one says of the other."""

    store: Store
    spelling: str
    said: str
    where: str


def overview(settings: Settings, engine: Engine, choice: Choice, *, dry: bool = False) -> list[Place]:
    """Return every store that is found here with every spelling, in the table's order.

    Raises:
        RegistryError: There is no certificate to trust.
    """
    spellings = anchor.subject(settings, dry=dry, required=True).spellings
    unverified = here.unverified(settings, engine)
    engines_own = here.engine_store(engine)
    found = []
    for store in here.chosen(engine, choice):
        try:
            items = here.items(settings, [store], dry=dry)
        except RegistryError as error:  # what is in one store's way says nothing about the others
            said = "not known" if isinstance(error, look.NoRoot) else "unsound"
            found += [Place(store, spelling, f"{said}: {error.message}", "") for spelling in spellings]
            continue
        states = look.by_spelling(items, spellings)
        for spelling in spellings:
            state = states.get((store.key, spelling), State.ABSENT)
            said = _said(store, items, state)
            if spelling in unverified and store.key == engines_own:
                said += ", not verified (insecure-registries)"
            found.append(Place(store, spelling, said, _where(items, spelling)))
    return found


def _said(store: Store, items: list[Item], state: State) -> str:
    if state is State.TRUSTED and store.restart and _newer([item.path for item in items], store.restart.process):
        return "needs a restart"
    return state.value


def _newer(paths: list[Path], process: str) -> bool:
    """Whether a file changed after the program that reads it at its start was started."""
    import psutil

    if not process:
        return False
    changed = max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
    # psutil counts from a boot time in whole seconds (proc(5), btime); a program may be started sooner than that.
    late = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - psutil.boot_time()
    running = psutil.process_iter(["name", "create_time"])
    return any(it.info["name"] == process and it.info["create_time"] + late < changed for it in running)


def _where(items: list[Item], spelling: str) -> str:
    mine = [item for item in items if item.spelling in ("", spelling) and str(item.path) != "."]
    return ", ".join(dict.fromkeys(str(item.path) for item in mine)) or "the program's own"
