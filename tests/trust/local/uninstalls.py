"""What tests of removal begin and end with: machines as they may be found, what trusts there, what takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import DOCKER, REGISTRIES, SPELLINGS, USERS, Box
from trusted_registry.run import Run
from trusted_registry.trust.local import install, uninstall
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

SHARED = "# since 2019\nmirrors:\n    docker.io: # theirs\n        endpoint: [https://mirror.example]\n"
THEIRS = "another's certificate"
FILES = StoreSelection(only=("docker", "podman", "containerd", "k3s", "buildkit"))


def trust(settings: Settings, selection: StoreSelection = FILES) -> None:
    """Have this machine trust the registry."""
    install.trust(Run(settings, Recorder()), nobody(), selection)


def remove(settings: Settings, console: Recorder | None = None, *, everyone: bool = False) -> list[str]:
    """Take it back, and return where it was taken from."""
    return uninstall.remove(Run(settings, console or Recorder()), nobody(), everyone=everyone)


def nothing(_: Box) -> None:
    """Leave the machine empty."""


def empty(box: Box) -> None:
    """Put folders and a file there that hold nothing."""
    box.folder(f"{DOCKER}/{SPELLINGS[0]}")
    box.folder("/etc/containers/certs.d").chmod(0o700)
    box.file(REGISTRIES)


def others(box: Box) -> None:
    """Put what others wrote there, in our places and beside them."""
    box.file(REGISTRIES, SHARED, 0o600)
    box.file("/etc/buildkit/buildkitd.toml", 'debug = true\n[registry."docker.io"]\n  http = true\n', 0o640)
    box.file(f"{DOCKER}/other.example/ca.crt", THEIRS)
    box.file("/etc/docker/daemon.json", "{}", 0o600)
    box.file(f"/etc/containerd/certs.d/{SPELLINGS[0]}/theirs.crt", THEIRS)


def already(box: Box) -> None:
    """Put a user's folders there, which are read before the machine's."""
    box.folder(f"{USERS}/{SPELLINGS[0]}")
    box.file(f"{USERS}/{SPELLINGS[1]}/note")


START = pytest.mark.parametrize("start", [nothing, empty, others, already])
