"""The registry, without TLS and with it, and its proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry import address, given
from trusted_registry.certificate import issue
from trusted_registry.chapters.cert import tell
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import install, ownership, probe, prove, serve, turn, users
from trusted_registry.settings import whole

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.registry.answers import Running
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


_KEEPS_NAMED = 23
"""Major version of the engine from which on a prune of volumes leaves those with a name, unless it is told --all
(docs.docker.com/engine/release-notes/23.0)."""


def engine(edge: Edge) -> None:
    """Have an engine answer, and say which."""
    install.ensure(edge)
    found = engines.connect(edge)
    if found.here:
        info = found.info()
        kind = "rootless" if info.rootless else "root"
        edge.say(f"engine: Docker {info.version} on {info.system}, {info.socket}, {kind}, {info.store} image store")


def basic(settings: Settings, edge: Edge, *, lan: bool) -> None:
    """Run the plain HTTP registry."""
    engine = engines.connect(edge)
    with turn.taken(settings, edge):
        changed = serve.plain(settings, engine, edge, lan=lan)
    everywhere = settings.listen or "every address of this machine, for anyone to push to"
    where = f"on {everywhere}, port {settings.plain_port}" if lan else f"on localhost:{settings.plain_port} alone"
    tell(edge, f"registry: {_now(changed=changed)}, plain HTTP {where}; ./inv registry.test tries it")


def alone(settings: Settings, engine: Engine, edge: Edge) -> None:
    """Run the TLS registry and nothing else beside."""
    with turn.taken(settings, edge):
        serve.check_address(settings, edge)
        tls(settings, engine, edge)


def tls(settings: Settings, engine: Engine, edge: Edge, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Run the TLS registry; return whether anything was started."""
    changed = serve.tls(settings, engine, edge, meanwhile)
    given.keep(settings, edge)
    where = settings.listen or "every address of this machine"
    name = address.reference(settings.address, settings.port)
    tell(edge, f"registry: {_now(changed=changed)}, https://{name}, listening on {where}, port {settings.port}")
    return changed


def _now(*, changed: bool) -> str:
    return "running" if changed else "already running"


def test(settings: Settings, edge: Edge, *, image: str, lan: bool) -> None:
    """Prove the registry that runs here; where none does, the one at the set address."""
    engine = engines.connect(edge)
    found = engine.find(settings.container)
    if not edge.dry:
        _check_runs(found, lan=lan)
    if found and found.role == "plain":
        if lan and found.listen.startswith("127."):
            raise RegistryError("The plain registry listens on loopback alone.", cure="./inv registry.basic --lan")
        host = settings.address if lan else "localhost"
        door = Door(probe.Endpoint(host, found.port or settings.plain_port), None)
    else:
        door = secured(settings, edge, port=found.port if found else None, here=bool(found))
    reference = prove.pack(address.reference(door.at.host, door.at.port), engine, image=image)
    proved(reference, door, engine, edge)


def _check_runs(found: Running | None, *, lan: bool) -> None:
    """Refuse to ask a registry that does not run here; without --lan, one of another machine may be meant.

    Raises:
        RegistryError: It is stopped, or there is none.
    """
    if found and found.ours and found.state != "running":
        plain = "./inv registry.basic --lan" if lan else "./inv registry.basic"
        cure = plain if found.role == "plain" else "./inv up"
        raise RegistryError(f"The registry here does not run: its container is {found.state}.", cure=cure)
    if found is None and lan:
        cure = "./inv registry.basic --lan starts one without TLS, ./inv up one with it."
        raise RegistryError("No registry runs here.", cure=cure)


@dataclass(frozen=True)
class Door:
    """Where a registry is asked, whom to trust there, and where its users are kept: None for one of another machine."""

    at: probe.Endpoint
    tls: ssl.SSLContext | None
    folder: Path | None = None


def secured(settings: Settings, edge: Edge, *, port: int | None = None, here: bool = True) -> Door:
    """Return the door of the TLS registry; in a dry run nobody is trusted there."""
    tls = None if edge.dry else probe.context(issue.trusted(settings.folder).path)
    return Door(probe.Endpoint(settings.address, port or settings.port), tls, settings.folder if here else None)


def proved(reference: str, door: Door, engine: Engine, edge: Edge) -> None:
    """Push what was packed, pull it back, compare, clean up, and say so.

    Where there are users, by a login that is made for it and gone afterwards.
    """
    with users.visitor(door.folder, edge) as login:
        if login and not probe.admits(door.at, door.tls, login.header):
            prove.discard(reference, engine)
            raise RegistryError(
                f"{door.at} does not take a login that was just made.", cure="./inv registry.logs says why."
            )
        proof = prove.prove(reference, engine, edge, login)
        if proof:
            prove.forget(proof, door.at, door.tls, login)
    if proof:
        digest = f"{proof.digest[:19]}…"
        edge.say(f"proof: pushed to {proof.registry} and pulled back, {digest} both times, in {proof.seconds:.1f} s")
    if proof and login:
        edge.say("proof: that was with a login of its own, which is gone again; without one the registry says 401")


def stop(settings: Settings, edge: Edge, *, purge: bool) -> None:
    """Stop the registry, and remove its images when purging."""
    engine = engines.connect(edge)
    if purge:
        ownership.claimed(settings, engine, edge)
    if purge and not edge.ask(f"Remove the volume {settings.volume} and every image in it?"):
        raise RegistryError("Nothing was removed.", cure="./inv registry.stop without --purge keeps the images.")
    with turn.taken(settings, edge, to_end=True):
        changed = serve.stop(settings, engine, edge, purge=purge)
    images = "removed" if purge else f"kept in the volume {settings.volume}"
    tell(edge, f"registry: {'stopped' if changed else 'was not running'}; images {images}")
    if not purge:
        tell_of_prune(settings, engine, edge)


def tell_of_prune(settings: Settings, engine: Engine, edge: Edge) -> None:
    """Say what would take the images of a registry that is stopped: only a container keeps a volume in use."""
    if edge.dry or not engine.here or engine.volume(settings.volume) is None or engine.holders(settings.volume):
        return
    major = engine.info().version.partition(".")[0]
    every = major.isdecimal() and int(major) < _KEEPS_NAMED
    command = "docker volume prune" if every else "docker volume prune --all"
    edge.warn(f"until ./inv up, {command} would take the volume {settings.volume} with its images")


def tell_volumes(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Name further volumes of this installation, and the commands that take them; return whether there are any."""
    found = [] if edge.dry else ownership.volumes(settings, engine)
    for name in found:
        holder = next(iter(engine.holders(name)), settings.container)
        purge = settings.command("registry.stop --purge", container=holder, volume=name)
        edge.warn(f"the volume {name} stays, with its images: {purge}")
    return bool(found)


def logs(settings: Settings, edge: Edge, *, follow: bool, lines: str) -> None:
    """Show what the registry wrote, and go on showing it when following."""
    count = whole("--lines", lines, 1, 100_000)
    following = ["--follow"] if follow else []
    edge.command(["docker", "logs", *following, "--tail", str(count), settings.container])
    engine = engines.connect(edge)
    if edge.dry:
        return
    if not engine.find(settings.container):
        raise RegistryError("No registry runs here.", cure="./inv registry.tls starts one.")
    if follow:
        for text in engine.follow(settings.container, lines=count):
            edge.say(text.rstrip())
    else:
        edge.say(engine.log(settings.container, lines=count).rstrip())
