"""The lab: one network without a way out, and the hosts on it, started when a scenario first needs them."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
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
    from collections.abc import Callable, Iterable

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

LOG = logging.getLogger("lab")
MINE = {LABEL: "1"}
POOL = [f"10.213.{third}.0/24" for third in range(16)]
"""IPv4 networks to try: private ones, little used, each with more addresses than the lab has hosts."""

POOL6 = "fd{:02x}:{:04x}:{:04x}::/64"
"""A unique local IPv6 network (RFC 4193): its 40 random bits make a clash unlikely."""

NO_NAME_SERVER = ["127.0.0.1"]
"""The engine's own DNS knows the hosts; for other names it asks this one, which refuses at once where others time out."""


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

    def close(self) -> None:
        """Remove everything that carries the lab's label, images apart."""
        self.hosts.clear()
        clear(self.engine)

    def start(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Have hosts, given as names with suites: those that are not there are started side by side."""
        missing = [(name, suite) for name, suite in wanted if name not in self.hosts]
        if not missing:
            return
        begun = time.monotonic()
        if self.privileged and not self.hosts:  # the first one finds out what the machine below allows
            name, suite = missing.pop()
            self.hosts[name] = self._boot(name, suite)
        with ThreadPoolExecutor(max_workers=max(1, len(missing))) as pool:
            for host in pool.map(lambda one: self._boot(*one), missing):
                self.hosts[host.name] = host
        LOG.info("%-10s %5.1f s  hosts up: %s", "lab", time.monotonic() - begun, ", ".join(sorted(self.hosts)))

    def stop(self, names: Iterable[str]) -> None:
        """Remove hosts and their disks, side by side."""
        ending = [self.hosts.pop(name) for name in names]
        with ThreadPoolExecutor(max_workers=max(1, len(ending))) as pool:
            list(pool.map(_remove, ending))

    def free_address(self) -> str:
        """Return an IPv4 address of the network that no host has."""
        config = self.network.attrs["IPAM"]["Config"][0]
        taken = {host.address for host in self.hosts.values()} | {config["Gateway"]}
        hosts = reversed(list(ipaddress.ip_network(config["Subnet"]).hosts()))
        return next(str(address) for address in hosts if str(address) not in taken)

    def _boot(self, name: str, suite: str) -> Host:
        host = Host(name, SUITES[suite], self._container(name, suite), self.network)
        assert host.container.put_archive("/", self.checkout)
        host.wait()
        host.import_image("busybox", "busybox:1", "/bin/busybox")
        return host

    def _container(self, name: str, suite: str) -> Container:
        """Start a host's container, with all rights where that works and as many as there are where it does not."""
        if self.privileged:
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
                dns=NO_NAME_SERVER,
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
