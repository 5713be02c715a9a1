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
    from collections.abc import Callable, Iterable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

LOG = logging.getLogger("lab")
MINE = {LABEL: "1"}
POOL = [f"10.213.{third}.0/24" for third in range(16)]
"""IPv4 networks to try: private ones, little used, each with more addresses than the lab has hosts."""

POOL6 = "fd{:02x}:{:04x}:{:04x}::/64"
"""A unique local IPv6 network (RFC 4193): its 40 random bits make a clash unlikely."""

IMPATIENT = ["timeout:1", "attempts:1"]
"""What resolv.conf(5) says of names that nobody here knows: the Hub's, which engines ask for before they give up."""

IMAGES = {"busybox:1": ("/opt/busybox.tar", "/bin/busybox"), "registry:2": ("/opt/registry.tar", "/bin/registry")}
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
        self._numbers = itertools.count(1)
        self._workers = ThreadPoolExecutor(max_workers=4)
        self._spares: list[Future[Host]] = []

    def close(self) -> None:
        """Remove everything that carries the lab's label, images apart."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        self.hosts.clear()
        clear(self.engine)

    def start(self, wanted: Mapping[str, str]) -> list[Host]:
        """Have hosts, given by names with their suites: those that are not there are started side by side."""
        missing = {name: suite for name, suite in wanted.items() if name not in self.hosts}
        for host in self._workers.map(self._boot, missing.keys(), missing.values()):
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
        number = next(self._numbers)
        return [self._workers.submit(self._boot, f"{role}-{number}", suite) for role in ("registry", "client")]

    def stop(self, names: Iterable[str]) -> None:
        """Have hosts and their disks removed, while the next scenario goes on."""
        for name in names:
            self._workers.submit(_remove, self.hosts.pop(name))

    def free_address(self) -> str:
        """Return an IPv4 address of the network that no host has."""
        config = self.network.attrs["IPAM"]["Config"][0]
        taken = {host.address for host in self.hosts.values()} | {config["Gateway"]}
        hosts = reversed(list(ipaddress.ip_network(config["Subnet"]).hosts()))
        return next(str(address) for address in hosts if str(address) not in taken)

    def _boot(self, name: str, suite: str) -> Host:
        begun = time.monotonic()
        host = Host(name, SUITES[suite], self._container(name, suite), self.network)
        assert host.container.put_archive("/", self.checkout)
        host.wait()
        for reference, (archive_file, program) in IMAGES.items():
            host.import_image(archive_file, reference, program)
        LOG.info("%-11s %5.1f s  is up", name, time.monotonic() - begun)
        return host

    def _container(self, name: str, suite: str) -> Container:
        """Start a host's container, with all rights where that works and as many as there are where it does not."""
        if self.privileged:  # the first host, the bystander, finds out for all
            with contextlib.suppress(_Refused):
                return self._attempt(name, suite, rights.privileged)
            self.privileged = False
            LOG.info("--privileged is refused on this machine: hosts get what its bounding set has")
        return self._attempt(name, suite, rights.piecemeal)

    def _attempt(self, name: str, suite: str, allowed: Callable[..., dict[str, object]]) -> Container:
        api = self.engine.api
        disk = self.engine.volumes.create(f"{LABEL}.{name}.{secrets.token_hex(4)}", labels=MINE)
        made = api.create_container(
            images.name(SUITES[suite]),
            name=f"{LABEL}.{name}",
            hostname=name,
            labels=MINE,
            host_config=allowed(
                api,
                init=True,
                cgroupns="private",
                tmpfs={"/run": "exec"},
                binds=[f"{disk.name}:/disk"],
                network_mode=self.network.name,
                dns_opt=IMPATIENT,
            ),
            networking_config=api.create_networking_config({str(self.network.name): api.create_endpoint_config(aliases=[name, f"{name}.{DOMAIN}"])}),
        )
        container = self.engine.containers.get(made["Id"])
        try:
            container.start()
        except APIError as error:
            container.remove(force=True, v=True)
            disk.remove()
            if rights.REFUSED in str(error):
                raise _Refused from error
            raise LabError(f"The host {name} cannot be started: {error.explanation}") from error
        return container


def _remove(host: Host) -> None:
    disks = [mount["Name"] for mount in host.container.attrs["Mounts"] if mount["Type"] == "volume"]
    host.container.remove(force=True)
    for disk in disks:
        host.container.client.api.remove_volume(disk)


class _Refused(Exception):
    """The engine does not give a container the rights that were asked for."""


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
