"""Status of mirrors, for the status of the whole: whether each runs that clients are told of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trusted_registry import address, installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.instance.model import mirror_name
from trusted_registry.settings import Settings


@dataclass(frozen=True)
class MirrorStatus:
    """Mirror: upstream, `host:port`, state of its container, and whether clients here are to use this mirror."""

    upstream: str
    mirror: str
    state: str
    used: bool


def find(settings: Settings, engine: Engine) -> tuple[MirrorStatus, ...]:
    """Return the mirrors that are noted here."""
    found = []
    for name, noted in installation.known(settings.folder).mirrors.items():
        container = engine.find(mirror_name(settings.container, name)) if engine.available else None
        state = container.state if container else "stopped" if engine.available else "not known"
        if container and container.port != noted.port:  # of a cleaning, which serves nothing
            state = "being cleaned"
        found.append(MirrorStatus(name, address.registry_host(settings.address, noted.port), state, noted.used))
    return tuple(found)


def rows(mirrors: Iterable[MirrorStatus]) -> list[list[str]]:
    """Return a row of a table for each mirror."""
    return [[f"mirror of {it.upstream}", f"{it.mirror}; {it.state}"] for it in mirrors]


def troubles(mirrors: Iterable[MirrorStatus]) -> list[str]:
    """Return the mirrors that clients here are told of, and that do not run."""
    return [f"mirror of {it.upstream}: {it.state}" for it in mirrors if it.used and it.state != "running"]
