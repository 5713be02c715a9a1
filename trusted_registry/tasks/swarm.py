"""The registry on a swarm: its certificate renewed, its users changed, and all of it taken down."""

from __future__ import annotations

import dataclasses
from functools import partial

from trusted_registry import installation, saved_flags
from trusted_registry.bucket import opening
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import run_lock
from trusted_registry.registry.users import Login
from trusted_registry.run import Run
from trusted_registry.settings import MAX_SERVER_DAYS
from trusted_registry.swarm import machines, noted, rollout
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.stack import NAME, REGISTRY_PORT
from trusted_registry.tasks import cert, swarm_hosts, swarm_images, swarm_plan
from trusted_registry.tasks.swarm_hosts import Access
from trusted_registry.values import whole_number


def _roll(run: Run, note: Note) -> tuple[str, ...]:
    """Have every host that is there run what is on disk now, and return those; one that is away follows later."""
    swarm, engine = swarm_plan.connect(run), engines.connect(run.console)
    nodes = [it for it in rollout.patiently(run.console, swarm.nodes) if it.address in note.hosts]
    for node in (it for it in nodes if not it.works):
        run.console.warn(f"the node {node.name} at {node.address} is {node.state}: it follows when it is back")
    there = [it for it in nodes if it.works]
    wanted = swarm_plan.plan(run, note, swarm, engine)
    swarm_images.end_collector(run, engine)
    rollout.carry_out(wanted, there, run, swarm)
    if len(there) == len(note.hosts):
        rollout.sweep(wanted, run, swarm)
    return tuple(it.address for it in there)


def renew(run: Run, *, if_expiring: str) -> None:
    """Make a new server certificate, and have every host serve it, one after the other.

    Raises:
        RegistryError: A host does not serve it; then the one before is served again.
    """
    note = swarm_plan.here(run)
    days = whole_number("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    with run_lock.held(run):
        if days is None or run.console.dry or issue.is_due(run.settings, days):
            issue.renew(run)
            cert.say_certificate(run, "renewed", names=True)
        else:
            run.console.say_idle("certificate: not due yet")
        hosts = _roll(run, note)
    cert.say_done(run.console, f"registry: {', '.join(hosts)} serve it")


def users_changed(run: Run, login: Login | None = None) -> bool:
    """Have every host know the users as they are now; return False where the registry is on no swarm.

    Raises:
        RegistryError: A host does not take a login that it should.
    """
    note = noted.read(run.settings.folder)
    if not note.hosts:
        return False
    hosts = _roll(run, note)
    for host in hosts if login else ():
        if not dataclasses.replace(rollout.client(host, REGISTRY_PORT, run), login=login).admits():
            raise RegistryError(f"{host} does not accept a login that was just made.", cure="./inv swarm.status")
    run.console.say(f"registry: {', '.join(hosts)} know the users as they are now")
    return True


def down(run: Run, *, purge: str, user: str, ask_become_pass: bool) -> None:
    """Take the registry off the hosts; the images stay in the bucket unless that is typed.

    Raises:
        SettingError: Another bucket is typed.
    """
    note = swarm_plan.here(run)
    if purge and purge.rstrip("/") != run.settings.storage:
        wrong = f"--purge is {purge!r}, and the images are in {run.settings.storage or 'no bucket'}."
        raise SettingError(wrong, cure="Type the very bucket, if every image in that is to go.")
    with run_lock.held(run, to_end=True):
        _down(run, note, Access(user, ask_become_pass), purge=bool(purge))
    images = "removed" if purge else f"kept in {run.settings.storage}; ./inv up serves them here"
    cert.say_done(run.console, f"registry: off {', '.join(note.hosts)}; images {images}")


def _down(run: Run, note: Note, access: Access, *, purge: bool) -> None:
    swarm = swarm_plan.connect(run)
    rollout.check_own(run, swarm)
    known = installation.known(run.settings.folder)
    if note.address or run.console.dry:
        script = machines.give_address("", note.hosts, run.settings.port, known.id, known.http_secret)
        results = swarm_hosts.carry("address.sh", script, note.hosts or ("HOST",), access, run)
        swarm_hosts.warn_of_address(results, note.address, run.console)
    rollout.patiently(run.console, partial(swarm.remove, NAME))
    rollout.sweep(None, run, swarm)
    rollout.label([], run, swarm)
    if run.console.dry:
        return
    if purge:
        from trusted_registry.tasks import registry_move

        registry_move.empty(opening.opened(run.settings))
    noted.forget(run.settings.folder)
    left = swarm_plan.named(run, (), note)
    flags = {key: it for key, it in left.settings.saved_flags.items() if (key, it) != ("address", note.address)}
    saved_flags.save(left.with_settings(saved_flags=flags))
