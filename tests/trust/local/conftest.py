"""What tests of this machine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trust.boxes import Box, anchor
from trusted_registry.trust import machine as machines

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.trust.model import TrustAnchor


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A machine with nothing on it."""
    return Box(tmp_path / "machine")


@pytest.fixture
def ours(tmp_path: Path) -> TrustAnchor:
    """What is to be trusted."""
    return anchor(tmp_path / "ours")


@pytest.fixture
def this_machine(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every task take the machine for this one."""
    monkeypatch.setattr(machines, "current", lambda: box.machine)


@pytest.fixture
def docker_podman_k3s(box: Box, this_machine: None) -> None:  # noqa: ARG001 - for what it does
    """Have this machine be one with these clients, and no others."""
    for sign in ("/var/lib/docker", "/var/lib/rancher/k3s"):
        box.folder(sign)
    box.program("podman")
