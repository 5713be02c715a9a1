"""The registry, without TLS and with it, and its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.chapters.cert import tell
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import install, probe, prove, serve
from trusted_registry.settings import whole

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


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
    changed = serve.plain(settings, engines.connect(edge), edge, lan=lan)
    everywhere = settings.listen or "every address of this machine, for anyone to push to"
    where = f"on {everywhere}, port {settings.plain_port}" if lan else f"on localhost:{settings.plain_port} alone"
    tell(edge, f"registry: {_now(changed=changed)}, plain HTTP {where}; ./inv registry.test tries it")


def tls(settings: Settings, engine: Engine, edge: Edge, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Run the TLS registry; return whether anything was started."""
    changed = serve.tls(settings, engine, edge, meanwhile)
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
    if found and found.role == "plain":
        if lan and found.listen.startswith("127."):
            raise RegistryError("The plain registry listens on loopback alone.", cure="./inv registry.basic --lan")
        at, tls = probe.Endpoint(settings.address if lan else "localhost", found.port or settings.plain_port), None
    else:
        at, tls = secured(settings, edge, port=found.port if found else None)
    proved(prove.pack(address.reference(at.host, at.port), engine, image=image), at, tls, engine, edge)


def secured(settings: Settings, edge: Edge, *, port: int | None = None) -> tuple[probe.Endpoint, ssl.SSLContext | None]:
    """Return where the TLS registry is asked, and whom to trust there; in a dry run nobody."""
    tls = None if edge.dry else probe.context(issue.trusted(settings.folder).path)
    return probe.Endpoint(settings.address, port or settings.port), tls


def proved(reference: str, at: probe.Endpoint, tls: ssl.SSLContext | None, engine: Engine, edge: Edge) -> None:
    """Push what was packed, pull it back, compare, clean up, and say so."""
    proof = prove.prove(reference, engine, edge)
    if proof:
        prove.forget(proof, at, tls)
        digest = f"{proof.digest[:19]}…"
        edge.say(f"proof: pushed to {proof.registry} and pulled back, {digest} both times, in {proof.seconds:.1f} s")


def stop(settings: Settings, edge: Edge, *, purge: bool) -> None:
    """Stop the registry, and remove its images when purging."""
    if purge and not edge.ask(f"Remove the volume {settings.volume} and every image in it?"):
        raise RegistryError("Nothing was removed.", cure="./inv registry.stop without --purge keeps the images.")
    changed = serve.stop(settings, engines.connect(edge), edge, purge=purge)
    images = "removed" if purge else f"kept in the volume {settings.volume}"
    tell(edge, f"registry: {'stopped' if changed else 'was not running'}; images {images}")


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
