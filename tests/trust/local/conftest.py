"""What tests of this machine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trust.machines import Machine, subject
from trusted_registry.trust import whereabouts

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.trust.row import Subject


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path / "machine")


@pytest.fixture
def ours(tmp_path: Path) -> Subject:
    """What is to be trusted."""
    return subject(tmp_path / "ours")


@pytest.fixture
def this_machine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every task take the machine for this one."""
    monkeypatch.setattr(whereabouts, "here", lambda: machine.where)


@pytest.fixture
def docker_podman_k3s(machine: Machine, this_machine: None) -> None:  # noqa: ARG001 - for what it does
    """Have this machine be one with these clients, and no others."""
    for sign in ("/var/lib/docker", "/var/lib/rancher/k3s"):
        machine.folder(sign)
    machine.program("podman")
