"""Holdings of mirrors: listed, and cleaned by the last pull."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from trusted_registry import values
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import AnswerError, RegistryError, SettingError
from trusted_registry.images import history, inventory, pulling, usage, words
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance import ownership, run_lock
from trusted_registry.instance.model import Image
from trusted_registry.mirror import cleaning, holdings, pull, reach, serving
from trusted_registry.mirror.cleaning import Plan
from trusted_registry.mirror.holdings import Holdings
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import probe
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import mirror
from trusted_registry.tasks.images_apply import named

_COLUMNS = ("Upstream", "Mirror", "State", "Images", "Size", "Hits", "Misses", "Oldest", "Newest", "The upstream")
_MAX_DAYS = 36500
_COUNTED = (
    "Hits and misses are layers, configurations and manifests by digest that clients got since the mirror was started "
    "last; a tag is asked of the upstream each time."
)


def show(run: Run) -> Report:
    """Report the mirrors: their holdings, and whether their upstreams answer."""
    engine = engines.connect_if_available(run.console)
    known = serving.noted(run)
    found = [] if run.console.dry else [_content(it, run, engine) for it in known]
    table = Table("Mirrors", _COLUMNS, [_row(it) for it in found]) if found else None
    none = () if known else ("There are none: ./inv mirror.up docker.io",)
    return Report(found, table, (_COUNTED,) if found else none)


def _content(upstream: Upstream, run: Run, engine: Engine) -> dict[str, Any]:
    """Return a mirror as JSON has it."""
    own = serving.of(upstream, run)
    container = engine.find(own.settings.container)
    state = container.state if container else "stopped" if engine.available else "not known"
    seen = _seen(upstream, own, container, run, engine)
    return {"upstream": upstream.name, "mirror": mirror.host_of(upstream, run), "state": state, **as_dict(*seen)}


def as_dict(held: Holdings | None, met: reach.Reach | None, error: str) -> dict[str, Any]:
    """Return the holdings of a mirror and the answer of its upstream as JSON has them; null for what is not known."""
    return {
        "images": held.images if held else None,
        "bytes": held.bytes if held else None,
        "hits": held.cache_use.hits if held else None,
        "misses": held.cache_use.misses if held else None,
        "since": words.iso(held.cache_use.since) if held else None,
        "oldest": words.iso(held.oldest) if held else None,
        "newest": words.iso(held.newest) if held else None,
        "reach": str(met.state) if met else None,
        "reason": (met.words if met else error) or None,
    }


def _seen(
    upstream: Upstream, own: Run, container: Container | None, run: Run, engine: Engine
) -> tuple[Holdings | None, reach.Reach | None, str]:
    """Return the holdings of a mirror and the answer of its upstream, as far as it runs, and why there is none."""
    if container is None or container.state != "running":
        return None, None, ""
    held = met = None
    try:
        held = holdings.find(own.settings.container, engine)
        met = reach.find(
            upstream, pull.client(serving.endpoint(upstream, run), run.settings), own.settings.container, engine
        )
    except RegistryError as error:
        return held, None, error.message
    except probe.NO_ANSWER as error:
        return held, None, f"the mirror does not answer: {error}"
    return held, met, ""


def _row(content: dict[str, Any]) -> tuple[str, ...]:
    texts = ["" if content[key] is None else str(content[key]) for key in ("upstream", "mirror", "state", "images")]
    size = "" if content["bytes"] is None else words.size(content["bytes"])
    counts = ["" if content[key] is None else f"{content[key]:,}" for key in ("hits", "misses")]
    times = [words.minute(content[key]) for key in ("oldest", "newest")]
    return (*texts, size, *counts, *times, content["reason"] or "")


def clean(run: Run, *, older: str, upstreams: Sequence[str]) -> None:
    """Remove what nobody pulled through mirrors for long, free the disk, and prove that the rest is given.

    Raises:
        RegistryError: Nobody consented, there is no such mirror, it does not run, or what stays is not given.
        SettingError: The days are none.
    """
    if not older:
        raise SettingError("Nothing says what is to go.", cure="./inv mirror.clean --older 30")
    days = values.whole_number("--older", older, 0, _MAX_DAYS)
    engine = engines.connect(run.console)
    if run.console.dry:
        for named_ in upstreams or [it.name for it in serving.noted(run)] or ["docker.io"]:
            name = serving.of(Upstream(named_), run).settings.container
            run.console.command(["docker", "exec", name, "registry", "garbage-collect", cleaning.CONFIG])
        return
    chosen = mirror.known(upstreams, run)
    left = [] if upstreams else [it for it in chosen if not _runs(it, run, engine)]
    for it in left:
        run.console.warn(f"{it.name} was left out, since its mirror does not run; to start it: {_start(it)}")
    for it in chosen:
        if it not in left:
            _clean(it, days, run, engine)


def _runs(upstream: Upstream, run: Run, engine: Engine) -> bool:
    container = ownership.container(serving.of(upstream, run), engine)
    return container is not None and container.state == "running"


def _start(upstream: Upstream) -> str:
    return serving.command([upstream.name])


def _clean(upstream: Upstream, days: int, run: Run, engine: Engine) -> None:
    own = serving.of(upstream, run)
    with run_lock.held(run):
        container = ownership.container(own, engine)
        if container is None or container.state != "running":
            raise RegistryError(f"The mirror of {upstream.name} does not run.", cure=_start(upstream))
        before, plan = _planned(own, container, days, engine)
        if not plan.is_due:
            run.console.say(f"{upstream.name}: {cleaning.idle(plan, days)}")
            return
        _show(upstream, plan, run)
        if not run.console.ask(f"Remove it, {words.size(plan.frees)}? The mirror stops meanwhile."):
            raise RegistryError("Nothing was removed.", cure="./inv mirror.list")
        before, plan = _planned(own, container, days, engine)  # somebody may have pulled meanwhile
        cleaning.carry_out(upstream, plan.goes, run, engine, Image(container.image, container.image_id))
        _prove(upstream, plan, before, run, engine)


def _planned(own: Run, container: Container, days: int, engine: Engine) -> tuple[Inventory, Plan]:
    found = inventory.find(VolumeStorage(own.settings.container, engine), sizes=True)
    known = history.updated(container, own, engine, found.listing)
    return found, cleaning.plan(found, known, days, time.time())


def _show(upstream: Upstream, plan: Plan, run: Run) -> None:
    goes = [f"{upstream.name}/{name}" for name in sorted(plan.goes)]
    run.console.say(f"goes: {named(goes)}") if goes else None
    for why in sorted(set(plan.stays.values())):
        count = sum(1 for it in plan.stays.values() if it == why)
        run.console.say(f"stays: {words.plural(count, 'repository', 'repositories')}: {why}")
    run.console.say(f"frees: {words.size(plan.frees)}")


def _prove(upstream: Upstream, plan: Plan, before: Inventory, run: Run, engine: Engine) -> None:
    """Ask the mirror for all that stays, by digest: it gives that without its upstream.

    Raises:
        RegistryError: It does not give a part.
    """
    name = serving.of(upstream, run).settings.container
    found = inventory.find(VolumeStorage(name, engine))
    freed = max(usage.total(before.listing) - usage.total(found.listing), 0)
    run.console.say(f"freed: {words.size(freed)}")
    parts = [(at, it) for at, every in holdings.held(before).items() if at not in plan.goes for it in every]
    client = pull.client(serving.endpoint(upstream, run), run.settings)
    try:
        with run.console.progress("Asking the mirror", "parts") as progress:
            wrong = pulling.refused_parts(parts, before, client, progress)
    except probe.NO_ANSWER as error:
        raise AnswerError(f"The mirror does not answer: {error}", cure=_start(upstream)) from error
    if wrong:
        (at, part), why = next(iter(wrong.items()))
        refused = f"{words.plural(len(wrong), 'part')} of what stays cannot be pulled: {at} {part}: {why}"
        raise RegistryError(refused, cure="./inv mirror.list; the upstream gives it again once it answers")
    run.console.say(f"proof: the mirror gives all {words.plural(len(parts), 'part')} of what stays")
