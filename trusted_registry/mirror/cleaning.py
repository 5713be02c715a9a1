"""Cleaning of a mirror: repositories go that nobody pulled from for long, and the disk is freed.

A mirror frees nothing by itself, and takes no deletion. So the mirror stops for a moment, in which its clients ask the
upstream, and the collector works on its volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images import words
from trusted_registry.images.history import History
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import ROOT, Repository
from trusted_registry.images.retention import DAY
from trusted_registry.instance import mirror_role
from trusted_registry.instance.model import FILES_FOLDER, LOOPBACK, SHELL, Image, Instance, Published
from trusted_registry.mirror import holdings, serving
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.run import Run

CONFIG = f"{FILES_FOLDER}/{mirror_role.HELD_CONFIG}"
"""Configuration by which the collector works: that of a registry without an upstream."""

_REMOVE = """cd "$1/repositories" && shift || exit
for name do
    rm -rf -- "$name/_manifests" "$name/_layers" "$name/_uploads" || exit
    while rmdir -- "$name" 2>/dev/null; do case $name in */*) name=${name%/*} ;; *) break ;; esac; done
done
echo removed"""
"""Manifests go first: without its links nothing tells of an image. One repository may lie in the folder of another."""

_COLLECTED = "collected"
_COLLECT = f"""while sleep 20 </dev/null >/dev/null 2>&1; do echo >&2; done >/dev/null &
"$@" >/dev/null && echo {_COLLECTED}
kill "$!\""""
"""A line on standard error now and then says that it still works."""

_UNKNOWN = "pulls are known only since"


@dataclass(frozen=True)
class Plan:
    """Repositories that go, each with the time of its last pull; why others stay; and the bytes that are freed.

    The bytes are those too that a run left which was killed.
    """

    goes: dict[str, float] = field(default_factory=dict)
    stays: dict[str, str] = field(default_factory=dict)
    frees: int = 0

    @property
    def is_due(self) -> bool:
        """Whether there is something to do."""
        return bool(self.goes or self.frees)


def plan(found: Inventory, known: History, days: int, now: float) -> Plan:
    """Return the plan by which repositories go that nobody pulled from for so many days.

    Args:
        found: All that the mirror holds, with the times of its links.
        known: Pulls, as far as they are known: a pull that may have been counts as one.
        days: The days.
        now: Seconds since the epoch.
    """
    limit = now - days * DAY
    goes: dict[str, float] = {}
    stays: dict[str, str] = {}
    for name, it in found.listing.repositories.items():
        pulled = max((pulls.last for pulls in known.pulls.get(name, {}).values()), default=0.0)
        last = max(pulled, _fetched(it))
        if last > limit:
            stays[name] = f"pulled in the last {words.plural(days, 'day')}"
        elif days and not 0 < known.since <= limit:
            stays[name] = f"{_UNKNOWN} {words.when(known.since) or 'now'}"
        else:
            goes[name] = last
    return Plan(goes, stays, _freed(goes, found))


def idle(made: Plan, days: int) -> str:
    """Return why nothing is to be removed, by a plan of so many days."""
    if not made.stays:
        return "holds nothing"
    doubts = sorted(why for why in set(made.stays.values()) if why.startswith(_UNKNOWN))
    return f"nothing was removed: {doubts[0]}" if doubts else f"nothing was unused for {words.plural(days, 'day')}"


def _fetched(repository: Repository) -> float:
    """Return the time at which content came into a repository last, at a client's request."""
    entries = (*repository.tags.values(), *repository.revisions.values(), *repository.layers.values())
    return max((float(it.changed) for it in entries), default=0.0)


def _freed(goes: Iterable[str], found: Inventory) -> int:
    """Return the bytes of all that no repository which stays has."""
    names = set(goes)
    needed = {digest for name, digests in holdings.held(found).items() if name not in names for digest in digests}
    return sum(found.listing.disk(it) for it in found.listing.blobs if it not in needed)


def carry_out(upstream: Upstream, goes: Iterable[str], run: Run, engine: Engine, image: Image) -> None:
    """Stop a mirror, remove repositories, free the disk, and start the mirror again, whatever happened.

    Args:
        upstream: The upstream.
        goes: The repositories.
        run: Settings, and the console.
        engine: The engine that runs the mirror.
        image: The image that the mirror runs.

    Raises:
        RegistryError: Something could not be removed, or the mirror does not come back.
    """
    instance = serving.instance_of(upstream, run, engine, image)
    own = serving.of(upstream, run)
    serving.stop(upstream, run, engine)
    try:
        engine.run(_cleaner(instance))
        if not run.console.dry:
            _remove(list(goes), own.settings.container, engine)
            _collect(own.settings.container, engine)
    finally:
        engine.remove(own.settings.container, at_once=True)
        serving.up(upstream, run, engine, image)


def _cleaner(instance: Instance) -> Instance:
    """Return a container in a mirror's place that serves nothing; one that a killed run leaves is replaced by `up`."""
    return replace(
        instance,
        command=("-c", 'trap "exit 0" TERM; sleep 86400 & wait'),
        published=Published(LOOPBACK, 0),
        restart="no",
        files_of=instance.files_volume,
    )


def _remove(names: list[str], container: str, engine: Engine) -> None:
    if not names:
        return
    said = engine.execute(container, [SHELL, "-c", _REMOVE, "sh", ROOT, *names])
    if said.code or "removed" not in said.out:
        wrong = f"Not all could be removed: {said.out.strip()[:200]}"
        raise RegistryError(wrong, cure="./inv mirror.clean goes on where this ended.")


def _collect(container: str, engine: Engine) -> None:
    """Free the blobs that no manifest needs. Not with -m: that takes the images of an index for untagged ones."""
    argv = ["registry", "garbage-collect", CONFIG]
    errors = bytearray()
    said = list(types.split_lines(engine.stream(container, [SHELL, "-c", _COLLECT, "sh", *argv], errors)))
    if said[-1:] != [_COLLECTED]:
        wrong = [it for it in errors.decode(errors="replace").splitlines() if it] or ["nothing was said"]
        raise RegistryError(f"The garbage collector failed: {wrong[-1][:300]}", cure="./inv mirror.list")
