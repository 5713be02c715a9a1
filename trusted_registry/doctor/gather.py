"""Collects the facts on this machine: changes nothing, and leaves out facts that cannot be read."""

from __future__ import annotations

import contextlib
import os
import platform
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from trusted_registry import address, files, installation, program, saved_flags
from trusted_registry.certificate import changeover, inspect, issue, signer
from trusted_registry.client_messages.message import Kind
from trusted_registry.doctor import bucket, checks_engine, engine_folder, firewall, installed, mirrors, store_states
from trusted_registry.doctor.facts import Disk, Facts, FileMode, Proxy, SwarmFacts, or_none
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import history
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance import contents, front, ownership, ports, roles
from trusted_registry.instance.model import Image, Role, front_name
from trusted_registry.registry import observe, users
from trusted_registry.registry.observe import Observation
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings
from trusted_registry.trust.local import asking, install, owned
from trusted_registry.trust.model import LINUX
from trusted_registry.trust.specifics.daemon_json import INSECURE

KEYS = (*signer.KEYS, "domain.key", *changeover.KEYS, saved_flags.STORAGE_KEY)
MADE_HERE = (*KEYS, "domain.crt")
"""Files that only the registry's own machine has; a client has ca.crt alone."""
_PROXIES = ("HTTPS_PROXY", "https_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")


def local(
    settings: Settings,
    engine: Engine,
    engine_error: RegistryError | None,
    client: str = "",
    swarm: SwarmFacts | None = None,
) -> Facts:
    """Return the facts about the registry of this checkout.

    Args:
        settings: The checkout's settings.
        engine: This machine's engine.
        engine_error: Reason why no engine answers.
        client: Name of the one trust store to examine; by default, every store found.
        swarm: The swarm that runs the registry; None if this machine alone does.
    """
    container = or_none(lambda: _container(settings, engine))
    plain = container is not None and container.role == Role.PLAIN
    up = container is not None and container.ours and container.state == "running"
    if container and container.ours:
        met = front.as_met(container, settings, engine)
        port = met.port or settings.port
        settings = replace(settings, plain_port=port) if plain else replace(settings, port=port)
        settings = replace(settings, listen=met.listen)
    own = (it for interface in address.interfaces() if not interface.bridge for it in interface.addresses)
    facts = _issued(Facts(settings, inspect.now(), engine_error=engine_error, container=container, swarm=swarm))
    facts = replace(
        facts,
        file_modes=_file_modes(settings),
        tracked=_tracked(settings.folder),
        own_addresses=tuple(it for it in own if ":" not in it),
        resolved=_resolved(settings),
        engine=or_none(engine.info) if engine.available else None,
        lost_containers=tuple(ports.lost_containers(engine)),
        key_mounts=_key_mounts(settings, engine),
        proxies=_proxies(engine, os.environ),
        disk=_disk(settings, engine),
        first_port=_first_port(),
        allowed=() if plain and up else _allowed(settings),
    )
    facts = _logins(_contained(facts, engine))
    if facts.engine and facts.running and _is_published(facts):
        facts = replace(facts, bypass=firewall.find(settings.port, settings.address))
    if up or swarm:
        facts = replace(facts, growth=_growth(settings, engine))
        host, port = settings.listen or settings.address, settings.plain_port if plain else settings.port
        facts = replace(facts, observation=_observed(host, port, facts))
    facts = replace(facts, mirrors=mirrors.gather(settings, engine), bucket=bucket.find(settings))
    return facts if plain else _asked(store_states.gather(facts, engine, client), engine)


def remote(settings: Settings, engine: Engine, host: str, port: int, client: str = "") -> Facts:
    """Return the facts about another machine's registry, seen from a client."""
    settings, now = replace(settings, address=host, names=(), port=port, listen=""), inspect.now()
    facts = Facts(settings, now, remote=True, anchor=or_none(lambda: issue.trust_anchor(settings.folder, dry=True)))
    facts = replace(
        facts,
        resolved=_resolved(settings),
        engine=or_none(engine.info) if engine.available else None,
        proxies=_proxies(engine, os.environ),
        observation=_observed(host, port, facts),
    )
    return _asked(store_states.gather(_installed(facts), engine, client), engine)


def _installed(facts: Facts) -> Facts:
    """Have the certificate be judged that clients here trust for the registry, where the folder's is not its authority.

    A kit may have written that one, or another checkout.
    """
    seen = facts.observation
    if seen is None or (facts.anchor and not seen.foreign) or not (found := installed.find(seen, facts.settings)):
        return facts
    facts = replace(facts, anchor=found)
    return replace(facts, observation=_observed(seen.host, seen.port, facts))


def _asked(facts: Facts, engine: Engine) -> Facts:
    """Add the clients' own answers, where a registry answers that they should accept."""
    seen = facts.observation
    if seen is None or not seen.certificate or seen.distrust or seen.is_strange or facts.is_untrusted:
        return facts
    # A name that nobody knows here is told as such, and a proxy's trouble is too; both would take long to ask by.
    known = tuple(it for it in facts.settings.names if address.is_ip(it) or facts.resolved.get(it))
    stores = [it.store for it in facts.store_states if it.problem is None]
    if any(finding.client == "docker" for finding in checks_engine.proxy(facts)):
        stores = [store for store in stores if store.key != install.engine_store(engine)]
    skipped = {it.registry_host for it in facts.unverified}
    facts = replace(facts, answers=asking.ask(replace(facts.settings, names=known), engine, stores, skipped))
    wrong = any(it.engine and it.kind is Kind.DISTRUST for it in facts.answers)
    return replace(facts, engine_folder=engine_folder.find(engine)) if wrong else facts


def _is_published(facts: Facts) -> bool:
    """Whether an engine publishes the registry on all of this machine's addresses by the kernel's own rules."""
    by_rules = platform.system() == LINUX and facts.engine and not (facts.engine.rootless or facts.engine.desktop)
    return bool(by_rules) and facts.settings.listen in ("", "0.0.0.0", "::")  # noqa: S104 - compared


def _observed(host: str, port: int, facts: Facts) -> Observation:
    return observe.ask(Endpoint(host, port), facts.anchor.path if facts.anchor else None, thorough=True)


def _container(settings: Settings, engine: Engine) -> Container | None:
    """Return the registry's container; another checkout's without its role, like anybody's."""
    container = engine.find(settings.container)
    return replace(container, role=None) if container and ownership.is_another_s(container, settings) else container


def _issued(facts: Facts) -> Facts:
    """Add this checkout's certificates, or the reason they cannot be used."""
    folder = facts.settings.folder
    facts = replace(facts, anchor=or_none(lambda: issue.trust_anchor(folder, dry=True)))
    try:
        facts = replace(facts, stage=changeover.stage(folder))
        is_issued = any(files.exists(folder / name) for name in MADE_HERE)
        return replace(facts, issued=issue.find(folder, dry=True)) if is_issued else facts
    except RegistryError as error:
        return replace(facts, broken=error)


def _file_modes(settings: Settings) -> tuple[FileMode, ...]:
    paths = [settings.folder, *(settings.folder / name for name in KEYS), users.users_file(settings.folder)]
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            seen = path.lstat()
            found.append(FileMode(path, stat.S_IMODE(seen.st_mode), owned=seen.st_uid == os.geteuid()))
    return tuple(found)


def _allowed(settings: Settings) -> tuple[str, ...]:
    """Return this machine's registry hosts that we allowed plain HTTP for."""
    own = address.own_addresses()
    mine = [it.value for it in or_none(lambda: owned.entries(settings)) or [] if it.store == INSECURE.store]
    return tuple(value for value in mine if urlsplit(f"//{value}").hostname in own)


def _tracked(folder: Path) -> tuple[str, ...]:
    """Return the keys that git tracks: every copy of the repository has them."""
    argv = ["git", "-C", str(folder), "ls-files", "--", *KEYS]
    result = or_none(lambda: program.capture(argv, timeout=5))
    return tuple(result.out.split()) if result and result.ok else ()


def _resolved(settings: Settings) -> dict[str, tuple[str, ...]]:
    return {host: address.resolve(host) for host in settings.hosts if not address.is_ip(host)}


def _key_mounts(settings: Settings, engine: Engine) -> tuple[tuple[str, str], ...]:
    """Return the containers that can read the authority's key.

    A container that mounts a whole disk is left out: such a mount has nothing to do with this project.
    """
    keys = (settings.folder / name for name in signer.KEYS)
    folders = {str(it) for it in (*keys, settings.folder, settings.root)}
    return tuple((name, path) for name, path in or_none(engine.bind_mounts) or [] if path.rstrip("/") in folders)


def _contained(facts: Facts, engine: Engine) -> Facts:
    """Add the wanted container, or the holder of its port if stopped."""
    container, port = facts.container, facts.settings.port
    if facts.issued is None:
        return facts
    if container is None or container.state != "running":
        holder = or_none(lambda: engine.publisher_of(port))
        if holder == front_name(facts.settings.container):
            return facts
        return replace(facts, port_holder=holder or ports.listening_process(port))
    if container.role != Role.TLS:
        return facts
    facts = replace(facts, front=or_none(lambda: front.trouble(container, facts.settings, engine)) or "")
    own = or_none(lambda: installation.known(facts.settings.folder)) or installation.NONE
    image = Image(container.image, container.image_id)
    entry = or_none(lambda: engine.entrypoint(image.id, shell=own.has_shell(image.id))) or ()
    wanted = or_none(lambda: roles.tls(facts.settings, image, entry))
    if wanted is None or wanted.digest != container.digest:
        return replace(facts, wanted=wanted.digest if wanted else "")
    differing = or_none(lambda: contents.differing(wanted, engine)) or []
    return replace(facts, wanted=wanted.digest, edited=next((it.name for it in differing), ""))


def _first_port() -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return 0


def _logins(facts: Facts) -> Facts:
    folder = facts.settings.folder
    try:
        unread = tuple(name for name, hashed in users.read(folder).items() if not users.is_read(hashed))
        return replace(facts, login=users.is_login_required(folder), unread_users=unread)
    except RegistryError as error:
        return replace(facts, broken=facts.broken or error)


def _proxies(engine: Engine, environ: Mapping[str, str]) -> tuple[Proxy, ...]:
    found = []
    info = or_none(engine.info) if engine.available else None
    if info and info.proxy:
        found.append(Proxy("the engine", info.proxy, info.no_proxy))
    if url := next((environ[name] for name in _PROXIES if environ.get(name)), ""):
        past = next((environ[name] for name in _NO_PROXY if environ.get(name)), "")
        found.append(Proxy("this shell", url, past))
    return tuple(found)


def _growth(settings: Settings, engine: Engine) -> float:
    """Return the bytes a day by which the images on the disk grew, according to the registry's history."""
    found = None if settings.storage else or_none(lambda: history.read(VolumeStorage(settings.container, engine)))
    return found.growth if found else 0.0


def _disk(settings: Settings, engine: Engine) -> Disk | None:
    """Return the images' file system, or the engine's if unreadable."""
    info = or_none(engine.info) if engine.available else None
    if info is None or not info.folder:
        return None
    for path in (Path(info.folder, "volumes", settings.volume), Path(info.folder), Path(info.folder).parent):
        with contextlib.suppress(OSError):
            seen = os.statvfs(path)
            return Disk(str(path), seen.f_bavail * seen.f_frsize, seen.f_files, seen.f_favail)
    return None
