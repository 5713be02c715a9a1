"""Mirrors beside the registry: renewed, started, stopped and purged with it."""

from __future__ import annotations

from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.mirror import serving
from trusted_registry.mirror import status as mirrors
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.run import Run
from trusted_registry.tasks import mirror, registry


def renew(run: Run) -> None:
    """Have the mirrors that run show the certificate on disk, and prove that they do.

    Raises:
        RegistryError: One does not come back with that certificate.
    """
    if not serving.noted(run, used=True):
        return
    try:
        engine = engines.connect(run.console)
    except RegistryError:
        run.console.warn("No Docker Engine answers, so mirrors that it may run were not restarted.")
        return
    started, errors = serving.refresh(run, engine)
    for it in [] if run.console.dry else started:
        run.console.say(f"mirror: {it.name} by {mirror.host_of(it, run)} serves it")
    for error in errors[1:]:
        run.console.warn(f"{error.message} {error.cure}")
    if errors:
        raise errors[0]


def start(run: Run, engine: Engine) -> bool:
    """Have every mirror run that clients use, and name it; one that does not start is told, and keeps nothing up.

    Returns:
        True if one was started.
    """
    started, errors = serving.refresh(run, engine, anew=True)
    for error in errors:
        run.console.warn(f"{error.message} {error.cure}")
    if run.console.dry:
        return False
    for it in mirrors.find(run.settings, engine):
        if it.used and it.state == "running":
            state = "running" if Upstream(it.upstream) in started else "already running"
            run.console.say(f"mirror: {it.upstream} by {it.mirror}, {state}")
    return bool(started)


def stop(run: Run, engine: Engine) -> None:
    """Stop the mirrors with the registry: clients find their ports closed, and ask the upstreams at once."""
    for it in serving.noted(run):
        if serving.stop(it, run, engine) and not run.console.dry:
            run.console.say(f"mirror: {it.name} is stopped too; clients ask the upstream until ./inv up")
            registry.say_prune(serving.of(it, run), engine)


def purge(run: Run, engine: Engine) -> None:
    """Remove the mirrors with all that they hold, once no client here uses them."""
    for it in serving.noted(run):
        serving.down(it, run, engine, purge=True)
        serving.forget(it, run)
