"""Mirrors for tests of trust: noted as running, with the files in which clients are told of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.installation import NotedMirror
from trusted_registry.run import Run
from trusted_registry.trust.local import install

if TYPE_CHECKING:
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.settings import Settings

HUB, GITHUB = "docker.io", "ghcr.io"
PORTS = {HUB: 5500, GITHUB: 5501}
HUB_URL = "https://192.168.0.12:5500"
DROP_IN = "/etc/containers/registries.conf.d/50-trusted-registry-mirror.conf"


def note(settings: Settings, *upstreams: str, used: bool = True, offset: int = 0) -> None:
    """Have mirrors run, or be such that no client is to use any more."""
    installation.ensure(settings.folder, Recorder())
    for upstream in upstreams:
        installation.note_mirror(settings.folder, upstream, NotedMirror(PORTS[upstream] + offset, used))


def trust(settings: Settings, engine: Engine, console: Recorder | None = None) -> Recorder:
    """Have this machine's clients trust the registry and use its mirrors."""
    console = console or Recorder()
    install.trust(Run(settings, console), engine)
    return console


def beside(settings: Settings) -> Settings:
    """Return the settings of another checkout on this machine, with the same certificate."""
    root = settings.root / "another"
    root.mkdir()
    (root / "tasks.py").write_text("")
    folder = root / "certs"
    folder.mkdir()
    for path in settings.folder.iterdir():
        if path.is_file() and path.name != installation.FILE:
            (folder / path.name).write_bytes(path.read_bytes())
    return dataclasses.replace(settings, root=root, folder=folder)
