"""An engine that only says what it is, for what is decided by that alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from trusted_registry.engine.types import EngineInfo
from trusted_registry.trust.specifics import insecure

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.engine.engine import Engine


class StandIn:
    """An engine without root, so that all it reads lies under this test's home; it reads daemon.json when told to.

    As dockerd does, it keeps the registries that it had where the file has no such key (moby/moby, daemon/reload.go).
    """

    def __init__(self, *, deaf: bool = False) -> None:
        self.available = True
        self.reloads = 0
        self._insecure: tuple[str, ...] = ()
        self._deaf = deaf

    def info(self, *, fresh: bool = False) -> EngineInfo:  # noqa: ARG002 - it keeps nothing to be stale
        """Say what it is."""
        return EngineInfo("a stand-in", "1", "", rootless=True, store="classic", insecure=self._insecure, desktop=False)

    def reload(self, path: Path) -> None:
        """Read daemon.json again, unless it is deaf."""
        self.reloads += 1
        said = json.loads(path.read_text()) if path.exists() else {}
        if insecure.KEY in said and not self._deaf:
            self._insecure = tuple(said[insecure.KEY])


def as_engine(stand_in: StandIn) -> Engine:
    """Return it under the type that callers name; it has what they use of that."""
    return cast("Engine", stand_in)


class Nobody:
    """No engine that answers; or one that only says that it runs as root."""

    def __init__(self, *, rootful: bool = False) -> None:
        self.available = rootful

    def info(self, *, fresh: bool = False) -> EngineInfo:  # noqa: ARG002 - it keeps nothing to be stale
        """Say what it is."""
        return EngineInfo("a stand-in", "1", "", rootless=False, store="classic", insecure=(), desktop=False)


def nobody(*, rootful: bool = False) -> Engine:
    """Return it under the type that callers name."""
    return cast("Engine", Nobody(rootful=rootful))
