"""Images of a registry on a swarm: read in the bucket, asked for at a host, and freed while no host takes a push."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import history
from trusted_registry.instance import collection, contents, mover
from trusted_registry.instance.model import LOOPBACK, Published, Role, mover_name
from trusted_registry.instance.roles import CONFIG
from trusted_registry.registry import probe, prove
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run
from trusted_registry.saved_flags import STORAGE_CA
from trusted_registry.swarm import noted, rollout, stack
from trusted_registry.swarm.model import SwarmNode
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import REGISTRY_PORT, Stack
from trusted_registry.tasks import swarm_plan

DRAIN = stack.DRAIN_SECONDS
"""Seconds after which a transfer is cut that was under way when a host's registry was replaced."""
_TAKES_OVER = 30.0
"""Seconds in which a registry that a host runs answers by its new configuration."""
_PAUSE = 0.5


def there(run: Run) -> Container | None:
    """Return the registry of the hosts, as tasks about images know one by its storage; None where there is no swarm."""
    note = noted.read(run.settings.folder)
    if not note.hosts:
        return None
    swarm_plan.check_storage(run.settings, note)
    return Container("", Role.TLS, None, "running", run.settings.image, "", None, bucket=run.settings.storage)


def client(run: Run) -> RegistryClient:
    """Return a client of a host's registry that answers.

    Raises:
        RegistryError: None answers.
    """
    hosts = noted.read(run.settings.folder).hosts
    for found in _clients(hosts, run):
        with contextlib.suppress(*probe.NO_ANSWER):
            found.ping()
            return found
    raise RegistryError(f"No registry answers: {', '.join(hosts)}.", cure="./inv swarm.status")


def _clients(hosts: Sequence[str], run: Run) -> list[RegistryClient]:
    return [rollout.client(it, REGISTRY_PORT, run) for it in hosts]


def has_stayed_read_only(_container: Container, run: Run, _engine: Engine) -> bool:
    """Whether a run that was killed left a host's registry refusing pushes."""
    return any(map(_refuses, _clients(noted.read(run.settings.folder).hosts, run)))


def _refuses(found: RegistryClient) -> bool:
    with contextlib.suppress(*probe.NO_ANSWER):
        return found.is_read_only(prove.REPOSITORY)
    return False


def check(_container: Container, run: Run, _engine: Engine) -> None:
    """Insist on every host: one that the swarm does not see may serve, and take pushes, all the same.

    Raises:
        RegistryError: One is away.
    """
    _check_all([it.address for it in _nodes(run, swarm_plan.connect(run))], run)


def _check_all(there: Collection[str], run: Run) -> None:
    if away := [it for it in noted.read(run.settings.folder).hosts if it not in there]:
        wrong = f"{', '.join(away)} is away, so nobody knows whether a push is taken there, and nothing can be freed."
        raise RegistryError(
            wrong, cure="Start it; or switch it off, name the others alone, and try again: ./inv swarm.up --hosts A,B"
        )


def _nodes(run: Run, swarm: Swarm) -> list[SwarmNode]:
    members = noted.read(run.settings.folder).members(rollout.patiently(run.console, swarm.nodes))
    return [it for it in members.values() if it and it.works]


@contextlib.contextmanager
def read_only(container: Container, _client: RegistryClient, run: Run, engine: Engine) -> Iterator[None]:
    """Have every host's registry refuse pushes, and a collector wait for `collect`, until the context ends.

    Both are a rollout. What was under way at a registry has ended with that before the next one is replaced.

    Raises:
        RegistryError: A host is away, or does not refuse; pushes are taken again in any case.
    """
    swarm = swarm_plan.connect(run)
    wanted = swarm_plan.plan(run, noted.read(run.settings.folder), swarm, engine, rollout.images(run, swarm))
    try:
        check(container, run, engine)
        held = _refusing(wanted, run, swarm)
        _roll(held, run, swarm, engine, refuses=True)
        _run_collector(held, run, engine)
        yield
    finally:
        _roll(wanted, run, swarm, engine, refuses=False)
        rollout.sweep(wanted, run, swarm)


def collect(container: Container, run: Run, engine: Engine) -> None:
    """Free the blobs that no manifest in the bucket needs, while every registry refuses pushes.

    Raises:
        RegistryError: The collector fails.
    """
    name = mover_name(run.settings.container)
    made = engine.find(name)
    if made is None:
        raise RegistryError("The collector was taken away.", cure="The same command again.")
    program = engine.entrypoint(made.image_id, shell=True)  # noqa: S604 - whether the image has one
    collection.collect(container, run, engine, name, program)


def forget_pulls(run: Run, engine: Engine) -> None:
    """Have the pulls that are known be taken for some of them from now on: nobody counts those at several hosts."""
    if found := there(run):
        with contextlib.suppress(RegistryError):  # the next look does the same
            history.updated(found, run, engine)


def end_collector(run: Run, engine: Engine) -> None:
    """End the collector, that of a run that was killed too: none may sweep while pushes are taken."""
    if not run.console.dry:
        mover.sweep(run, engine)
        contents.sweep(run, engine)


def _refusing(wanted: Stack, run: Run, swarm: Swarm) -> Stack:
    """Return a stack whose registries refuse pushes, with a number of its own for their configuration."""
    read = [
        it.file.with_content(collection.refusing_pushes(it.file.content)) if it.key == CONFIG else it.file
        for it in wanted.files
    ]
    held = rollout.patiently(run.console, swarm.held)
    services = [it.service for it in wanted.files]
    return replace(wanted, files=stack.number(zip(services, read, strict=True), held, wanted.installation))


def _roll(wanted: Stack, run: Run, swarm: Swarm, engine: Engine, *, refuses: bool) -> None:
    """Have every host that is there run a stack, and refuse pushes or take them, with no collector at work."""
    end_collector(run, engine)
    _, served = rollout.carry_out(wanted, _nodes(run, swarm), run, swarm)
    if refuses:  # a host that was lost meanwhile may serve on, as it did
        _check_all(served, run)
    for found in _clients(served, run):
        end = time.monotonic() + _TAKES_OVER
        while _refuses(found) is not refuses:
            if time.monotonic() > end:
                does = "takes pushes still" if refuses else "refuses pushes still"
                raise RegistryError(f"{found.at} {does}.", cure="./inv swarm.status")
            time.sleep(_PAUSE)


def _run_collector(held: Stack, run: Run, engine: Engine) -> None:
    """Run a container that waits, with what the registries read: their collector is a program of the same image."""
    one = held.registry
    if not one.shell:
        raise RegistryError("The registry's image has no shell, by which it is told.", cure="Use registry:2 or 3.")
    made = replace(
        one,
        files=tuple(it.file for it in held.files if it.key in {CONFIG, STORAGE_CA}),  # and no key of the server
        installation=held.installation,
    )
    waits = replace(
        made,
        role=Role.MOVER,
        name=mover_name(run.settings.container),
        command=("-c", mover.WAIT),
        published=Published(LOOPBACK, 0),
        restart="no",
        network="",
        behind=True,
        files_of=made.files_volume,
    )
    engine.fill(waits.files_volume, held.installation, one.image.id, made.files)
    engine.run(waits)
