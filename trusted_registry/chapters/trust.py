"""What this machine trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.chapters.cert import tell
from trusted_registry.edge import printable
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import prove
from trusted_registry.settings import one_of
from trusted_registry.trust import daemon, here, macos

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


def linux(settings: Settings, edge: Edge) -> None:
    """Have this machine's engine trust the registry, and hear from it whether it does."""
    here.check_platform("Linux", "trust.linux")
    engine = engines.connect(edge)
    written(settings, engine, edge)
    if edge.dry:
        return
    for spelling in address.spellings(settings.hosts, settings.port):
        refused = prove.refusal(spelling, engine)
        if refused and prove.is_distrust(refused):
            cure = "Is certs/ the one of that registry? On its machine: ./inv status"
            raise RegistryError(f"The engine still refuses {spelling}: {refused}", cure=cure)
        if refused:
            edge.warn(f"nothing answers at {spelling}, so the trust was not proved: {refused}")
        else:
            edge.say(f"proof: the engine accepts {spelling}")


def written(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Write the trust of this machine's engine, and say so; return whether anything was written."""
    changed = here.trust(settings, engine, edge)
    names = ", ".join(address.spellings(settings.hosts, settings.port))
    restart = "restart Docker Desktop to have it read" if here.restarts(engine) else "no restart needed"
    tell(edge, f"trust: {'now' if changed else 'already'} in place for {names}; {restart}")
    for spelling in here.unverified(settings, engine):
        edge.warn(f"the engine verifies nothing at {spelling}: see insecure-registries in its daemon.json")
    return changed


def on_macos(settings: Settings, edge: Edge, *, keychain: str) -> None:
    """Have this Mac trust the registry: a keychain for its programs, certs.d for its engine."""
    which = one_of("--keychain", keychain, macos.KEYCHAINS)
    if not edge.dry:
        here.check_platform("Darwin", "trust.macos")
    here.trust_keychain(settings, edge, which)
    if here.trust_desktop(settings, edge):
        restart = "; ".join(printable(argv) for argv in macos.restart_desktop())
        tell(edge, f"trust: in place; Docker Desktop reads it when it starts: {restart}")


def insecure(settings: Settings, edge: Edge) -> None:
    """Let the engine use plain HTTP on the LAN address."""
    changed = daemon.allow_plain(settings, engines.connect(edge), edge)
    registry = address.reference(settings.address, settings.plain_port)
    state = "now" if changed else "already"
    tell(edge, f"trust: plain HTTP on {registry} is {state} allowed; nobody verifies it. ./inv trust.remove ends that")


def remove(settings: Settings, edge: Edge, *, everyone: bool) -> None:
    """Take back all that was written here."""
    freed = here.remove(settings, engines.perhaps(edge), edge, everyone=everyone)
    for place in freed:
        tell(edge, f"removed: {place}")
    if not freed:
        edge.say("trust: there is none to take back")
