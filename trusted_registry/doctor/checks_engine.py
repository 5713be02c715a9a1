"""Checks of the engine: connection, version, unverified registries, and proxies on the way."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from trusted_registry import address
from trusted_registry.client_messages import catalogue
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding
from trusted_registry.engine.types import DOCKER
from trusted_registry.errors import AccessDeniedError
from trusted_registry.trust.local import daemon

OLDEST = (19, 3)
"""Docker 19.03: earlier versions lack TLS 1.3 and have had no fixes since 2021."""


def engine(facts: Facts) -> Iterator[Finding]:
    """Yield findings for an engine that is unavailable, remote, or too old, or that lost a container."""
    if facts.engine_error and not facts.remote:
        cause = "Nothing can be run, pushed or pulled here without one."
        if isinstance(facts.engine_error, AccessDeniedError):
            cause = "Whether the registry runs cannot be asked, and nothing can be pushed or pulled by this user."
        yield Finding("engine", facts.engine_error.message, cause, (facts.engine_error.cure,))
    version = facts.engine.version if facts.engine else ""
    found = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    if found and facts.engine and facts.engine.product == DOCKER and (int(found[1]), int(found[2])) < OLDEST:
        cause = "It is older than what is known to work, and its bugs are no longer fixed."
        cure = "sudo apt-get install --only-upgrade docker.io  # or your distribution's way"
        yield Finding("engine", f"the engine is Docker {version}", cause, (cure,))
    if facts.lost_containers:
        numbers = [str(it) for it in facts.lost_containers]
        evidence = f"the engine was killed in the start of a container, and lost it: process {', '.join(numbers)}"
        cause = "The next container has its address too, and clients reach either of both."
        yield Finding("engine", evidence, cause, (" ".join(["sudo kill -KILL", *numbers]), "./inv up"))


def insecure(facts: Facts) -> Iterator[Finding]:
    """Yield findings for registry hosts that the engine does not verify.

    Plain HTTP still allowed for a registry of this checkout that runs no more counts too. Plain HTTP allowed for a
    registry of another machine is intended, and yields nothing.
    """
    listed = facts.engine.insecure if facts.engine else ()
    remove = "./inv trust.insecure --remove"
    for registry in facts.allowed:
        if registry in listed and registry not in {it.registry_host for it in facts.unverified}:
            evidence = f"plain HTTP on {registry} is still allowed, and no plain registry of this checkout runs"
            cause = "The engine verifies nothing there, and believes whoever answers."
            yield Finding("insecure", evidence, cause, (remove,), client="docker")
    for it in facts.unverified:
        evidence = it.why if it.cure else f"the engine's insecure-registries name {it.registry_host}, or its network"
        cause = "Then the engine verifies nothing there: whoever answers in the registry's place is believed."
        cure = it.cure or f"{remove}  # where ./inv trust.insecure put it there"
        by_hand = f"{daemon.removal_by_hand(systemd=facts.systemd)}  # where somebody else did"
        instead = () if it.is_loopback else (by_hand,)
        yield Finding("insecure", evidence, cause, (cure,), client="docker", instead=instead)


def proxy(facts: Facts) -> Iterator[Finding]:
    """Yield findings for proxies that intercept requests to the registry."""
    for found in facts.proxies:
        for host in facts.settings.hosts:
            if passes(host, facts.settings.port, found.no_proxy):
                continue
            command, client = f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{host}"', ""
            if found.whose == "the engine":
                local = catalogue.LocalContext(systemd=facts.systemd, no_proxy=found.no_proxy)
                command, client = catalogue.no_proxy_command(host, local), "docker"
            through = f"{found.whose} goes through {_without_password(found.url)} for {host}"
            evidence = f"{through}; exceptions: {found.no_proxy or 'none'}"
            cause = "A proxy seldom reaches private addresses: what is sent there times out or is refused."
            yield Finding("proxy", evidence, cause, (command,), client=client)


def passes(host: str, port: int, past: str) -> bool:
    """Return whether a value of NO_PROXY exempts a host from the proxy.

    The rule is that of Config.NoProxy in golang.org/x/net/http/httpproxy.
    """
    parts = (entry.strip().lower() for entry in past.split(","))
    return any(part == "*" or (part and _is_meant(host, port, part)) for part in parts)


def _is_meant(host: str, port: int, part: str) -> bool:
    if part in (host, address.bracketed(host), f"{address.bracketed(host)}:{port}"):
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
