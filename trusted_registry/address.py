"""Addresses of this machine, and the registry hosts that references name."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trusted_registry.defaults import HTTPS
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.values import host as checked_host

_BRIDGE_NAMES = re.compile(r"(docker|br-|virbr|lxcbr|lxdbr|cni|flannel|podman|nerdctl|veth|bridge|vmnet|kube-)")
"""Interfaces of engines and hypervisors, on Linux and macOS; no other machine can reach their addresses."""

RESOLVE_SECONDS = 3.0
"""Seconds to wait for the addresses of a name; a name server that is not there would cost many more."""


@dataclass(frozen=True)
class Interface:
    """An active network interface: name, addresses in order, and whether this is a bridge."""

    name: str
    addresses: tuple[str, ...]
    bridge: bool


def interfaces(sysfs: Path = Path("/sys/class/net")) -> list[Interface]:
    """Return this machine's active interfaces in the kernel's order, without loopback and link-local addresses."""
    import psutil

    stats = psutil.net_if_stats()
    found = []
    for name, entries in psutil.net_if_addrs().items():
        if name in stats and not stats[name].isup:
            continue
        usable = (it.address for it in entries if it.family in (socket.AF_INET, socket.AF_INET6))
        bridge = bool(_BRIDGE_NAMES.match(name)) or (sysfs / name / "bridge").exists()
        found.append(Interface(name, tuple(filter(_usable, usable)), bridge))
    return found


def _usable(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def choose(interfaces: Iterable[Interface], routed: str | None) -> str | None:
    """Return the address by which other machines know this one; `hostname -I | awk '{print $1}'` approximates this.

    IPv4 comes before IPv6, in the kernel's order, without bridges. If every address is a bridge's (a hypervisor whose
    LAN port is in one), the result is `routed`, the source address of the default route.
    """
    ordered = [address for interface in interfaces if not interface.bridge for address in interface.addresses]
    ordered.sort(key=lambda address: ":" in address)
    return ordered[0] if ordered else routed


def routed_address() -> str | None:
    """Return the source address of the default route, or None if absent; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("198.51.100.1", 9))  # RFC 5737: never a real host
        address: str = sock.getsockname()[0]
        return address if _usable(address) else None
    return None


def own_address() -> str:
    """Return this machine's address.

    Raises:
        RegistryError: This machine has no address but loopback.
    """
    found = choose(interfaces(), routed_address())
    if found is None:
        wrong = "This machine has no address but loopback, on which no client verifies anything."
        cure = "Connect it to a network, or name an address: INVOKE_REGISTRY_ADDRESS=192.168.0.12"
        raise RegistryError(wrong, cure=cure)
    return found


def own_addresses() -> tuple[str, ...]:
    """Return every address of this machine that a certificate may carry; bridges too, since containers use those."""
    return tuple(dict.fromkeys(address for interface in interfaces() for address in interface.addresses))


def own_name() -> str | None:
    """Return the name by which other machines may know this one, in lower case, or None if absent.

    A single word becomes a name under `.local` (RFC 6762): an authority that may sign the bare word may also sign every
    name below that word (RFC 5280, 4.2.1.10), and `dev` and `cloud` are top-level domains.
    """
    with contextlib.suppress(SettingError):
        name = checked_host("hostname", socket.gethostname())
        if name != "localhost" and not is_ip(name):
            return name if "." in name else f"{name}.local"
    return None


def is_ip(host: str) -> bool:
    """Return whether a checked host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def resolve(host: str) -> tuple[str, ...]:
    """Return a host's addresses, as this machine resolves them; () if nobody knows in time."""
    if is_ip(host):
        return (host,)
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.extend(_addresses(host)), daemon=True)  # no look-up can be ended
    asking.start()
    asking.join(RESOLVE_SECONDS)
    return tuple(dict.fromkeys(found))


def _addresses(name: str) -> list[str]:
    with contextlib.suppress(OSError, UnicodeError):
        return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None)]
    return []


def is_elsewhere(host: str) -> bool:
    """Whether a checked host is an address of another machine; of a name that is not asked, and loopback is here."""
    return is_ip(host) and not (
        ipaddress.ip_address(host).is_loopback or _is_source_for(host) or host in own_addresses()
    )


def _is_source_for(address: str) -> bool:
    """Whether what this machine sends to an address comes from that same one, so that it is its own; nothing is sent.

    The kernel says so in a fraction of the time that all interfaces take.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 9))
        return bool(ipaddress.ip_address(sock.getsockname()[0]) == ipaddress.ip_address(address))
    return False


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback, by its usual name (RFC 6761, 6.3) or by an address."""
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


def bracketed(host: str) -> str:
    """Return a host as written before a port: IPv6 in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def registry_host(host: str, port: int) -> str:
    """Return the shortest registry host for a host and port; 443 is omitted if clients assume that port.

    A single word without a port is a user name on Docker Hub (distribution/reference, `splitDockerDomain`).
    """
    is_one_without = "." in host or ":" in host or host == "localhost"
    return bracketed(host) if port == HTTPS and is_one_without else f"{bracketed(host)}:{port}"


def registry_hosts(hosts: Iterable[str], port: int) -> tuple[str, ...]:
    """Return every registry host by which a reference can name one of these hosts on this port.

    Each has a directory of its own under certs.d: a pull of `192.168.0.12/app` reads another directory than one of
    `192.168.0.12:443/app`.
    """
    pairs = ((registry_host(host, port), f"{bracketed(host)}:{port}") for host in hosts)
    return tuple(dict.fromkeys(it for pair in pairs for it in pair))
