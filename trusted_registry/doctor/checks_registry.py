"""Checks of the registry: container, port, disk, served certificate, protocol, login, clock, address and names."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.client_messages import catalogue
from trusted_registry.doctor.checks_certificate import THERE
from trusted_registry.doctor.finding import Finding, RestartFix, StartFix
from trusted_registry.instance.model import Role
from trusted_registry.registry.probe import READY_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.doctor.facts import Facts
    from trusted_registry.registry.observe import Observation

SKEW = 60.0
"""Seconds of clock difference that yield a finding: certificates are valid from a minute before they were made."""
ROOM = 500 << 20
"""Free bytes that a disk should have for images: a few layers."""
INODES = 0.02
"""Share of the inodes that should be free."""


def container(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a missing, foreign, stopped or outdated container."""
    if not facts.remote and not facts.serves:
        nothing = f"there is no registry here, and {facts.settings.folder} holds nothing"
        yield Finding("container", nothing, "Nothing was made yet, or it was taken away.", ("./inv up",))
    if facts.remote or not facts.serves or facts.engine is None:
        return
    container = facts.container
    if container is None:
        yield Finding(
            "container",
            "there are certificates, and no registry runs",
            "Nothing answers.",
            ("./inv up",),
            StartFix(),
            asks=True,
        )
    elif not container.ours:
        name = facts.settings.container
        yield Finding(
            "container",
            f"a container named {name} (image {container.image}) stands in the place of the registry's",
            "This checkout did not make it and leaves it alone.",
            ("INVOKE_REGISTRY_CONTAINER=my-registry INVOKE_REGISTRY_VOLUME=my-registry ./inv up  # under other names",),
            instead=(f"docker rm --force {shlex.quote(name)} && ./inv up  # if nobody needs it",),
        )
    elif container.state != "running":
        evidence = f"the registry's container is {container.state}"
        yield Finding(
            "container", evidence, "Nothing answers; ./inv registry.logs says why.", ("./inv up",), StartFix()
        )
    elif container.role == Role.TLS and (facts.edited or (facts.wanted and facts.wanted != container.digest)):
        yield _changed(facts)


def _changed(facts: Facts) -> Finding:
    if facts.edited:
        return Finding(
            "container",
            f"the registry reads another {facts.edited} than the one in {facts.settings.folder}",
            "It may do something else than the settings say.",
            ("./inv registry.tls",),
            StartFix(),
        )
    return Finding(
        "container",
        "the registry runs as earlier settings had it, or an earlier version of this project",
        "What was changed since, does not count yet.",
        ("./inv registry.tls",),
        StartFix(),
        asks=True,
    )


def port(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a port that is taken, or that only root may use."""
    number = facts.settings.port
    if facts.engine and facts.engine.rootless and facts.serves and not facts.running and number < facts.first_port:
        yield Finding(
            "port",
            f"the engine runs without root and may not listen on port {number}",
            f"Ports below {facts.first_port} are root's.",
            ("./inv up --port 8443",),
            instead=(f"sudo sysctl net.ipv4.ip_unprivileged_port_start={number}  # until the next reboot",),
        )
    if facts.port_holder and not facts.running:
        other = facts.settings.port + 8000 if facts.settings.port <= 1024 else facts.settings.port + 1  # noqa: PLR2004 - last privileged port
        yield Finding(
            "port",
            f"port {facts.settings.port} is taken by {facts.port_holder}",
            "The registry cannot be started there.",
            (
                f"sudo ss --listening --tcp --numeric --processes 'sport = :{facts.settings.port}'  # then stop that",
                "./inv up",
            ),
            instead=(f"./inv up --port {other}",),
        )


def served(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a silent registry, or one with another certificate."""
    observation, plain = facts.observation, facts.container is not None and facts.container.role == Role.PLAIN
    if observation and observation.connect_error:
        if not _is_lost(facts):
            yield _no_answer(observation, facts)
    elif (
        observation
        and not plain
        and facts.issued
        and observation.certificate
        and observation.certificate.fingerprint != facts.issued.server.fingerprint
    ):
        yield Finding(
            "served",
            f"{observation.host} shows a certificate that ends on {observation.certificate.not_after:%Y-%m-%d} "
            f"(SHA-256 {observation.certificate.fingerprint[:16]}…), and {facts.issued.server.path} is another",
            "The registry reads its certificate when it starts, and was not restarted since it was made anew.",
            ("./inv cert.renew --if-expiring 0",),
            RestartFix() if facts.running else None,
        )


def _no_answer(observation: Observation, facts: Facts) -> Finding:
    at = f"{address.bracketed(observation.host)}:{observation.port}"
    meant = catalogue.find(f"dial tcp {at}: {observation.connect_error}") if facts.remote else []
    unknown = (
        "Nothing answers there." if facts.remote else "Nothing answers there, though the registry's container runs."
    )
    cause = meant[0].cause if meant else unknown
    there = THERE if facts.remote else ""
    return Finding(
        "served", f"{at}: {observation.connect_error}", cause, (f"./inv up{there}", f"./inv registry.logs{there}")
    )


def moved(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for an address that this machine has no more."""
    if not facts.remote and facts.observation and facts.observation.connect_error and _is_lost(facts):
        saved = "address" in facts.settings.saved_flags
        present = './inv up --address ""' if saved else "INVOKE_REGISTRY_ADDRESS= ./inv up"
        yield Finding(
            "address",
            f"nothing answers at {facts.observation.host}: this machine has {', '.join(facts.own_addresses)}",
            "Its address changed, and clients still use the earlier one.",
            (f"{present}  # takes the present one; then tell the clients",),
        )


def _is_lost(facts: Facts) -> bool:
    host = facts.observation.host if facts.observation else ""
    return (
        facts.serves
        and bool(facts.own_addresses)
        and address.is_ip(host)
        and ":" not in host
        and host not in facts.own_addresses
    )


def protocol(facts: Facts) -> Iterator[Finding]:
    """Yield findings for plain HTTP, failed or outdated TLS, and bad statuses."""
    observation = facts.observation
    if (
        observation is None
        or observation.connect_error
        or (facts.container is not None and facts.container.role == Role.PLAIN)
    ):
        return
    there = THERE if facts.remote else ""
    at = f"{address.bracketed(observation.host)}:{observation.port}"
    if observation.plain:
        yield Finding(
            "protocol",
            f"{at} answers plain HTTP",
            "The registry runs without TLS: its image did not read the configuration (registry:3 looks for it at "
            "another place than registry:2), or it was meant to. Clients refuse that anywhere but on loopback.",
            (f"./inv registry.stop && ./inv registry.tls{there}",),
        )
    elif observation.refused:
        yield Finding("protocol", f"{at}: {observation.refused}", "TLS fails there.", (f"./inv registry.logs{there}",))
    elif observation.status not in READY_STATUSES:
        cure = (f"./inv status{THERE}: its address",) if facts.remote else ()
        yield Finding(
            "protocol",
            f"/v2/ at {at} answers with status {observation.status}",
            "A registry answers 200, or 401 where it wants a login: something else listens there, or it is not well.",
            (*cure, f"./inv registry.logs{there}"),
        )
    elif observation.outdated_tls:
        yield Finding(
            "protocol",
            f"{at} accepts TLS 1.1",
            "It was given up in 2021 for what can be done to it (RFC 8996).",
            (f"./inv registry.stop && ./inv registry.tls{there}",),
        )


def login(facts: Facts) -> Iterator[Finding]:
    """Yield findings for unusable password hashes, and logins not enforced."""
    for name in facts.unread_users:
        yield Finding(
            "login",
            f"the password of {name} is not kept as bcrypt",
            "The registry reads no other hash, and refuses the right password.",
            (f"./inv registry.user.add {shlex.quote(name)}",),
        )
    observation = facts.observation
    if facts.login and facts.running and observation and observation.status == READY_STATUSES[0]:
        yield Finding(
            "login",
            "there are users, and the registry answers without a login",
            "It was not made anew since the first user was added: everybody is let in.",
            ("./inv registry.tls",),
            StartFix(),
            asks=True,
        )


def clock(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a clock that differs much from the registry's."""
    skew = facts.observation.skew if facts.observation else None
    if skew is not None and abs(skew) > SKEW:
        way = "ahead of" if skew > 0 else "behind"
        yield Finding(
            "clock",
            f"this machine's clock is {abs(skew):.0f} seconds {way} the registry's",
            "With a wrong clock certificates seem expired, or not valid yet.",
            ("sudo timedatectl set-ntp true  # on the machine whose clock is wrong: date --utc",),
        )


def disk(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a disk that is short of space or inodes."""
    found = facts.disk
    if found is None or facts.remote or not facts.serves:
        return
    cure = ("docker system df && df --human-readable", "docker image prune  # takes away images without a name")
    if found.free < ROOM:
        said = f"{found.free >> 20} MiB are free at {found.path}"
        yield Finding("disk", said, "A push ends with an error once it is full.", cure)
    if found.free_inodes < found.inodes * INODES:
        said = f"{found.free_inodes} of {found.inodes} inodes are free at {found.path}"
        yield Finding("disk", said, "No file can be made there once all are used, though there is room.", cure)


def dns(facts: Facts) -> Iterator[Finding]:
    """Yield findings for names that resolve to nothing, or another machine."""
    host = facts.settings.address
    target = host if address.is_ip(host) else next(iter(facts.own_addresses), "")
    for name, found in facts.resolved.items():
        cure = (f"echo '{target} {name}' | sudo tee -a /etc/hosts",) if target and not facts.remote else ()
        cure = cure or (f"echo 'ADDRESS {name}' | sudo tee -a /etc/hosts  # with the registry's address",)
        if not found:
            said = f"nobody knows the name {name} here"
            yield Finding("dns", said, "Clients on this machine cannot reach the registry by it.", cure)
        elif facts.running and not facts.settings.listen and not _is_this_machine(found, facts):
            said = f"{name} means {', '.join(found)}, which is not this machine"
            yield Finding("dns", said, "Clients that use the name reach another one.", cure)


def _is_this_machine(found: tuple[str, ...], facts: Facts) -> bool:
    return any(
        it in (*facts.own_addresses, facts.settings.address) or it.startswith("127.") or ":" in it for it in found
    )
