"""Engines that read a daemon.json: which registries they verify, and which mirrors they ask, is decided there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fake_engine import FakeEngine
from trusted_registry.trust.specifics.daemon_json import INSECURE, MIRRORS

if TYPE_CHECKING:
    from pathlib import Path


class RootlessEngine(FakeEngine):
    """An engine without root, so that all it reads lies under this test's home; it reads daemon.json when told to.

    As dockerd does, it keeps what it had where the file has no such key (moby/moby, daemon/reload.go).
    """

    def __init__(self, *, deaf: bool = False, socket: str = "") -> None:
        super().__init__()
        self.said = replace(self.said, rootless=True, socket=socket)
        self.reloads = 0
        self._deaf = deaf

    def verifies_nothing_at(self, *registries: str) -> None:
        """Have registries whose certificates are not verified."""
        self.said = replace(self.said, insecure=registries)

    def asks_mirrors(self, *urls: str) -> None:
        """Have mirrors of Docker Hub."""
        self.said = replace(self.said, mirrors=urls)

    def reload(self, path: Path) -> None:
        """Read daemon.json again, unless it is deaf."""
        self.reloads += 1
        text = path.read_text() if path.exists() else ""
        said = json.loads(text) if text.strip() else {}
        if INSECURE.key in said and not self._deaf:
            self.verifies_nothing_at(*dict.fromkeys(_without_scheme(it) for it in said[INSECURE.key]))
        if MIRRORS.key in said and not self._deaf:
            self.asks_mirrors(*(it.removesuffix("/") + "/" for it in said[MIRRORS.key]))


def _without_scheme(entry: str) -> str:
    """Return an entry as dockerd takes it (moby/moby, registry/config.go)."""
    scheme, found, rest = entry.partition("://")
    return rest if found and scheme.lower() in ("http", "https") else entry
