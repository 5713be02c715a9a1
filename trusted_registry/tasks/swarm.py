"""The registry on a swarm: its certificate renewed, its users changed, and all of it taken down."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

from trusted_registry import installation, saved_flags
from trusted_registry.bucket import marker, opening
from trusted_registry.bucket.client import Bucket
from trusted_registry.certificate import issue
from trusted_registry.console import Console, pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import run_lock
from trusted_registry.registry.users import Login
from trusted_registry.run import Run
from trusted_registry.settings import MAX_SERVER_DAYS
from trusted_registry.swarm import machines, noted, rollout
from trusted_registry.swarm.model import DOWN, SwarmNode, Task
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import NAME, REGISTRY_PORT
from trusted_registry.tasks import cert, mirror_beside, swarm_hosts, swarm_images, swarm_plan
from trusted_registry.tasks.swarm_hosts import Access
from trusted_registry.values import whole_number


def _roll(run: Run, note: Note) -> tuple[bool, tuple[str, ...]]:
    """Have every host that is there run what is on disk now; one that is away follows later.

    Returns:
        Whether anything had to be changed, and the hosts.
    """
    swarm, engine = swarm_plan.connect(run), engines.connect(run.console)
    members = note.members(rollout.patiently(run.console, swarm.nodes))
    for host, node in members.items():
        if not node or node.away:
            run.console.warn(f"the node at {host} is {node.word if node else 'gone'}: it follows when it is back")
    wanted = swarm_plan.plan(run, note, swarm, engine, rollout.images(run, swarm))
    swarm_images.end_collector(run, engine)
    changed, served = rollout.carry_out(wanted, [it for it in members.values() if it and not it.away], run, swarm)
    if not served and not run.console.dry:
        raise RegistryError("No host of the registry works: they follow when they do.", cure="./inv swarm.status")
    if len(served) == len(note.hosts):
        rollout.sweep(wanted, run, swarm)
    return changed, served


def renew(run: Run, *, if_expiring: str) -> None:
    """Make a new server certificate, and have every host serve it, one after the other.

    Raises:
        RegistryError: A host does not serve it; then the one before is served again.
    """
    days = whole_number("--if-expiring", if_expiring, 0, MAX_SERVER_DAYS) if if_expiring else None
    with run_lock.held(run):
        run = run.anew()  # whoever was waited for may have changed the hosts
        note = swarm_plan.require_note(run)
        swarm_plan.check_storage(run.settings, note)
        due = days is None or run.console.dry or cert.is_due(run.settings, days)
        if due:
            issue.renew(run)
            cert.say_certificate(run, "renewed", names=True)
        else:
            run.console.say_idle(f"certificate: {cert.due(run, days or 0)}")
        changed, hosts = _roll(run, note)
        mirror_beside.renew(run)
    served = f"registry: served by {', '.join(hosts)}"
    if due or changed:
        cert.say_done(run.console, served)
    else:
        run.console.say_idle(served)


def users_changed(run: Run, login: Login | None = None) -> None:
    """Have every host know the users as they are now, that of a login among them.

    Raises:
        RegistryError: A host does not take a login that it should.
    """
    note = swarm_plan.require_note(run)
    swarm_plan.check_storage(run.settings, note)
    _, hosts = _roll(run, note)
    for host in hosts:
        # It has a login of its own, which only whoever has read the users as they are now takes.
        client = rollout.client(host, REGISTRY_PORT, run)
        if not client.admits() or (login and not dataclasses.replace(client, login=login).admits()):
            raise RegistryError(f"{host} does not accept the users as they are now.", cure="./inv swarm.status")
    run.console.say(f"registry: {', '.join(hosts)} know the users as they are now")


def down(run: Run, *, purge: str, user: str, ask_become_pass: bool) -> None:
    """Take the registry off the hosts; the images stay in the bucket unless that is typed.

    Raises:
        SettingError: Another bucket is typed.
        RegistryError: The images are to go, and a host that is away may serve on.
    """
    _check_purge(purge, run, swarm_plan.require_note(run))
    access = swarm_hosts.access(user, run.console, ask_become_pass=ask_become_pass)
    with run_lock.held(run, to_end=True):
        run = run.anew()  # whoever was waited for may have changed the hosts
        note = swarm_plan.require_note(run)
        _check_purge(purge, run, note)
        bucket = opening.opened(run.settings) if purge and not run.console.dry else None
        if bucket:
            marker.claim(bucket, installation.known(run.settings.folder).id, known=True)
        off = _down(run, note, access, bucket)
    for host in (it for it in note.hosts if it not in off):
        ps = pasteable(["ssh", host, "docker", "ps"])
        run.console.warn(f"the node at {host} is away: until it is back, nobody knows whether it serves: {ps}")
    place = note.storage[0] if note.storage else run.settings.storage
    images = "removed" if purge else f"kept in {place}; ./inv up serves them here"
    cert.say_done(run.console, f"registry: off {', '.join(off) or 'the swarm'}; images {images}")


def _check_purge(purge: str, run: Run, note: Note) -> None:
    if purge:
        swarm_plan.check_storage(run.settings, note)
    if purge and purge.rstrip("/") != run.settings.storage:
        wrong = f"--purge is {purge!r}, and the images are in {run.settings.storage or 'no bucket'}."
        raise SettingError(wrong, cure="Type the very bucket, if every image in that is to go.")


def _seen(run: Run, note: Note, swarm: Swarm, *, purge: bool) -> tuple[str, ...]:
    """Return the hosts whose nodes tell when the registry has ended there; one that is cut off may serve on.

    Raises:
        RegistryError: One does not, and the images are to go.
    """
    members = note.members(rollout.patiently(run.console, swarm.nodes))
    away = [host for host, node in members.items() if not node or node.state == DOWN] if not run.console.dry else []
    seen = tuple(host for host in note.hosts if host not in away)
    if away and purge:
        others = run.settings.command(f"swarm.up --hosts {','.join(seen) or 'A,B,C'}")
        cure = f"Start it; or switch it off, and leave it out first: {others}"
        raise RegistryError(f"The node at {away[0]} is away, and may take pushes where it is.", cure=cure)
    return seen


def _say_open_fronts(fronts: Sequence[Task], note: Note, nodes: Sequence[SwarmNode], console: Console) -> None:
    """Warn of fronts that have not ended, by their hosts; one that was left out may be among these."""
    noted_hosts = {node.id: host for host, node in note.members(nodes).items() if node}
    hosts = {it.id: it.address or it.name for it in nodes} | noted_hosts
    for id_ in dict.fromkeys(it.node for it in fronts):
        host = hosts.get(id_, id_)
        ps = pasteable(["ssh", host, "docker", "ps"])
        console.warn(f"the front at {host} has not ended: something is still open there, or its engine hangs: {ps}")


def _down(run: Run, note: Note, access: Access, purged: Bucket | None) -> tuple[str, ...]:
    """Take everything off, and return the hosts where that was seen."""
    swarm = swarm_plan.connect(run)
    rollout.check_manages(run, note, swarm)
    rollout.check_own(run, swarm)
    _seen(run, note, swarm, purge=purged is not None)
    known = installation.known(run.settings.folder)
    if note.address:
        script = machines.give_address("", note.hosts, run.settings.port, known.id, known.http_secret)
        results = swarm_hosts.carry("address.sh", script, note.hosts, access, run)
        swarm_hosts.warn_of_address(results, note.address, run.console)
    swarm_images.end_collector(run, engines.connect(run.console))
    fronts = rollout.patiently(run.console, partial(swarm.remove, NAME))
    _say_open_fronts(fronts, note, rollout.patiently(run.console, swarm.nodes), run.console)
    rollout.sweep(None, run, swarm)
    rollout.label([], run, swarm)
    seen = _seen(run, note, swarm, purge=purged is not None)  # one may have been cut off only now
    if run.console.dry:
        return seen
    if purged:
        from trusted_registry.tasks import registry_move

        registry_move.empty(purged)
    noted.forget(run.settings.folder)
    left = swarm_plan.named(run, (), note)
    flags = {key: it for key, it in left.settings.saved_flags.items() if (key, it) != ("address", note.address)}
    saved_flags.save(left.with_settings(saved_flags=flags))
    return seen
