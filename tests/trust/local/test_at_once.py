"""Several runs at once, and disks that are full: all that is asked for is there afterwards, or nothing is by halves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import mounted
from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.marks import by_root
from tests.recorder import Recorder
from tests.trust.boxes import Box, states
from tests.trust.one_run import CHOICE
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import install, ledger, uninstall
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

NAMES = ("a.local", "b.local", "c.local")
ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.usefixtures("this_machine")


@pytest.fixture
def box(box: Box) -> Box:
    """The same, with others' entries on it."""
    box.file("/etc/rancher/k3s/registries.yaml", "mirrors:\n  docker.io:\n", 0o600)
    return box


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """Settings of a registry with further names, with a certificate made for them."""
    return certified(names=",".join(NAMES))


def _at_once(folder: Path, runs: Iterable[tuple[str, str]]) -> list[str]:
    """Start runs together and return what they wrote to standard error."""
    argv = [sys.executable, "-B", "-m", "tests.trust.one_run", str(folder)]
    started = [
        subprocess.Popen([*argv, *run], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for run in runs
    ]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), said
    return said


@pytest.mark.process
def test_runs_at_once_lose_nothing_of_each_other(box: Box, settings: Settings, tmp_path: Path) -> None:
    before = snapshot(box.root)
    assert set(_at_once(tmp_path, [("trust", name) for name in NAMES])) == {""}
    assert set(states(settings, nobody(), CHOICE).values()) == {State.TRUSTED}
    uninstall.remove(Run(settings, Recorder()), nobody())
    assert (snapshot(box.root), ledger.read(ledger.path())) == (before, [])


@pytest.mark.process
def test_trust_and_removal_at_once_leave_either_all_or_nothing(box: Box, settings: Settings, tmp_path: Path) -> None:
    before = snapshot(box.root)
    _at_once(tmp_path, [("trust", NAMES[0]), ("remove", NAMES[0]), ("trust", NAMES[0])])
    left = {State.TRUSTED} if ledger.read(ledger.path()) else {State.ABSENT}
    found = states(settings, nobody(), CHOICE)
    assert {state for (_, registry_host), state in found.items() if registry_host.startswith(("192", NAMES[0]))} == left
    uninstall.remove(Run(settings, Recorder()), nobody())
    assert snapshot(box.root) == before


@by_root
@pytest.mark.parametrize("template", ["/etc/docker", "/etc/rancher/k3s"])
def test_a_full_disk_is_named_with_its_cure_and_holds_no_half_of_a_file(
    template: str, box: Box, settings: Settings, console: Recorder
) -> None:
    folder = box.folder(template)
    shared = box.machine.path("/etc/rancher/k3s/registries.yaml")
    with mounted(folder, "size=256k"):
        if shared.parent == folder:
            shared.write_text("mirrors:\n")
        filled = folder / "full"
        with pytest.raises(OSError, match="No space left"):
            filled.write_bytes(bytes(1 << 20))
        with pytest.raises(RegistryError, match="No space left") as caught:
            install.trust(Run(settings, console), nobody(), CHOICE)
        assert caught.value.cure.startswith("Make room on the disk: df -h")
        assert [it for it in folder.rglob("*") if it.is_file() and it not in (filled, shared)] == []
        assert "trusted-registry" not in shared.read_text()
        filled.unlink()
        install.trust(Run(settings, console), nobody(), CHOICE)
        assert set(states(settings, nobody(), CHOICE).values()) == {State.TRUSTED}
        uninstall.remove(Run(settings, console), nobody())
        assert [it for it in folder.rglob("*") if it.is_file() and it != shared] == []


def test_a_read_only_disk_is_named_with_its_cure(
    box: Box, settings: Settings, console: Recorder, read_only: Path
) -> None:
    box.folder("/etc")
    box.machine.path("/etc/docker").symlink_to(read_only)
    with pytest.raises(RegistryError) as caught:
        install.trust(Run(settings, console), nobody(), CHOICE)
    assert caught.value.cure
    assert list(read_only.iterdir()) == []


def test_a_ledger_that_cannot_be_written_leaves_every_store_as_it_was(
    box: Box, settings: Settings, console: Recorder, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(read_only))
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        install.trust(Run(settings, console), nobody(), CHOICE)
    assert (bool(caught.value.cure), snapshot(box.root)) == (True, before)
