"""Checks of the engine: connection, version, unverified registries, and proxies on the way."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.client_messages import catalogue
from trusted_registry.doctor.finding import Finding
from trusted_registry.errors import AccessDeniedError
from trusted_registry.trust.local import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.doctor.facts import Facts

OLDEST = (19, 3)
"""Docker 19.03: earlier versions lack TLS 1.3 and have had no fixes since 2021."""


def engine(facts: Facts) -> Iterator[Finding]:
    """Yield findings for an engine that is unavailable, remote, or too old."""
    if facts.engine_error and not facts.remote:
        what = "Nothing can be run, pushed or pulled here without one."
        if isinstance(facts.engine_error, AccessDeniedError):
            what = "Whether the registry runs cannot be asked, and nothing can be pushed or pulled by this user."
        yield Finding("engine", facts.engine_error.message, what, (facts.engine_error.cure,))
    info = facts.engine
    if info is None:
        return
    found = re.match(r"(\d+)\.(\d+)", info.version)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        yield Finding(
            "engine",
            f"the engine is Docker {info.version}",
            "It is older than what is known to work, and its faults are mended no more.",
            ("sudo apt-get install --only-upgrade docker.io  # or your distribution's way",),
        )


def insecure(facts: Facts) -> Iterator[Finding]:
    """Yield findings for registry hosts that the engine does not verify.

    Plain HTTP still allowed for a registry of this checkout that runs no more counts too. Plain HTTP allowed for a
    registry of another machine is intended, and yields nothing.
    """
    listed = facts.engine.insecure if facts.engine else ()
    for registry in facts.allowed:
        if registry in listed and registry not in {it.registry_host for it in facts.unverified}:
            yield Finding(
                "insecure",
                f"plain HTTP on {registry} is still allowed, and no plain registry of this checkout runs",
                "Whoever answers there is believed: the engine verifies nothing.",
                ("./inv trust.insecure --remove",),
                client="docker",
            )
    for it in facts.unverified:
        by_hand = f"{daemon.removal_by_hand(systemd=facts.systemd)}  # where somebody else did"
        listed_by = f"the engine's insecure-registries name {it.registry_host}, or its network"
        yield Finding(
            "insecure",
            it.why if it.cure else listed_by,
            "Then the engine verifies nothing there: whoever answers in the registry's place is believed.",
            (it.cure or "./inv trust.insecure --remove  # where ./inv trust.insecure put it there",),
            client="docker",
            instead=() if it.is_loopback else (by_hand,),
        )


def proxy(facts: Facts) -> Iterator[Finding]:
    """Yield findings for proxies that intercept requests to the registry."""
    settings = facts.settings
    for found in facts.proxies:
        for host in settings.hosts:
            if passes(host, settings.port, found.no_proxy):
                continue
            command = f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{host}"'
            if found.whose == "the engine":
                command = catalogue.no_proxy_command(
                    host, catalogue.LocalContext(systemd=facts.systemd, no_proxy=found.no_proxy)
                )
            yield Finding(
                "proxy",
                f"{found.whose} goes through {_without_password(found.url)} for {host}; past it goes: "
                f"{found.no_proxy or 'nothing'}",
                "A proxy seldom reaches private addresses: what is sent there times out or is refused.",
                (command,),
                client="docker" if found.whose == "the engine" else "",
            )


def passes(host: str, port: int, past: str) -> bool:
    """Return whether a value of NO_PROXY exempts a host from the proxy.

    The rule is that of Config.NoProxy in golang.org/x/net/http/httpproxy.
    """
    for part in (entry.strip().lower() for entry in past.split(",")):
        if part == "*" or (part and _is_meant(host, port, part)):
            return True
    return False


def _is_meant(host: str, port: int, part: str) -> bool:
    with_port = f"{address.bracketed(host)}:{port}"
    if part in (host, with_port, address.bracketed(host)):
        return True
    if address.is_ip(host):
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(part, strict=False)
        except ValueError:
            return False
    name, _, its_port = part.partition(":")
    return its_port in ("", str(port)) and f".{host}".endswith(f".{name.removeprefix('*').removeprefix('.')}")


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)
