"""Rollout of a stack: deployed, awaited and asked for on every host, and files that nobody reads any more removed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from trusted_registry.bucket import opening, proofs
from trusted_registry.certificate import issue
from trusted_registry.console import Console, pasteable
from trusted_registry.errors import NoLeaderError, NotNowError, RegistryError
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.installation import ensure, known
from trusted_registry.instance.model import DIGEST_LABEL, Image
from trusted_registry.registry import observe, probe, prove, upload, users
from trusted_registry.registry.api import MANIFEST, Manifest, RegistryClient, digest
from trusted_registry.run import Run
from trusted_registry.swarm import noted, proof_login
from trusted_registry.swarm.model import BROKEN_OFF, DOWN, IMAGE_LABEL, UPDATING, SwarmNode, Task
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import FRONT, NAME, REGISTRY, REGISTRY_PORT, Stack, render

LEADER_SECONDS = 120.0
"""Seconds in which managers choose a leader; one that comes back was seen to take ten."""
HOST_SECONDS = 120.0
"""Seconds that each host may take: to drain, to end, to start, and to be found well."""
JOIN_SECONDS = 30.0
"""Seconds in which a host that joined is known."""
STALL_SECONDS = 90.0
"""Seconds without progress after which an update is begun anew: one that waits for a host that is off never goes on."""
MONITOR_SECONDS = 7.0
"""Seconds after which an update is no more taken back: 5 by the stack, and some for the swarm to see it."""
_PAUSE = 2.0

_Answer = TypeVar("_Answer")


def patiently(console: Console, action: Callable[[], _Answer]) -> _Answer:
    """Ask or order something of a swarm, and wait for a leader if there is none, or for another change.

    Raises:
        NotNowError: None came, or that does not end.
    """
    end, told = time.monotonic() + LEADER_SECONDS, False
    while True:
        try:
            return action()
        except NotNowError as error:
            if time.monotonic() > end:
                raise
            if not told and isinstance(error, NoLeaderError):
                console.warn(f"{error.message} It is asked again, for up to {LEADER_SECONDS:.0f} seconds.")
            told = True
        time.sleep(_PAUSE)


def await_nodes(hosts: Sequence[str], run: Run, swarm: Swarm) -> tuple[SwarmNode, ...]:
    """Return all nodes, once those of some hosts work: of one that has just joined, nothing is known for a moment."""
    end = time.monotonic() + JOIN_SECONDS
    while True:
        there = patiently(run.console, swarm.nodes)
        if run.console.dry or set(hosts) <= {it.address for it in there if it.works} or time.monotonic() > end:
            return there
        time.sleep(_PAUSE)


def check_manages(run: Run, note: noted.Note, swarm: Swarm) -> None:
    """Insist that the engine here manages the swarm of the hosts: to another one, nothing seems to run anywhere.

    Raises:
        RegistryError: It does not.
    """
    nodes = {it.id for it in patiently(run.console, swarm.nodes)}
    if run.console.dry or (nodes and (not note.nodes or nodes & set(note.nodes))):
        return
    gone = f"where the swarm is gone for good: {pasteable(['rm', run.settings.folder / noted.FILE])}"
    cure = f"Type it where docker node ls names the hosts; {gone}"
    manages = "another swarm than that of the hosts" if nodes else "no swarm"
    raise RegistryError(f"The engine here manages {manages}, so nobody knows who serves.", cure=cure)


def check_own(run: Run, swarm: Swarm) -> None:
    """Insist that a stack of the name, if there is one, is this installation's.

    Raises:
        RegistryError: It is another one's.
    """
    own = known(run.settings.folder).id
    for service in patiently(run.console, partial(swarm.services, NAME)):
        if service.labels.get(INSTALLATION) != own:
            wrong = f"The service {service.name} is another installation's, or somebody else's."
            cure = f"If nobody needs it: {pasteable(['docker', 'stack', 'rm', NAME])}"
            raise RegistryError(wrong, cure=cure)


def label(hosts: Sequence[SwarmNode], run: Run, swarm: Swarm) -> bool:
    """Have the nodes of the hosts, and no others, carry the label of the installation; return whether one changed.

    That of another installation is one that was left behind: a stack of its own would have been refused.
    """
    own = ensure(run.settings.folder, run.console).id
    changed = False
    for node in patiently(run.console, swarm.nodes):
        wanted = own if node.id in {it.id for it in hosts} else ""
        has = node.labels.get(INSTALLATION, "")
        if has != wanted and (wanted or has == own):
            patiently(run.console, partial(swarm.label, node, INSTALLATION, wanted))
            changed = True
    return changed


def images(run: Run, swarm: Swarm) -> tuple[Image, Image]:
    """Return the images that the registries and the fronts run, whatever their names stand for by now.

    Raises:
        RegistryError: There are no such services.
    """
    if run.console.dry:
        return Image(run.settings.image, ""), Image(run.settings.front_image, "")
    there = {it.name: it for it in patiently(run.console, partial(swarm.services, NAME))}
    if not {REGISTRY, FRONT} <= there.keys():
        raise RegistryError("The swarm has no services of this registry.", cure="./inv swarm.up")
    found = [Image(it.labels.get(IMAGE_LABEL, ""), it.image) for it in (there[REGISTRY], there[FRONT])]
    return found[0], found[1]


def deploy(stack: Stack, run: Run, swarm: Swarm) -> bool:
    """Have the services be as a stack says; return whether one was not."""
    there = {it.name: it for it in patiently(run.console, partial(swarm.services, NAME))}
    labels = {name: there[name].labels.get(DIGEST_LABEL) if name in there else None for name in stack.services}
    if all(labels[name] == stack.spec(name) for name in stack.services):
        return False
    for file in stack.files:
        if file.service in stack.services:
            patiently(run.console, partial(swarm.keep, file, stack.installation))
    patiently(run.console, partial(swarm.deploy, NAME, render(stack)))
    return True


def wait(stack: Stack, hosts: Sequence[SwarmNode], run: Run, swarm: Swarm) -> tuple[SwarmNode, ...]:
    """Wait until every host runs the services of a stack, and return those; one that goes down meanwhile follows later.

    Raises:
        RegistryError: A service does not come up somewhere; the one before then serves again.
    """
    there, before, since = tuple(hosts), list[tuple[str, str, str]](), time.monotonic()
    end = since + HOST_SECONDS * len(hosts)
    while not run.console.dry:
        there = _still_there(there, run, swarm)
        left = _left(stack, there, patiently(run.console, partial(swarm.tasks, NAME)))
        updating = _check_updates(left, run, swarm)
        if not left and (not updating or time.monotonic() - since > MONITOR_SECONDS):
            break
        if left != before:
            before, since = left, time.monotonic()
        elif left and time.monotonic() - since > STALL_SECONDS:
            since = time.monotonic()
            for service in updating:
                patiently(run.console, partial(swarm.push, service))
        if left and time.monotonic() > end:
            raise _stays_away(left[0], left[0][2] or "no reason is told.")
        time.sleep(_PAUSE)
    return there


def _still_there(hosts: Sequence[SwarmNode], run: Run, swarm: Swarm) -> tuple[SwarmNode, ...]:
    """Return the hosts that are not down, and name those that have just gone down."""
    works = {it.id for it in patiently(run.console, swarm.nodes) if it.state != DOWN}
    for node in (it for it in hosts if it.id not in works):
        run.console.warn(f"the node {node.name} at {node.address} went down: it follows when it is back")
    return tuple(it for it in hosts if it.id in works)


def _check_updates(left: Sequence[tuple[str, str, str]], run: Run, swarm: Swarm) -> list[str]:
    """Return the services that are being updated, unless that of a container that is awaited was broken off.

    Raises:
        RegistryError: It was.
    """
    services = patiently(run.console, partial(swarm.services, NAME))
    for it in services:
        if left and it.name == left[0][0] and it.update in BROKEN_OFF:
            raise _stays_away(left[0], f"{left[0][2] or it.message}. The one before serves again.")
    return [it.name for it in services if it.update == UPDATING]


def _stays_away(left: tuple[str, str, str], why: str) -> RegistryError:
    cure = f"See why: {pasteable(['docker', 'service', 'ps', '--no-trunc', left[0]])}"
    return RegistryError(f"{left[0]} does not run on {left[1]}: {why}", cure=cure)


def _left(stack: Stack, hosts: Sequence[SwarmNode], tasks: Sequence[Task]) -> list[tuple[str, str, str]]:
    """Return service, node and reason of each container that does not run yet."""
    found = []
    for service in stack.services:
        for node in hosts:
            own = [it for it in tasks if it.service == service and it.node == node.id]
            if not any(it.runs and it.spec == stack.spec(service) for it in own):
                reason = next((it.error for it in own if it.error and it.spec == stack.spec(service)), "")
                found.append((service, node.name, reason))
    return found


def check_served(hosts: Sequence[str], port: int, run: Run) -> None:
    """Insist that each host shows the certificate on disk, and asks for a login if there are users.

    Raises:
        RegistryError: One does not, or does not answer.
    """
    for host in [] if run.console.dry else hosts:
        at = probe.Endpoint(host, port)
        try:
            observe.check_tls(at, run.settings, lambda: True)
        except probe.NO_ANSWER as error:
            raise RegistryError(f"{at} does not answer: {error}.", cure="./inv swarm.status") from error


def show(hosts: Sequence[str], port: int, run: Run) -> None:
    """Push an image at the first host, pull it at each, compare, and take it away again.

    Raises:
        RegistryError: A host refuses, or gives something else.
    """
    if run.console.dry:
        return
    begun, image = time.monotonic(), upload.tiny()
    clients = {host: client(host, port, run) for host in hosts}
    pushing = clients[hosts[0]]
    try:
        for blob in (image.config, image.layer):
            pushing.upload(prove.REPOSITORY, blob)
        pushing.put_manifest(prove.REPOSITORY, image.digest, Manifest(MANIFEST, image.digest, image.manifest))
        for pulling in clients.values():
            pulled = pulling.manifest(prove.REPOSITORY, image.digest)
            for _ in pulling.blob(prove.REPOSITORY, digest(image.layer), len(image.layer)):
                pass  # it compares the digest
            if pulled.digest != image.digest:
                raise RegistryError(f"{pulling.at} gives another image than was pushed.", cure="./inv swarm.status")
    except probe.NO_ANSWER as error:
        raise RegistryError(f"The proof was cut short: {error}.", cure="./inv swarm.status") from error
    finally:
        with contextlib.suppress(RegistryError, *probe.NO_ANSWER):
            if pushing.delete_manifest(prove.REPOSITORY, image.digest):
                proofs.clear(opening.opened(run.settings), image.digest)
    seconds = time.monotonic() - begun
    run.console.say(f"proof: pushed at {hosts[0]}, pulled at {', '.join(hosts)}, port {port}, {seconds:.1f} s")


def client(host: str, port: int, run: Run) -> RegistryClient:
    """Return a client of the registry at a host, with the login of proofs if there are users."""
    settings = run.settings
    tls = probe.context(issue.trust_anchor(settings.folder).path)
    required = users.is_login_required(settings.folder)
    content = users.users_file(settings.folder).read_bytes() if required else b""
    login = proof_login.login(known(settings.folder).http_secret, content) if required else None
    return RegistryClient(probe.Endpoint(host, port), tls, login)


def carry_out(stack: Stack, hosts: Sequence[SwarmNode], run: Run, swarm: Swarm) -> tuple[bool, tuple[str, ...]]:
    """Deploy a stack, wait for every host, and ask each registry.

    Returns:
        Whether anything had to be changed, and the hosts that run the stack: of those that are there, all.
    """
    changed = deploy(stack, run, swarm)
    there = tuple(it.address for it in wait(stack, hosts, run, swarm))
    check_served(there, REGISTRY_PORT, run)
    return changed, there


def sweep(stack: Stack | None, run: Run, swarm: Swarm) -> None:
    """Remove files of this installation that a stack does not name; those still read stay until the next run."""
    names = {it.name for it in stack.files} if stack else set()
    own = known(run.settings.folder).id
    for held in patiently(run.console, swarm.held) if own else ():
        if held.name not in names and held.labels.get(INSTALLATION) == own:
            patiently(run.console, partial(swarm.drop, held))
