"""This machine's trust: looks, plans and carries out for the Docker Engine that answers here."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, run
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.trust import apply, daemon, docker, ledger, macos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.certificate.inspect import Facts
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.docker import Place


def check_platform(system: str, task: str) -> None:
    """Refuse to do one system's work on another."""
    if platform.system() != system:
        other = {"Darwin": "./inv trust.macos", "Linux": "./inv trust.linux"}.get(
            platform.system(), "the README's page on trust"
        )
        raise RegistryError(
            f"{task} is for {'macOS' if system == 'Darwin' else system}; this is not.", cure=f"Use {other}."
        )


def places(settings: Settings, engine: Engine) -> list[Place]:
    """Return each spelling of the registry's name and whether this machine's engine trusts it.

    Raises:
        RegistryError: There is no certificate to trust, or a directory is a link.
    """
    content = issue.trusted(settings.folder).path.read_bytes()
    spellings = address.spellings(settings.hosts, settings.port)
    return docker.find(_certs_d(engine), spellings, content, ledger.read(ledger.where()))


def _certs_d(engine: Engine) -> Path:
    if platform.system() == "Darwin":
        return macos.desktop_folder(Path.home())
    return docker.folder(rootless=engine.here and engine.info().rootless)


def trust(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Have this machine's engine trust the registry by every spelling of its name.

    Returns:
        True when anything was written.

    Raises:
        RegistryError: A place holds another's certificate, or cannot be written.
    """
    source = settings.folder / "ca.crt"
    if edge.dry and not (source.exists() or (settings.folder / "domain.crt").exists()):
        content, found = b"", _absent(settings, engine)
    else:
        source = issue.trusted(settings.folder).path
        content, found = source.read_bytes(), places(settings, engine)
    store = _certs_d(engine).parent.name
    plan = docker.plan(store, found, source, content)
    if not edge.dry:
        ledger.record(ledger.where(), ledger.entries(plan, by=settings.root))
    apply.carry_out(plan, edge)
    return bool(plan.operations)


def _absent(settings: Settings, engine: Engine) -> list[Place]:
    """Return the places of a certificate that a dry run has not made."""
    certs_d = _certs_d(engine)
    spellings = address.spellings(settings.hosts, settings.port)
    return [docker.Place(it, certs_d / it / docker.FILE, docker.State.ABSENT) for it in spellings]


def remove(settings: Settings, engine: Engine, edge: Edge, *, everyone: bool = False) -> list[str]:
    """Take back what this checkout wrote on this machine, or what every checkout of this user wrote.

    Returns:
        The places that were freed.

    Raises:
        RegistryError: A file cannot be removed; what was already taken back is forgotten all the same.
    """
    entries = [entry for entry in ledger.read(ledger.where()) if everyone or entry.by == str(settings.root)]
    whole = _with_equal_files([entry for entry in entries if not entry.value], settings, engine)
    plan, changed = docker.removal("docker", whole)
    for path in changed:
        edge.warn(f"{path} was changed since it was written here; it stays.")
    apply.carry_out(plan, edge)
    freed = [str(operation.path) for operation in plan.operations]
    _forget([entry for entry in entries if not entry.value], edge)
    for entry in entries:
        if entry.value:
            daemon.disallow(entry, engine, edge)
            _forget([entry], edge)
            freed.append(f"{entry.value} in {entry.path}")
    return freed


def _forget(entries: list[ledger.Entry], edge: Edge) -> None:
    if not edge.dry:
        ledger.forget(ledger.where(), entries)


def _with_equal_files(entries: list[ledger.Entry], settings: Settings, engine: Engine) -> list[ledger.Entry]:
    """Add the files that hold this very certificate though the ledger does not know them: another user wrote them."""
    try:
        anchor = issue.trusted(settings.folder)
    except RegistryError:
        return entries
    content = anchor.path.read_bytes()
    known = {entry.path for entry in entries}
    found = docker.find(_certs_d(engine), address.spellings(settings.hosts, settings.port), content, entries)
    return entries + [
        ledger.Entry("docker", str(place.path), ledger.digest(content), "", str(settings.root), "")
        for place in found
        if place.state is docker.State.TRUSTED and str(place.path) not in known
    ]


def unverified(settings: Settings, engine: Engine) -> list[str]:
    """Return the spellings that the engine does not verify at all, because its configuration lists them."""
    listed = engine.info().insecure if engine.here else ()
    return [spelling for spelling in address.spellings(settings.hosts, settings.port) if spelling in listed]


def trust_keychain(settings: Settings, edge: Edge, which: str) -> None:
    """Trust the certificate in a keychain of this Mac."""
    source = _source(settings, edge)
    run.act(macos.add(source, which, Path.home()), edge)


def trust_desktop(settings: Settings, edge: Edge) -> bool:
    """Write the certificate where Docker Desktop, Colima and OrbStack look; return whether anything was written."""
    source = _source(settings, edge)
    content = source.read_bytes() if source.exists() else b""
    spellings = address.spellings(settings.hosts, settings.port)
    found = docker.find(macos.desktop_folder(Path.home()), spellings, content, ledger.read(ledger.where()))
    plan = docker.plan("docker-desktop", found, source, content)
    if not edge.dry:
        ledger.record(ledger.where(), ledger.entries(plan, by=settings.root))
    apply.carry_out(plan, edge)
    return bool(plan.operations)


def forget_keychain(anchor: Facts, edge: Edge, which: Iterable[str]) -> None:
    """Take the certificate out of keychains again."""
    from cryptography.hazmat.primitives import hashes

    sha1 = anchor.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name in the keychain, not a proof
    for keychain in which:
        for argv in macos.remove(anchor.path, sha1, keychain, Path.home()):
            run.act(argv, edge)


def _source(settings: Settings, edge: Edge) -> Path:
    return settings.folder / "ca.crt" if edge.dry else issue.trusted(settings.folder).path
