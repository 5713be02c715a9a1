"""The kit and trust.linux on two machines that were alike: afterwards they are again, byte for byte."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.remote.kits import REGISTRIES, SHELLS, Disk, last, parameters
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.run import Run
from trusted_registry.tasks import trust, trust_kit
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, uninstall

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.process
RECORD = "var/lib/trusted-registry"


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """Settings of a registry with a further name and a port of its own, with a certificate made for them."""
    return certified(names="registry.local", port="8443")


def _stores(root: Path) -> dict[str, tuple[int, bytes]]:
    return {path: it for path, it in snapshot(root).items() if not path.startswith(RECORD)}


@pytest.mark.parametrize("everyone", [False, True])
def test_trust_remove_says_that_a_kit_wrote_here_too_and_all_takes_that(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, everyone: bool
) -> None:
    disk = dataclasses.replace(Disk(tmp_path / "kit"), anchor=trust_kit.load_anchor(settings)).furnish()
    monkeypatch.setattr(machines, "current", lambda: disk.machine)
    monkeypatch.setattr(engines, "connect_if_available", lambda _: nobody())
    trust.remove(Run(settings, console), all=everyone)
    assert console.warned == []
    assert last(disk.here()) == (0, "changed")
    trust.remove(Run(settings, console), all=everyone)
    left = [f"what the kit wrote here is left: sudo sh {disk.script.name} --remove; or both: ./inv trust.remove --all"]
    assert console.warned == ([] if everyone else left)
    assert last(disk.here("--check")) == ((1, "absent") if everyone else (0, "trusted"))


def test_the_copy_that_a_kit_left_is_the_one_that_is_named(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = dataclasses.replace(Disk(tmp_path / "kit"), anchor=trust_kit.load_anchor(settings)).furnish()
    monkeypatch.setattr(machines, "current", lambda: disk.machine)
    monkeypatch.setattr(engines, "connect_if_available", lambda _: nobody())
    assert last(disk.here()) == (0, "changed")
    copy = disk.record.with_name(disk.script.name)
    copy.write_bytes(disk.script.read_bytes())
    trust.remove(Run(settings, console), all=False)
    assert [f"sudo sh {pasteable([str(copy)])} --remove;" in line for line in console.warned] == [True]


@pytest.mark.parametrize("registries", ["", REGISTRIES], ids=["nothing there", "others' entries there"])
@pytest.mark.parametrize("shell", parameters(SHELLS, pytest.mark.long))
def test_the_kit_leaves_a_machine_as_trust_linux_does(
    shell: tuple[str, ...], registries: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = dataclasses.replace(Disk(tmp_path / "kit", shell=shell), anchor=trust_kit.load_anchor(settings)).furnish()
    if registries:
        disk.put("etc/rancher/k3s/registries.yaml", registries, 0o600)
    other = tmp_path / "linux"
    shutil.copytree(disk.root, other)
    before = snapshot(other)
    machine = dataclasses.replace(disk.machine, root=other, home=tmp_path / "nobody")
    monkeypatch.setattr(machines, "current", lambda: machine)

    assert last(disk.here()) == (0, "changed")
    install.trust(Run(settings, Recorder()), nobody())
    assert _stores(other) != before
    assert _stores(disk.root) == _stores(other)

    assert last(disk.here("--remove")) == (0, "changed")
    uninstall.remove(Run(settings, Recorder()), nobody())
    assert snapshot(disk.root) == before == snapshot(other)
