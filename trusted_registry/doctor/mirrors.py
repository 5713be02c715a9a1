"""Collects the facts about the mirrors that clients here are told of."""

from __future__ import annotations

from trusted_registry import address, installation
from trusted_registry.doctor.facts import Disk, MirrorFacts, or_none
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance import proof
from trusted_registry.instance.model import mirror_name
from trusted_registry.mirror import pull, reach
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import probe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings

_SECONDS = 5
"""Seconds in which a mirror's files are listed, or are not."""


def gather(settings: Settings, engine: Engine) -> tuple[MirrorFacts, ...]:
    """Return the facts about each mirror; none where no engine answers."""
    noted = or_none(lambda: installation.known(settings.folder).mirrors) or {}
    if not engine.available:
        return ()
    return tuple(_facts(Upstream(name), it.port, settings, engine) for name, it in noted.items() if it.used)


def _facts(upstream: Upstream, port: int, settings: Settings, engine: Engine) -> MirrorFacts:
    name, at = mirror_name(settings.container, upstream.name), address.registry_host(settings.address, port)
    container = or_none(lambda: engine.find(name))
    if container is None or container.state != "running":
        return MirrorFacts(upstream.name, at, container.state if container else "not there")
    endpoint = Endpoint(settings.listen or settings.address, port)
    disk = _disk(name, engine)
    try:
        if not proof.holds(endpoint, settings, asks=False):
            return MirrorFacts(upstream.name, at, container.state, stale=True, disk=disk)
        found = reach.find(upstream, pull.client(endpoint, settings), name, engine)
    except RegistryError as error:
        return MirrorFacts(upstream.name, at, container.state, error=error.message, disk=disk)
    except probe.NO_ANSWER as error:
        return MirrorFacts(upstream.name, at, container.state, error=str(error), disk=disk)
    return MirrorFacts(upstream.name, at, container.state, reach=found, disk=disk)


def _disk(name: str, engine: Engine) -> Disk | None:
    """Return the file system of a mirror's images, as its own container sees that."""
    listed = or_none(lambda: VolumeStorage(name, engine).files(seconds=_SECONDS))
    return Disk(f"the volume {name}", listed.free, 0, 0) if listed and listed.free is not None else None
