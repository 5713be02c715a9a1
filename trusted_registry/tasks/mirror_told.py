"""Explanation of messages about upstreams that have a mirror here: the mirror is asked."""

from __future__ import annotations

from trusted_registry.client_messages import mirrored
from trusted_registry.client_messages.catalogue import Match
from trusted_registry.client_messages.mirrored import Mirrored
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.mirror import pull, reach, serving
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.tasks import mirror


def explained(found: list[Match], run: Run) -> list[Match]:
    """Return messages with the causes that the mirrors here tell; the others as they are."""
    if run.console.dry:
        return found
    mirrors = {it.name: mirror.host_of(it, run) for it in serving.noted(run, used=True)}
    named = {it: name for it in found if (name := mirrored.upstream_of(it, mirrors))}
    if not named:
        return found
    engine = engines.connect_if_available(run.console, quiet=True)
    met = {name: _met(Upstream(name), mirrors[name], run, engine) for name in set(named.values())}
    return [mirrored.told(it, met[named[it]]) if it in named else it for it in found]


def _met(upstream: Upstream, at: str, run: Run, engine: Engine) -> Mirrored:
    name = serving.of(upstream, run).settings.container
    try:
        found = reach.find(upstream, pull.client(serving.endpoint(upstream, run), run.settings), name, engine)
    except (RegistryError, *probe.NO_ANSWER):
        return Mirrored(upstream.name, at, runs=False)
    return Mirrored(upstream.name, at, away="" if found.is_up else found.words, cure=found.cure)
