"""Checks of the registry: container, port, disk, served certificate, protocol, login, clock, address and names."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from trusted_registry import address
from trusted_registry.client_messages import catalogue
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding, RestartFix, StartFix
from trusted_registry.images import words
from trusted_registry.instance.model import Role
from trusted_registry.registry.observe import Observation
from trusted_registry.registry.probe import READY_STATUSES

SKEW = 60.0
"""Seconds of clock difference that yield a finding: certificates are valid from a minute before they were made."""
FULL_DAYS = 14
"""Days before the disk will be full, from which on that is told."""
ROOM = 500 << 20
"""Free bytes that a disk should have for images: a few layers."""
INODES = 0.02
"""Share of the inodes that should be free."""
_ANEW = ("./inv registry.tls",)


def container(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a missing, foreign, stopped or outdated container."""
    up = ("./inv up",)
    if not facts.remote and not facts.serves:
        evidence = f"there is no registry here, and {facts.settings.folder} holds nothing"
        yield Finding("container", evidence, "Nothing was made yet, or it was removed.", up)
    if facts.remote or not facts.serves or facts.engine is None or facts.swarm:
        return
    container = facts.container
    if container is None:
        evidence = "there are certificates, and no registry runs"
        yield Finding("container", evidence, "Nothing answers.", up, StartFix(), asks=True)
    elif not container.ours:
        name = facts.settings.container
        evidence = f"a container named {name} (image {container.image}) stands in the place of the registry's"
        cause = "This checkout did not make it and leaves it alone."
        cure = "INVOKE_REGISTRY_CONTAINER=my-registry INVOKE_REGISTRY_VOLUME=my-registry ./inv up  # under other names"
        instead = f"docker rm --force {shlex.quote(name)} && ./inv up  # if nobody needs it"
        yield Finding("container", evidence, cause, (cure,), instead=(instead,))
    elif container.state != "running":
        evidence = f"the registry's container is {container.state}"
        yield Finding("container", evidence, "Nothing answers; ./inv registry.logs says why.", up, StartFix())
    elif container.role == Role.TLS and facts.edited:
        evidence = f"the registry reads another {facts.edited} than the one in {facts.settings.folder}"
        yield Finding("container", evidence, "It may do something else than the settings say.", _ANEW, StartFix())
    elif container.role == Role.TLS and facts.wanted and facts.wanted != container.digest:
        evidence = "the registry runs as earlier settings had it, or an earlier version of this project"
        cause = "What was changed since then does not count yet."
        yield Finding("container", evidence, cause, _ANEW, StartFix(), asks=True)


def front(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a front that leads nobody to the registry."""
    if facts.front:
        cause = "It was stopped or removed, or its configuration was changed by hand."
        yield Finding("front", facts.front, cause, ("./inv up",), StartFix())


def port(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a port that is taken, or that only root may use."""
    number = facts.settings.port
    if facts.engine and facts.engine.rootless and facts.serves and not facts.running and number < facts.first_port:
        evidence = f"the engine runs without root and may not listen on port {number}"
        instead = f"sudo sysctl net.ipv4.ip_unprivileged_port_start={number}  # until the next reboot"
        cause = f"Ports below {facts.first_port} are root's."
        yield Finding("port", evidence, cause, ("./inv up --port 8443",), instead=(instead,))
    if facts.port_holder and not facts.running and not facts.swarm:
        evidence = f"port {number} is taken by {facts.port_holder}"
        stop = f"sudo ss --listening --tcp --numeric --processes 'sport = :{number}'  # then stop that"
        other = number + (8000 if number <= 1024 else 1)  # noqa: PLR2004 - last privileged port
        cure, instead = (stop, "./inv up"), f"./inv up --port {other}"
        yield Finding("port", evidence, "The registry cannot be started there.", cure, instead=(instead,))


def served(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a silent registry, or one with another certificate."""
    seen, issued = facts.observation, facts.issued
    if seen and seen.connect_error:
        if not _is_lost(facts) and not facts.front:  # which is the cause
            yield _no_answer(seen, facts)
    elif seen and seen.certificate and issued and not facts.plain and seen.fingerprint != issued.server.fingerprint:
        shown = f"{seen.certificate.not_after:%Y-%m-%d} (SHA-256 {seen.fingerprint[:16]}…)"
        evidence = f"{seen.host} shows a certificate that ends on {shown}, and {issued.server.path} is another"
        cause = "The registry reads its certificate when it starts, and was not restarted after it was replaced."
        fix = RestartFix() if facts.running else None
        yield Finding("served", evidence, cause, ("./inv cert.renew --if-expiring 0",), fix)


def _no_answer(seen: Observation, facts: Facts) -> Finding:
    evidence = f"{_at(seen)}: {seen.connect_error}"
    meant = catalogue.find(f"dial tcp {evidence}") if facts.remote else []
    runs = "" if facts.remote or facts.swarm else ", though the registry's container runs"
    cure = (f"./inv up{facts.there}", f"./inv registry.logs{facts.there}")
    return Finding("served", evidence, meant[0].cause if meant else f"Nothing answers there{runs}.", cure)


def _at(seen: Observation) -> str:
    return f"{address.bracketed(seen.host)}:{seen.port}"


def moved(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for an address that this machine has no more."""
    if not facts.remote and facts.observation and facts.observation.connect_error and _is_lost(facts):
        saved = "address" in facts.settings.saved_flags
        present = './inv up --address ""' if saved else "INVOKE_REGISTRY_ADDRESS= ./inv up"
        evidence = f"nothing answers at {facts.observation.host}: this machine has {', '.join(facts.own_addresses)}"
        cause = "Its address changed, and clients still use the earlier one."
        yield Finding("address", evidence, cause, (f"{present}  # takes the present one; then tell the clients",))


def _is_lost(facts: Facts) -> bool:
    host = facts.observation.host if facts.observation else ""
    absent = bool(facts.own_addresses) and host not in facts.own_addresses
    return facts.serves and not facts.swarm and absent and address.is_ip(host) and ":" not in host


def protocol(facts: Facts) -> Iterator[Finding]:
    """Yield findings for plain HTTP, failed or outdated TLS, and bad statuses."""
    seen = facts.observation
    if seen is None or seen.connect_error or facts.plain or facts.front:
        return
    at, logs = _at(seen), f"./inv registry.logs{facts.there}"
    anew = f"./inv registry.stop && ./inv registry.tls{facts.there}"
    if seen.plain:
        cause = (
            "The registry runs without TLS: its image did not read the configuration (registry:3 looks for it at "
            "another place than registry:2), or it was meant to. Clients refuse that anywhere but on loopback."
        )
        yield Finding("protocol", f"{at} answers plain HTTP", cause, (anew,))
    elif seen.refused:
        yield Finding("protocol", f"{at}: {seen.refused}", "TLS fails there.", (logs,))
    elif seen.status not in READY_STATUSES:
        ready = "A registry answers 200, or 401 where it wants a login"
        cause = f"{ready}: something else listens there, or it has a problem."
        cure = (f"./inv status{facts.there}: its address", logs) if facts.remote else (logs,)
        yield Finding("protocol", f"/v2/ at {at} answers with status {seen.status}", cause, cure)
    elif seen.outdated_tls:
        cause = "It was given up in 2021, because it can be attacked (RFC 8996)."
        yield Finding("protocol", f"{at} accepts TLS 1.1", cause, (anew,))


def login(facts: Facts) -> Iterator[Finding]:
    """Yield findings for unusable password hashes, and logins not enforced."""
    for name in facts.unread_users:
        evidence = f"the password of {name} is not kept as bcrypt"
        cause = "The registry reads no other hash, and refuses the right password."
        yield Finding("login", evidence, cause, (f"./inv registry.user.add {shlex.quote(name)}",))
    observation = facts.observation
    if facts.login and (facts.running or facts.swarm) and observation and observation.status == READY_STATUSES[0]:
        evidence = "there are users, and the registry answers without a login"
        cause = "It was not restarted after the first user was added: everybody is let in."
        yield Finding("login", evidence, cause, _ANEW, StartFix(), asks=True)


def clock(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a clock that differs much from the registry's."""
    skew = facts.observation.skew if facts.observation else None
    if skew is not None and abs(skew) > SKEW:
        way = "ahead of" if skew > 0 else "behind"
        evidence = f"this machine's clock is {abs(skew):.0f} seconds {way} the registry's"
        cure = "sudo timedatectl set-ntp true  # on the machine whose clock is wrong: date --utc"
        yield Finding("clock", evidence, "With a wrong clock certificates seem expired, or not valid yet.", (cure,))


def disk(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a disk that is short of space or inodes."""
    found = facts.disk
    if found is None or facts.remote or not facts.serves:
        return
    cure = ("docker system df && df --human-readable", "docker image prune  # removes images without a name")
    if found.free < ROOM:
        said = f"{found.free >> 20} MiB are free at {found.path}"
        yield Finding("disk", said, "A push ends with an error once it is full.", cure)
    elif facts.growth > 0 and found.free / facts.growth < FULL_DAYS:
        grows = f"the images grow by {words.size(facts.growth)} a day, and {words.size(found.free)} are free"
        said = f"{grows} at {found.path}: full in {words.plural(int(found.free / facts.growth), 'day')}"
        freed = ("./inv images.usage  # what takes the room, and what would free it",)
        yield Finding("disk", said, "A push ends with an error once it is full.", freed)
    if found.free_inodes < found.inodes * INODES:
        said = f"{found.free_inodes} of {found.inodes} inodes are free at {found.path}"
        yield Finding("disk", said, "No file can be made there once all are used, though there is room.", cure)


def firewall(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a firewall that Docker's rules go round."""
    found = facts.bypass
    if found is None:
        return
    evidence = f"the firewall refuses port {found.port}, but Docker publishes it, so other machines reach it anyway"
    cause = "A published port is forwarded to the container before the firewall's rules about what comes in are asked."
    among = f"--ctorigdstport {found.port} --ctdir ORIGINAL ! -s {found.network}"
    cure = f"sudo iptables -I DOCKER-USER -i {found.interface} -p tcp -m conntrack {among} -j DROP"
    opened = f"ufw allow {found.port}/tcp" if found.ufw else f"iptables -I INPUT -p tcp --dport {found.port} -j ACCEPT"
    listen = f"INVOKE_REGISTRY_LISTEN={facts.settings.address} ./inv up"
    instead = (
        f"{listen}  # on one address alone, of a network that may; registry.listen in invoke.yaml keeps it",
        f"sudo {opened}  # if everybody may",
    )
    yield Finding("firewall", evidence, cause, (f"{cure}  # that network alone; until the next boot",), instead=instead)


def dns(facts: Facts) -> Iterator[Finding]:
    """Yield findings for names that resolve to nothing, or another machine."""
    host = facts.settings.address
    target = host if address.is_ip(host) else next(iter(facts.own_addresses), "")
    own = (*facts.own_addresses, host)
    for name, found in facts.resolved.items():
        known = f"echo '{target} {name}' | sudo tee -a /etc/hosts"
        unknown = f"echo 'ADDRESS {name}' | sudo tee -a /etc/hosts  # with the registry's address"
        cure = (known if target and not facts.remote else unknown,)
        leads_here = any(it in own or it.startswith("127.") or ":" in it for it in found)
        if not found:
            said = f"nobody knows the name {name} here"
            yield Finding("dns", said, "Clients on this machine cannot reach the registry by it.", cure)
        elif facts.running and not facts.settings.listen and not leads_here:
            said = f"{name} means {', '.join(found)}, which is not this machine"
            yield Finding("dns", said, "Clients that use the name reach another one.", cure)
