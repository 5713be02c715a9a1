"""The lab: one network without a way out, and the hosts on it, started when a scenario first needs them."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import logging
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from tests.e2e import images, rights
from tests.e2e.checkout import archive
from tests.e2e.hosts import DOMAIN, Host
from tests.e2e.outer import LABEL, clear
from tests.e2e.suites import SUITES
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

LOG = logging.getLogger("lab")
MINE = {LABEL: "1"}
POOL = [f"10.213.{third}.0/24" for third in range(16)]
"""IPv4 networks to try: private ones, little used, each with more addresses than the lab has hosts."""

POOL6 = "fd{:02x}:{:04x}:{:04x}::/64"
"""A unique local IPv6 network (RFC 4193): its 40 random bits make a clash unlikely."""

HOSTS = 250
"""Addresses of each kind that a run can give away, in networks of 254; a scenario takes two to four."""

IMPATIENT = ["timeout:1", "attempts:1"]
"""What resolv.conf(5) says of names that nobody here knows: the Hub's, which engines ask for before they give up."""

IMAGES = {"busybox:1": ("/opt/busybox.tar", "/bin/busybox"), "registry:2": ("/opt/registry.tar", "/entrypoint.sh")}
"""Images that every host begins with, made of files that its own image carries; and what each of them runs."""


class Lab:
    """The hosts of one run, by name; everything that they are made of carries the lab's label."""

    def __init__(self, engine: DockerClient) -> None:
        self.engine = engine
        self.hosts: dict[str, Host] = {}
        self.privileged = True
        left = clear(engine)
        if left:
            LOG.info("a run before this one left these, now removed: %s", ", ".join(left))
        self.network = _network(engine)
        self.checkout = archive()
        self._addresses = _addresses(self.network)
        self._pairs = itertools.count(1)
        self._workers = ThreadPoolExecutor(max_workers=4)
        self._spares: list[Future[Host]] = []
        self._leaving: dict[str, Future[None]] = {}

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts by which a thing on this machine's engine is known for the lab's doing: label, domain, addresses."""
        pools = self.network.attrs["IPAM"]["Config"]
        return (LABEL, DOMAIN, *(str(pool["Subnet"]).partition("0/")[0].partition("/")[0] for pool in pools))

    def close(self) -> None:
        """Remove everything that carries the lab's label, images apart."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        self.hosts.clear()
        clear(self.engine)

    def start(self, wanted: Mapping[str, str], *, desktop: str = "") -> list[Host]:
        """Have hosts, given by names with their suites: those that are not there are started side by side.

        Args:
            wanted: Suites by names.
            desktop: Which of them has browsers and Java; their image is made when it is first needed.
        """
        missing = {name: suite for name, suite in wanted.items() if name not in self.hosts}
        others = [SUITES[suite] for suite in {*missing.values()} if not images.find(SUITES[suite], self.engine)]
        images.make_all(others, self.engine, rebuild=False, say=LOG.info)
        if desktop in missing:
            images.make(SUITES[missing[desktop]], self.engine, rebuild=False, say=LOG.info, desktop=True)
            images.prune(self.engine)
        larger = [name == desktop for name in missing]
        for host in self._workers.map(self._boot, missing.keys(), missing.values(), larger):
            self.hosts[host.name] = host
        return [self.hosts[name] for name in wanted]

    def pair(self, suite: str) -> list[Host]:
        """Return a registry host and a client that nobody has used, and begin to start the next two."""
        waiting = self._spares or self._prepare(suite)
        pair = [spare.result() for spare in waiting]
        self._spares = self._prepare(suite)
        self.hosts |= {host.name: host for host in pair}
        return pair

    def _prepare(self, suite: str) -> list[Future[Host]]:
        number = next(self._pairs)
        return [self._workers.submit(self._boot, f"{role}-{number}", suite) for role in ("registry", "client")]

    def stop(self, names: Iterable[str]) -> None:
        """Have hosts and their disks removed, while the next scenario goes on."""
        for name in names:
            self._leaving[name] = self._workers.submit(self._remove, self.hosts.pop(name))

    def address(self, version: int = 4) -> str:
        """Return an address of the network that no host has had, so that each keeps its own through a restart.

        Args:
            version: 4; or 6, which is empty where the network has no IPv6.
        """
        return next(self._addresses[version])

    def _boot(self, name: str, suite: str, desktop: bool = False) -> Host:  # noqa: FBT001, FBT002 - mapped over
        begun = time.monotonic()
        if leaving := self._leaving.pop(name, None):
            leaving.result()  # the next one of its name comes when it is gone
        image = images.name(SUITES[suite], desktop=desktop)
        host = Host(name, SUITES[suite], self._container(name, image), self.network)
        assert host.container.put_archive("/", self.checkout)
        host.wait()
        for reference, (archive_file, program) in IMAGES.items():
            host.import_image(archive_file, reference, program)
        LOG.info("%-11s %5.1f s  is up", name, time.monotonic() - begun)
        return host

    def _container(self, name: str, image: str) -> Container:
        """Start a host's container, with all rights where that works and as many as there are where it does not."""
        if self.privileged:  # the first host, the bystander, finds out for all
            with contextlib.suppress(RefusedError):
                return self._attempt(name, image, rights.PRIVILEGED)
            self.privileged = False
            LOG.info("--privileged is refused on this machine: hosts get what its bounding set has")
        return self._attempt(name, image, rights.piecemeal())

    def _attempt(self, name: str, image: str, allowed: Mapping[str, object]) -> Container:
        disk = self.engine.volumes.create(f"{LABEL}.{name}.{secrets.token_hex(4)}", labels=MINE)
        container = self._create(name, image, disk.name, allowed)
        try:
            container.start()
        except APIError as error:
            container.remove(force=True)
            disk.remove()
            if rights.is_refused(error):
                raise RefusedError from error
            raise LabError(f"The host {name} cannot be started: {error.explanation}") from error
        return container

    def _create(self, name: str, image: str, disk: str, allowed: Mapping[str, object]) -> Container:
        """Make a host's container by the plain API, which takes settings that the client's helpers do not know."""
        network = str(self.network.name)
        addresses = {"IPv4Address": self.address(), "IPv6Address": self.address(6)}
        endpoint = {"Aliases": [name, f"{name}.{DOMAIN}"], "IPAMConfig": addresses}
        config = self.engine.api.create_host_config(
            init=True,
            cgroupns="private",
            tmpfs={"/run": "exec"},
            binds=[f"{disk}:/disk"],
            network_mode=network,
            dns_opt=IMPATIENT,
        )
        made = self.engine.api.create_container(
            image,
            name=f"{LABEL}.{name}",
            hostname=name,
            labels=MINE,
            host_config={**config, **allowed},
            networking_config={"EndpointsConfig": {network: endpoint}},
        )
        return self.engine.containers.get(made["Id"])

    def _remove(self, host: Host) -> None:
        disks = [mount["Name"] for mount in host.container.attrs["Mounts"] if mount["Type"] == "volume"]
        host.container.remove(force=True)
        for disk in disks:
            self.engine.volumes.get(disk).remove()


class RefusedError(Exception):
    """The engine does not give a container the rights that were asked for."""


def _addresses(network: Network) -> dict[int, Iterator[str]]:
    """Return the addresses to give away, by IP version: those after the gateway's; none where there is no such network.

    From lists, not generators: hosts start in several threads.
    """
    given = {4: iter([""]), 6: itertools.repeat("")}
    for pool in network.attrs["IPAM"]["Config"]:
        subnet = ipaddress.ip_network(pool["Subnet"])
        given[subnet.version] = iter([str(address) for address in itertools.islice(subnet.hosts(), 1, HOSTS)])
    return given


def _network(engine: DockerClient) -> Network:
    """Make the lab's network: no route leads out of it, and it has IPv6 where the machine below does."""
    reasons = []
    for subnet in POOL:
        for six in (True, False):
            try:
                return _bridge(engine, subnet, six=six)
            except APIError as error:
                reasons.append(str(error.explanation))
    raise LabError(f"No network can be made for the lab: {reasons[-1]}")


def _bridge(engine: DockerClient, subnet: str, *, six: bool) -> Network:
    gateway = str(next(ipaddress.ip_network(subnet).hosts()))
    pools = [IPAMPool(subnet=subnet, gateway=gateway)]
    if six:
        pools.append(IPAMPool(subnet=POOL6.format(*(secrets.randbits(bits) for bits in (8, 16, 16)))))
    made = engine.networks.create(
        LABEL, labels=MINE, internal=True, enable_ipv6=six, check_duplicate=True, ipam=IPAMConfig(pool_configs=pools)
    )
    made.reload()
    return made
