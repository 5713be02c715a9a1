"""Registry hosts that the engine does not verify, where what it accepts proves nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from trusted_registry import address
from trusted_registry.engine.protocol import Engine
from trusted_registry.settings import Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Unverified:
    """A registry host that the engine does not verify.

    Args:
        registry_host: Registry host of a reference.
        host: Its host, which may be a name.
        address: Address of the host in a network that the engine skips; "" if the engine lists the registry host.
    """

    registry_host: str
    host: str
    address: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether it is loopback that the engine skips, which no configuration takes back."""
        return bool(self.address) and ipaddress.ip_address(self.address).is_loopback

    @property
    def why(self) -> str:
        """Reason why the engine does not verify."""
        if self.cure:
            return f"{self.host} means {self.address} here: loopback, which Docker never verifies"
        return "of loopback, Docker never does" if self.is_loopback else "see insecure-registries in its daemon.json"

    @property
    def cure(self) -> str:
        """Line that has a name mean more than loopback; "" where that is not the matter."""
        if not self.is_loopback or self.address == self.host:
            return ""
        return f"sudo editor /etc/hosts  # the registry's address before {self.host}, in place of {self.address}"


def find(settings: Settings, engine: Engine) -> list[Unverified]:
    """Return the registry hosts that the engine does not verify at all.

    Its configuration lists them, or their network, to which Docker itself always adds loopback (moby/moby,
    registry/config.go). A name counts by its addresses here, since the engine resolves it too.
    """
    if not engine.available:
        return []
    listed = engine.info().insecure
    networks = [network for entry in listed if (network := _network(entry))]
    return [it for host in settings.hosts for it in _of_host(host, settings.port, listed, networks)]


def _of_host(host: str, port: int, listed: tuple[str, ...], networks: list[Network]) -> Iterator[Unverified]:
    addresses = address.resolve(host)
    within = next((it for it in addresses if any(ipaddress.ip_address(it) in network for network in networks)), "")
    for registry_host in address.registry_hosts((host,), port):
        if registry_host in listed or within:
            yield Unverified(registry_host, host, "" if registry_host in listed else within)


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None
