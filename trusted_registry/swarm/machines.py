"""Hosts of a swarm: the scripts that are run on each, what those tell, and whose a virtual address is."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import address, templates
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance.model import Image
from trusted_registry.swarm import proof_login
from trusted_registry.swarm.model import SwarmNode, at
from trusted_registry.trust.remote.hosts import HostResult

OLDEST = (20, 10)
"""Version of the engine from which on a service can give capabilities up."""
MOST_SKEW = 60.0
"""Seconds that a clock may be off; a bucket refuses 900."""
INACTIVE = "inactive"
_ARP = Path("/proc/net/arp")
"""Neighbours of this machine, with flags of 0x0 where nobody answered (proc(5))."""
_DISCARD, _ASKED = 9, 1.5
"""Port that is asked, and seconds for an answer: any port does."""
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


@dataclass(frozen=True)
class HostFacts:
    """A host as its script saw it.

    Args:
        host: Its address.
        engine: Version of its engine.
        state: Its part in a swarm, in its engine's word.
        node: Id of its node; "" for none.
        skew: Seconds by which its clock is ahead of this machine's, about.
        unprivileged: First port for which no right is needed.
        taken: Ports at which somebody listens.
        images: Ids of images that it has under the names that were asked for.
        address: Virtual address that its keepalived moves for this installation; "" for none.
    """

    host: str
    engine: str
    state: str
    node: str
    skew: float
    unprivileged: int
    taken: tuple[int, ...] = ()
    images: tuple[str, ...] = ()
    address: str = ""


def inspection(images: Sequence[Image], ports: Iterable[int], installation: str) -> bytes:
    """Return the script that tells of a host, and what it has of the images and of the installation."""
    ids = [shlex.quote(it.id) for it in images if it.id]
    return templates.render("swarm-inspect.sh", images=ids, ports=list(ports), installation=installation).encode()


def load(image: Image, content: Iterable[bytes]) -> bytes:
    """Return the script that loads an image, which is behind its last line."""
    return templates.render("swarm-load.sh", image=shlex.quote(image.id)).encode() + b"".join(content)


def join(hosts: Sequence[str], manager: str, token: str) -> bytes:
    """Return the script by which a host joins; it holds a secret."""
    return templates.render("swarm-join.sh", hosts=hosts, manager=address.bracketed(manager), token=token).encode()


def give_address(virtual: str, hosts: Sequence[str], port: int, installation: str, secret: str) -> bytes:
    """Return the script that has keepalived give a virtual address to one of the hosts, or to none any more for ""."""
    return templates.render(
        "swarm-address.sh",
        address=virtual,
        hosts=hosts,
        port=port,
        installation=installation,
        router=1 + int(virtual.rpartition(".")[2] or 0) % 255,
        password=proof_login.derived(secret, "keepalived")[:8],  # all that VRRP takes
    ).encode()


def facts(result: HostResult, since: float) -> HostFacts:
    """Return the facts that a host's script told, at some time since one in seconds since the epoch.

    Raises:
        RegistryError: The host was not reached, refused, or told something else.
    """
    if not result.fine:
        raise RegistryError(
            f"{result.host}: {result.reason}.", cure=f"See for yourself: {pasteable(['ssh', result.host])}"
        )
    told = [fact.partition("=")[::2] for fact in result.facts]
    one = dict(told)
    try:
        return HostFacts(
            host=result.host,
            engine=one["engine"],
            state=one["state"],
            node=one["node"],
            skew=_outside(int(one["time"]), since, time.time()),
            unprivileged=int(one["unprivileged"]),
            taken=tuple(int(value) for name, value in told if name == "taken"),
            images=tuple(value for name, value in told if name == "image"),
            address=one.get("address", ""),
        )
    except (KeyError, ValueError) as error:
        wrong = f"{result.host} does not tell of itself what a host does."
        raise RegistryError(
            wrong, cure=f"See for yourself: {pasteable(['ssh', result.host, 'docker', 'info'])}"
        ) from error


def _outside(moment: float, begin: float, end: float) -> float:
    """Return the seconds by which a moment is outside a span: a slow host does not tell when it looked at its clock."""
    return min(moment - begin, 0) or max(moment - end, 0)


def check(found: HostFacts) -> None:
    """Insist on an engine and a clock that will do.

    Raises:
        RegistryError: One will not.
    """
    version = _VERSION.match(found.engine)
    if not version or (int(version[1]), int(version[2])) < OLDEST:
        wrong = f"{found.host} has Docker {found.engine}, which is older than {'.'.join(map(str, OLDEST))}."
        raise RegistryError(wrong, cure="Install a newer Docker there, or leave that host out.")
    if abs(found.skew) > MOST_SKEW:
        way = "ahead" if found.skew > 0 else "behind"
        wrong = f"The clock of {found.host} is {abs(found.skew):.0f} s {way} of this one."
        raise RegistryError(
            wrong, cure=f"Set both right: {pasteable(['ssh', found.host, 'timedatectl', 'set-ntp', 'true'])}"
        )


def node_of(host: str, nodes: Iterable[SwarmNode], found: HostFacts | None, init: str) -> SwarmNode:
    """Return the node that a host is.

    Args:
        host: Address of the host.
        nodes: Nodes of the swarm that this engine manages.
        found: What the host's script told, if it was asked.
        init: Command that has the host join.

    Raises:
        RegistryError: It is none, or one on which nothing is started.
    """
    there = at(host, found.node if found else "", nodes)
    if there is None and found and found.state != INACTIVE:
        leave = pasteable(["ssh", host, "docker", "swarm", "leave"])
        raise RegistryError(
            f"{host} is in another swarm.", cure=f"Leave it out; or, if that one is not needed: {leave}"
        )
    if there is None or (found and found.state == INACTIVE):  # whose entry is one of before
        raise RegistryError(f"{host} is no node of the swarm here.", cure=init)
    if not there.works:
        active = pasteable(["docker", "node", "update", "--availability", "active", there.name])
        cure = active if there.state == "ready" else "Start it, or name the others alone with --hosts."
        raise RegistryError(f"The node {there.name} at {host} is {there.word}.", cure=cure)
    return there


def managers(count: int) -> int:
    """Return how many of some hosts should manage the swarm: an even number would bear no more losses."""
    return next(it for it in (5, 3, 1) if count >= it)


def check_virtual(virtual: str) -> None:
    """Insist that no machine has an address yet, by asking there and looking into the kernel's table of neighbours.

    Whoever has it answers that question below all firewalls (RFC 826), and neither root nor a program is needed.

    Raises:
        SettingError: One has it.
    """
    holder = "this machine" if virtual in address.own_addresses() else _neighbour(virtual)
    if holder:
        cure = "Choose one that nobody has, in the network of the hosts: --address VIRTUAL"
        raise SettingError(f"{virtual} is in use by {holder}.", cure=cure)


def _neighbour(virtual: str) -> str:
    """Return the machine that has an address; "" for none."""
    try:
        socket.create_connection((virtual, _DISCARD), timeout=_ASKED).close()
    except ConnectionRefusedError:
        return "a machine that answers"
    except OSError:
        return _in_arp(virtual)
    return "a machine that answers"


def _in_arp(virtual: str) -> str:
    with contextlib.suppress(OSError):
        for line in _ARP.read_text().splitlines()[1:]:
            at, _kind, flags, hardware, *_ = [*line.split(), "", "", "", ""]
            if at == virtual and flags not in {"0x0", ""}:
                return f"a machine at {hardware}"
    return ""
