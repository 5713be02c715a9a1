"""Upstreams for which an engine asks a mirror: Docker Hub always, others by hosts.toml alone, which Docker 28 reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trusted_registry.engine.types import PODMAN, EngineInfo
from trusted_registry.mirror.upstream import DOCKER_HUB
from trusted_registry.trust.model import Mirror

_HOSTS_TOML = 28
"""First Docker that reads hosts.toml: in builds, and in pulls with the containerd store (moby/moby, 8b4cb6f58c)."""

_BUILDS_AT_ONCE = 25
"""First Docker whose builds take up a mirror without a restart (moby/moby, cmd/dockerd, newRouterOptions)."""


def is_asked(info: EngineInfo, upstream: str) -> bool:
    """Whether an engine pulls an upstream's images through a mirror under unchanged names."""
    if upstream == DOCKER_HUB or info.product == PODMAN:
        return True
    return _major(info) >= _HOSTS_TOML and info.store == "containerd" and not info.desktop


def limit(info: EngineInfo, mirrors: Sequence[Mirror]) -> str:
    """Return what an engine cannot do with mirrors, and the references that work instead; "" if it can do all.

    Args:
        info: The engine.
        mirrors: The mirrors.
    """
    if info.product == PODMAN:
        return f"{info.title}: it reads registries.conf.d, not daemon.json" if mirrors else ""
    others = [it for it in mirrors if not is_asked(info, it.upstream)]
    if not others:
        return ""
    in_builds = _major(info) >= _HOSTS_TOML and not info.desktop
    builds = "; in builds it asks all of them" if in_builds else ""
    store = f" with its {info.store} store" if in_builds else ""
    changed = "; ".join(f"{it.registry_host}/org/image in place of {it.upstream}/org/image" for it in others)
    name = "Docker Desktop" if info.desktop else info.title
    return f"{name}{store}: it pulls through the mirror of {DOCKER_HUB} alone{builds}. For others: {changed}"


def builds_with_restart(info: EngineInfo, mirrors: Sequence[Mirror]) -> bool:
    """Whether an engine's builds ask the mirror of Docker Hub only once the engine was restarted."""
    has_hub = any(it.upstream == DOCKER_HUB for it in mirrors)
    return has_hub and info.product != PODMAN and not info.desktop and 0 < _major(info) < _BUILDS_AT_ONCE


def _major(info: EngineInfo) -> int:
    found = re.match(r"[0-9]+", info.version)
    return int(found[0]) if found else 0
