"""Contents of the authority and the server certificate, such that every client accepts them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from trusted_registry import address, templates
from trusted_registry.settings import Settings

ORGANIZATION = "trusted-registry"

MAX_COMMON_NAME = 64
"""Characters that a common name may have (RFC 5280, appendix A, ub-common-name)."""

PRIVATE_RANGES = (
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # RFC 6598, where overlay networks such as Tailscale live
    "169.254.0.0/16",  # RFC 3927
    "127.0.0.0/8",
    "::1/128",
    "fc00::/7",  # RFC 4193
    "fe80::/10",
)
"""Addresses that any authority here may vouch for: none of them means the same host to two networks."""

LOCAL_NAMES = ("localhost", "local")
"""DNS names that any authority here may vouch for; `local` stands for every name below .local (RFC 6762)."""

OWN_TO_ALL = ("localhost", "127.0.0.1", "::1")
"""Names and addresses by which every machine reaches itself."""

SELF_SIGNED_KEY = "rsa:4096"
"""Kind of key in the document's command."""


@dataclass(frozen=True)
class Server:
    """A server certificate to make: subject, names, kind of key, life in days."""

    subject: str
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    key: str
    days: int

    @property
    def key_usage(self) -> tuple[str, ...]:
        """Uses of the key; RSA keys may also encrypt others (RFC 5246, 7.4.2)."""
        return ("digitalSignature", "keyEncipherment") if self.key.startswith("rsa") else ("digitalSignature",)


@dataclass(frozen=True)
class Authority:
    """A root and its issuer to make: their subjects, permitted names and ranges, kind of keys, life in days."""

    subject: str
    issuer: str
    dns: tuple[str, ...]
    networks: tuple[str, ...]
    key: str
    days: int

    @property
    def ranges(self) -> tuple[str, ...]:
        """The networks as openssl.cnf writes them: address/mask, IPv6 in full."""
        parsed = (ipaddress.ip_network(network) for network in self.networks)
        return tuple(f"{network.network_address.exploded}/{network.netmask.exploded}" for network in parsed)


@dataclass(frozen=True)
class Profile:
    """A server certificate and its authority, which `CertificateKind.AUTHORITY` alone makes anew."""

    server: Server
    authority: Authority


def plan(
    settings: Settings, *, machine: str | None, own: Iterable[str], mark: str, self_signed: bool = False
) -> Profile:
    """Return the profile for these settings on this machine.

    Args:
        settings: The names that a person asked for, kinds of keys, days of validity.
        machine: This machine's host name, or None without a usable one.
        own: This machine's addresses, and any other names that the certificate should keep; all of them are named.
        mark: A short text, such as a date, that tells this authority from others of the same machine.
        self_signed: Plan the document's single certificate: its kind of key, no authority.
    """
    wanted = (*settings.hosts, *((machine,) if machine else ()), *own, *OWN_TO_ALL)
    dns = tuple(dict.fromkeys(host for host in wanted if not address.is_ip(host)))
    addresses = tuple(dict.fromkeys(host for host in wanted if address.is_ip(host)))
    exact = (str(ipaddress.ip_network(ip)) for ip in addresses if not permits_address(PRIVATE_RANGES, ip))
    root = f"{ORGANIZATION} authority {(machine or settings.address)[:20]} {mark}"
    subject = settings.address if len(settings.address) <= MAX_COMMON_NAME else ORGANIZATION
    return Profile(
        server=Server(subject, dns, addresses, SELF_SIGNED_KEY if self_signed else settings.key, settings.days),
        authority=Authority(
            subject=root,
            issuer=issuer_name(root),
            dns=tuple(dict.fromkeys((*LOCAL_NAMES, *(name for name in dns if not permits_name(LOCAL_NAMES, name))))),
            networks=(*PRIVATE_RANGES, *exact),
            key=settings.key,
            days=settings.authority_days,
        ),
    )


def issuer_name(root: str) -> str:
    """Return the name of the issuer that is made with a root, by the root's own."""
    return root.replace(" authority ", " issuer ", 1)


def permits_name(constraints: Iterable[str], name: str) -> bool:
    """Return whether a permitted DNS name is this one or a parent of this one.

    The rule is that of RFC 5280, 4.2.1.10.
    """
    return any(name == allowed or name.endswith(f".{allowed}") for allowed in constraints)


def permits_address(networks: Iterable[str], ip: str) -> bool:
    """Return whether one of the permitted networks holds this address."""
    parsed = ipaddress.ip_address(ip)
    return any(parsed in ipaddress.ip_network(network) for network in networks)


def config(profile: Profile) -> str:
    """Return the text of openssl.cnf for a profile."""
    return templates.render("openssl.cnf", organization=ORGANIZATION, **vars(profile))
