"""What tests of removal begin and end with: machines as they may be found, what trusts there, what takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.machines import DOCKER, REGISTRIES, SPELLINGS, USERS, Machine
from trusted_registry.trust.local import here, takeback
from trusted_registry.trust.local.here import Choice

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

SHARED = "# since 2019\nmirrors:\n    docker.io: # theirs\n        endpoint: [https://mirror.example]\n"
THEIRS = "another's certificate"
FILES = Choice(only=("docker", "podman", "containerd", "k3s", "buildkit"))


def trust(settings: Settings, choice: Choice = FILES) -> None:
    """Have this machine trust the registry."""
    here.trust(settings, nobody(), Recorder(), choice)


def remove(settings: Settings, edge: Recorder | None = None, *, everyone: bool = False) -> list[str]:
    """Take it back, and return where it was taken from."""
    return takeback.remove(settings, nobody(), edge or Recorder(), everyone=everyone)


def nothing(_: Machine) -> None:
    """Leave the machine empty."""


def empty(machine: Machine) -> None:
    """Put folders and a file there that hold nothing."""
    machine.folder(f"{DOCKER}/{SPELLINGS[0]}")
    machine.folder("/etc/containers/certs.d").chmod(0o700)
    machine.file(REGISTRIES)


def others(machine: Machine) -> None:
    """Put what others wrote there, in our places and beside them."""
    machine.file(REGISTRIES, SHARED, 0o600)
    machine.file("/etc/buildkit/buildkitd.toml", 'debug = true\n[registry."docker.io"]\n  http = true\n', 0o640)
    machine.file(f"{DOCKER}/other.example/ca.crt", THEIRS)
    machine.file("/etc/docker/daemon.json", "{}", 0o600)
    machine.file(f"/etc/containerd/certs.d/{SPELLINGS[0]}/theirs.crt", THEIRS)


def already(machine: Machine) -> None:
    """Put a user's folders there, which are read before the machine's."""
    machine.folder(f"{USERS}/{SPELLINGS[0]}")
    machine.file(f"{USERS}/{SPELLINGS[1]}/note")


START = pytest.mark.parametrize("start", [nothing, empty, others, already])
