"""This machine's trust: looks, plans and carries out, for the Docker Engine that answers here and for a Mac."""

from __future__ import annotations

import ipaddress
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, run
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.trust import apply, daemon, docker, ledger, macos

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.docker import Place

_SYSTEMS = {"Darwin": "macOS"}
_TASKS = {"Darwin": "./inv trust.macos", "Linux": "./inv trust.linux"}


def check_platform(system: str, task: str) -> None:
    """Refuse to do one system's work on another."""
    here = platform.system()
    if here != system:
        instead = _TASKS.get(here, "the commands that ./inv --dry trust.linux shows, as a pattern")
        raise RegistryError(f"{task} is for {_SYSTEMS.get(system, system)}; this is not.", cure=f"Use {instead}.")


def places(settings: Settings, engine: Engine) -> list[Place]:
    """Return each spelling of the registry's name and whether this machine's engine trusts it.

    Raises:
        RegistryError: There is no certificate to trust, or a directory is a link.
    """
    return _look(_certs_d(engine), settings, issue.trusted(settings.folder).path.read_bytes())


def _look(certs_d: Path, settings: Settings, content: bytes) -> list[Place]:
    spellings = address.spellings(settings.hosts, settings.port)
    return docker.find(certs_d, spellings, content, ledger.read(ledger.where()))


def _certs_d(engine: Engine) -> Path:
    if restarts(engine):
        return macos.desktop_folder(Path.home())
    return docker.folder(rootless=engine.here and engine.info().rootless)


def restarts(engine: Engine) -> bool:
    """Whether this engine lives in a machine of its own, which takes certificates in when it starts."""
    return platform.system() == "Darwin" or (engine.here and engine.info().desktop)


def trust(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Have this machine's engine trust the registry by every spelling of its name.

    Returns:
        True when anything was written.

    Raises:
        RegistryError: A place holds another's certificate, or cannot be written.
    """
    return _write("docker", _certs_d(engine), settings, edge)


def trust_desktop(settings: Settings, edge: Edge) -> bool:
    """Write the certificate where Docker Desktop, Colima and OrbStack look; return whether anything was written."""
    return _write("docker-desktop", macos.desktop_folder(Path.home()), settings, edge)


def _write(store: str, certs_d: Path, settings: Settings, edge: Edge) -> bool:
    source = _anchor(settings, edge)
    if source.exists():
        content = source.read_bytes()
        found = _look(certs_d, settings, content)
    else:  # a dry run may have no certificate to compare
        content, spellings = b"", address.spellings(settings.hosts, settings.port)
        found = [docker.Place(it, certs_d / it / docker.FILE, docker.State.ABSENT) for it in spellings]
    plan = docker.plan(store, found, source, content)
    if not edge.dry:
        ledger.record(ledger.where(), ledger.entries(plan, by=settings.root))
    apply.carry_out(plan, edge)
    return bool(plan.operations)


def _anchor(settings: Settings, edge: Edge) -> Path:
    """Return the file that clients trust; in a dry run, the one that there would be."""
    try:
        return issue.trusted(settings.folder, dry=edge.dry).path
    except RegistryError:
        if edge.dry:
            return settings.folder / "ca.crt"
        raise


def trust_keychain(settings: Settings, edge: Edge, keychain: str) -> None:
    """Trust the certificate in a keychain of this Mac."""
    source = _anchor(settings, edge)
    if not edge.dry:
        sha1 = issue.trusted(settings.folder).sha1
        ledger.record(ledger.where(), [ledger.entry(f"keychain-{keychain}", source, b"", by=settings.root, value=sha1)])
    run.act(macos.add(source, keychain, Path.home()), edge)


def remove(settings: Settings, engine: Engine, edge: Edge, *, everyone: bool = False) -> list[str]:
    """Take back what this checkout wrote on this machine, or what every checkout of this user wrote.

    Returns:
        The places that were freed.

    Raises:
        RegistryError: Something cannot be taken back; what was taken back before it is forgotten all the same.
    """
    entries = [entry for entry in ledger.read(ledger.where()) if everyone or entry.by == str(settings.root)]
    whole = [entry for entry in entries if not entry.value]
    unknown = _unknown_to(entries, settings, engine) if everyone else []
    plan, changed = docker.removal("docker", whole + unknown)
    for path in changed:
        edge.warn(f"{path} was changed since it was written here; it stays.")
    apply.carry_out(plan, edge)
    _forget(whole, edge)
    freed = [str(operation.path) for operation in plan.operations]
    for entry in entries:
        if entry.value:
            _take_back(entry, engine, edge)
            _forget([entry], edge)
            freed.append(f"{entry.value} in {entry.path}")
    return freed


def _take_back(entry: ledger.Entry, engine: Engine, edge: Edge) -> None:
    store, _, keychain = entry.store.partition("-")
    if store != "keychain":
        daemon.disallow(entry, engine, edge)
        return
    for argv in macos.remove(Path(entry.path), entry.value, keychain, Path.home()):
        try:
            run.act(argv, edge)
        except RegistryError as error:  # the certificate's file may be another one by now, or gone
            edge.warn(error.message)


def _forget(entries: list[ledger.Entry], edge: Edge) -> None:
    if not edge.dry:
        ledger.forget(ledger.where(), entries)


def _unknown_to(entries: list[ledger.Entry], settings: Settings, engine: Engine) -> list[ledger.Entry]:
    """Return the files that hold this very certificate and are not in the ledger: another user wrote them."""
    try:
        content = issue.trusted(settings.folder).path.read_bytes()
    except RegistryError:
        return []
    known = {entry.path for entry in entries}
    found = [place.path for place in _look(_certs_d(engine), settings, content) if place.state is docker.State.TRUSTED]
    return [ledger.entry("docker", path, content, by=settings.root) for path in found if str(path) not in known]


def unverified(settings: Settings, engine: Engine) -> list[str]:
    """Return the spellings that the engine does not verify at all: its configuration lists them, or their network."""
    listed = engine.info().insecure if engine.here else ()
    networks = [network for entry in listed if (network := _network(entry))]
    return [
        spelling
        for host in settings.hosts
        for spelling in address.spellings((host,), settings.port)
        if spelling in listed
        or (address.is_ip(host) and any(ipaddress.ip_address(host) in network for network in networks))
    ]


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None
