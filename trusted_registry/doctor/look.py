"""Looks facts up on this machine; nothing is changed, and what cannot be seen is left out."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trusted_registry import address, installation, run
from trusted_registry.certificate import inspect, issue
from trusted_registry.doctor import trusts, wire
from trusted_registry.doctor.facts import Disk, Facts, Kept, Proxy
from trusted_registry.errors import RegistryError
from trusted_registry.registry import ownership, ports, users
from trusted_registry.registry import spec as specs
from trusted_registry.trust.local import daemon, owned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from trusted_registry.registry.answers import Running
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings

    T = TypeVar("T")

KEYS = ("ca.key", "domain.key")
MADE = (*KEYS, "domain.crt")
"""What the registry's own machine has of it; a client has ca.crt alone."""
_PROXIES = ("HTTPS_PROXY", "https_proxy")
_PAST = ("NO_PROXY", "no_proxy")


def local(settings: Settings, engine: Engine, engineless: RegistryError | None, client: str = "") -> Facts:
    """Return the facts about the registry of this checkout, on whichever machine it runs.

    Args:
        settings: The checkout's settings.
        engine: The engine of this machine.
        engineless: Why none answers.
        client: Name of the one store of trust to look at; all that are found by default.
    """
    container = _unless(lambda: _container(settings, engine))
    plain = container is not None and container.role == "plain"
    if container and container.ours:
        port = container.port or settings.port
        settings = replace(settings, plain_port=port) if plain else replace(settings, port=port)
        settings = replace(settings, listen=container.listen)
    facts = _issued(Facts(settings, inspect.now(), engineless=engineless, container=container))
    facts = replace(
        facts,
        kept=_kept(settings),
        tracked=_tracked(settings.folder),
        own=_own(),
        resolved=_resolved(settings),
        engine=_unless(engine.info) if engine.here else None,
        exposed=_exposed(settings, engine),
        proxies=_proxies(engine, os.environ),
        disk=_disk(settings, engine),
        first_port=_first_port(),
        allowed=() if plain and container and container.state == "running" else _allowed(settings),
    )
    facts = _logins(_contained(facts, engine))
    up = container is not None and container.ours and container.state == "running"
    if up:
        host, port = settings.listen or settings.address, settings.plain_port if plain else settings.port
        facts = replace(facts, wire=wire.ask(host, port, facts.anchor.path if facts.anchor else None, facts.now))
    return facts if plain else trusts.add(facts, engine, client)


def remote(settings: Settings, engine: Engine, host: str, port: int, client: str = "") -> Facts:
    """Return the facts about a registry on another machine, as its clients on this one see it."""
    settings, now = replace(settings, address=host, names=(), port=port, listen=""), inspect.now()
    facts = Facts(settings, now, remote=True, anchor=_unless(lambda: issue.trusted(settings.folder, dry=True)))
    facts = replace(
        facts,
        resolved=_resolved(settings),
        engine=_unless(engine.info) if engine.here else None,
        proxies=_proxies(engine, os.environ),
        wire=wire.ask(host, port, facts.anchor.path if facts.anchor else None, now),
    )
    return trusts.add(facts, engine, client)


def _container(settings: Settings, engine: Engine) -> Running | None:
    """Return the registry's container; without a role where it is another checkout's, as one of anybody's."""
    found = engine.find(settings.container)
    return replace(found, role=None) if found and ownership.is_another_s(found, settings) else found


def _unless(ask: Callable[[], T]) -> T | None:
    """Return an answer, or None where there is none to be had: some other check says why."""
    try:
        return ask()
    except RegistryError:
        return None


def _issued(facts: Facts) -> Facts:
    """Add the certificates that are here, or why they cannot be used."""
    folder = facts.settings.folder
    anchor = _unless(lambda: issue.trusted(folder, dry=True))
    if not any((folder / name).exists() for name in MADE):
        return replace(facts, anchor=anchor)
    try:
        return replace(facts, anchor=anchor, issued=issue.find(folder, dry=True))
    except RegistryError as error:
        return replace(facts, anchor=anchor, broken=error)


def _kept(settings: Settings) -> tuple[Kept, ...]:
    paths = [settings.folder, *(settings.folder / name for name in KEYS), users.place(settings.folder)]
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            seen = path.lstat()
            found.append(Kept(path, stat.S_IMODE(seen.st_mode), own=seen.st_uid == os.geteuid()))
    return tuple(found)


def _allowed(settings: Settings) -> tuple[str, ...]:
    """Return where this checkout had the engine use plain HTTP on an address of this machine."""
    own = address.all_own()
    mine = [it.value for it in _unless(lambda: owned.entries(settings)) or [] if it.store == daemon.STORE]
    return tuple(value for value in mine if urlsplit(f"//{value}").hostname in own)


def _tracked(folder: Path) -> tuple[str, ...]:
    """Return the keys that git tracks: whoever has the repository has them."""
    if not shutil.which("git") or not folder.is_dir():
        return ()
    argv = ["git", "-C", str(folder), "ls-files", "--", *KEYS]
    done = _unless(lambda: run.look(argv, timeout=5))
    return tuple(done.out.split()) if done and done.ok else ()


def _own() -> tuple[str, ...]:
    found = [it for interface in address.interfaces() if not interface.bridge for it in interface.addresses]
    return tuple(it for it in found if ":" not in it)


def _resolved(settings: Settings) -> dict[str, tuple[str, ...]]:
    return {host: wire.resolve(host) for host in settings.hosts if not address.is_ip(host)}


def _exposed(settings: Settings, engine: Engine) -> tuple[tuple[str, str], ...]:
    """Return the containers that can read the authority's key; what is given all of a disk is no concern of ours."""
    key = settings.folder / "ca.key"
    folders = {str(key), str(settings.folder), str(settings.root)}
    return tuple((name, path) for name, path in _unless(engine.bound) or [] if path.rstrip("/") in folders)


def _contained(facts: Facts, engine: Engine) -> Facts:
    """Add what the container should be, or who has its port where it does not run."""
    container, port = facts.container, facts.settings.port
    if facts.issued is None:
        return facts
    if container is None or container.state != "running":
        return replace(facts, holder=_unless(lambda: engine.publisher(port)) or ports.listener(port))
    if container.role != "tls":
        return facts
    own = _unless(lambda: installation.known(facts.settings.folder)) or installation.NONE
    shell = own.has_shell(container.image)
    entry = _unless(lambda: engine.entry(container.image, shell=shell)) or ()
    wanted = specs.tls(facts.settings, container.image, entry)
    edited = None
    if wanted.digest == container.digest:
        edited = next((path for path, text in wanted.written.items() if not _says(path, text)), None)
    return replace(facts, wanted=wanted.digest, edited=edited)


def _says(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except OSError:
        return False


def _first_port() -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return 0


def _logins(facts: Facts) -> Facts:
    folder = facts.settings.folder
    try:
        unread = tuple(name for name, hashed in users.known(folder).items() if not users.is_read(hashed))
        return replace(facts, login=users.wanted(folder), unread=unread)
    except RegistryError as error:
        return replace(facts, broken=facts.broken or error)


def _proxies(engine: Engine, environ: Mapping[str, str]) -> tuple[Proxy, ...]:
    found = []
    info = _unless(engine.info) if engine.here else None
    if info and info.proxy:
        found.append(Proxy("the engine", info.proxy, info.no_proxy))
    if url := next((environ[name] for name in _PROXIES if environ.get(name)), ""):
        past = next((environ[name] for name in _PAST if environ.get(name)), "")
        found.append(Proxy("this shell", url, past))
    return tuple(found)


def _disk(settings: Settings, engine: Engine) -> Disk | None:
    """Return the disk of the images; where this user may not look there, the engine's."""
    info = _unless(engine.info) if engine.here else None
    if info is None or not info.folder:
        return None
    for path in (Path(info.folder, "volumes", settings.volume), Path(info.folder), Path(info.folder).parent):
        with contextlib.suppress(OSError):
            seen = os.statvfs(path)
            return Disk(str(path), seen.f_bavail * seen.f_frsize, seen.f_files, seen.f_favail)
    return None
