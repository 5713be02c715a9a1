"""What tests with many hosts, and those with many nodes, share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import sshd
from tests.programs import real
from tests.trust.elsewhere.cluster import Api, Go, rounds
from tests.trust.elsewhere.fleets import ADDRESSES, PROGRAMS, Fleet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.recorder import Recorder
    from tests.sshd import Farm
    from trusted_registry.settings import Settings


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("sshd")
    (folder / "tmp").mkdir()
    (folder / "disks").mkdir()
    (folder / "programs").mkdir()
    for name in PROGRAMS:
        (folder / "programs" / name).symlink_to(real(name))
    variables = {"PATH": folder / "programs", "TMPDIR": folder / "tmp", "DISKS": folder / "disks"}
    with sshd.farm(folder, ADDRESSES, {name: str(value) for name, value in variables.items()}) as made:
        yield made


@pytest.fixture
def fleet(farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("ANSIBLE_TIMEOUT", "3")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")  # no connection outlives its test
    made = Fleet(farm, tmp_path)
    made.has(one=ADDRESSES[0], two=ADDRESSES[1], three=ADDRESSES[2])
    return made


@pytest.fixture
def no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a real kubectl, and with it real clusters, out of reach."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def api() -> Api:
    """An engine without containers; a test adds the nodes."""
    return Api()


@pytest.fixture
def go(settings: Settings, api: Api, edge: Recorder) -> Go:
    """A maker of rounds over the nodes."""
    return rounds(settings, api, edge)
