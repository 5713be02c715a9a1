"""What --fix does: it restores what is ours, asks before it changes more, and touches nothing of anybody else's."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import mode, snapshot
from tests.fake_engine import FakeEngine, container, nobody
from tests.recorder import Recorder
from trusted_registry.certificate import issue
from trusted_registry.doctor import mend
from trusted_registry.doctor.finding import ChmodFix, Finding, Fix, RenewFix, RestartFix, StartFix, TrustFix
from trusted_registry.instance import running
from trusted_registry.run import Run
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import ledger
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

OTHER = b"somebody else's\n"


def finding(fix: Fix | None, *, asks: bool = False) -> Finding:
    """Return something that is wrong, with what may be done about it."""
    return Finding("x", "evidence", "cause", ("cure",), fix, asks)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plays the machine's disk, on which docker and podman are found."""
    root = tmp_path / "disk"
    for program in ("podman", "dockerd"):
        path = root / "bin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o755)
    (root / "var/lib/docker").mkdir(parents=True)
    home = root / "home"
    machine = machines.Machine(
        home, home / ".config", home / ".local", root / "run", home / ".docker", (root / "bin",), root
    )
    monkeypatch.setattr(machines, "current", lambda: machine)
    return root


def test_a_finding_without_a_fix_is_left_alone(settings: Settings, console: Recorder) -> None:
    before = snapshot(settings.root)
    assert mend.apply([finding(None)], Run(settings, console), nobody()) == 0
    assert (snapshot(settings.root), console.commands, console.asked) == (before, [], [])


@pytest.mark.process
def test_a_key_s_mode_is_restored_without_a_question(settings: Settings, console: Recorder) -> None:
    key = settings.folder / "issuer.key"
    key.chmod(0o644)
    assert mend.apply([finding(ChmodFix(key, "go-rwx"))], Run(settings, console), nobody()) == 1
    assert (mode(key), console.asked) == (0o600, [])


@pytest.mark.parametrize("fix", [StartFix(), RenewFix(), TrustFix("docker")])
def test_what_changes_more_is_asked_about_and_no_is_an_answer(fix: Fix, settings: Settings, disk: Path) -> None:
    console = Recorder(answer=False)
    before = (snapshot(settings.root), snapshot(disk))
    assert mend.apply([finding(fix, asks=True)], Run(settings, console), nobody()) == 0
    assert (len(console.asked), (snapshot(settings.root), snapshot(disk))) == (1, before)


def test_the_same_fix_is_done_once(settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(running, "restart", lambda *_: done.append("restart"))
    twice = [finding(RestartFix()), finding(RestartFix())]
    assert mend.apply(twice, Run(settings, console), nobody()) == 1
    assert done == ["restart"]


def test_an_absent_trust_is_written_and_noted(settings: Settings, console: Recorder, disk: Path) -> None:
    assert mend.apply([finding(TrustFix("docker"), asks=True)], Run(settings, console), nobody()) == 1
    written = disk / "etc/docker/certs.d" / settings.address / "ca.crt"
    assert written.read_bytes() == (settings.folder / "ca.crt").read_bytes()
    assert str(written) in {entry.path for entry in ledger.read(ledger.path())}


def test_trust_of_ours_that_is_stale_is_written_anew(settings: Settings, console: Recorder, disk: Path) -> None:
    mend.apply([finding(TrustFix("docker"))], Run(settings, console), nobody())
    issue.ensure(Run(settings, console), force=True)
    assert mend.apply([finding(TrustFix("docker"))], Run(settings, console), nobody()) == 1
    written = disk / "etc/docker/certs.d" / settings.address / "ca.crt"
    assert written.read_bytes() == (settings.folder / "ca.crt").read_bytes()


def _strangers(root: Path, settings: Settings) -> list[Path]:
    """Return a file of somebody else's in every place that trust is written to, by the table itself."""
    anchor = TrustAnchor(b"", "0" * 64, (settings.address, f"{settings.address}:443"))
    machine = dataclasses.replace(machines.current(), root=root)
    named = [file.path for store in client_stores.STORES for file in store.files(anchor) if file.registry_host]
    shared = [block.path for store in client_stores.STORES for block in store.blocks(anchor)]
    return [machine.path(path) for path in dict.fromkeys((*named, *shared))]


def test_a_file_of_somebody_else_s_in_any_place_is_not_touched(
    settings: Settings, console: Recorder, disk: Path
) -> None:
    foreign = _strangers(disk, settings)
    assert len({path.parent.parent for path in foreign}) > 4
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mirrors: {x: 1}\n" if path.suffix == ".yaml" else OTHER)
    before = snapshot(disk)
    for name in dict.fromkeys(store.name for store in client_stores.STORES if not store.on_request):
        mend.apply([finding(TrustFix(name))], Run(settings, console), nobody())
    after = snapshot(disk)
    assert {name: after[name] for name in before} == before
    assert console.warned


def test_one_fix_that_fails_does_not_keep_the_others_from_being_tried(
    settings: Settings, console: Recorder, disk: Path
) -> None:
    path = disk / "etc/docker/certs.d" / settings.address / "ca.crt"
    path.parent.mkdir(parents=True)
    path.write_bytes(OTHER)
    both = [finding(TrustFix("docker")), finding(TrustFix("podman"))]
    assert mend.apply(both, Run(settings, console), nobody()) == 1
    assert (path.read_bytes(), len(console.warned)) == (OTHER, 1)
    assert (disk / "etc/containers/certs.d" / settings.address / "ca.crt").exists()


def test_a_container_of_somebody_else_s_with_the_registry_s_name_is_not_touched(
    settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    forge.save(forge.server(None), tmp_path, "theirs")
    engine = FakeEngine(container=container(role=None))
    assert mend.apply([finding(StartFix())], Run(settings, console), engine) == 0
    assert (engine.done, len(console.warned)) == ([], 1)


def test_a_dry_run_of_a_fix_changes_nothing(settings: Settings, disk: Path) -> None:
    console = Recorder(dry=True)
    before = (snapshot(settings.root), snapshot(disk))
    wrong = [finding(ChmodFix(settings.folder / "issuer.key", "go-rwx")), finding(TrustFix("docker"))]
    mend.apply(wrong, Run(settings, console), nobody())
    assert ((snapshot(settings.root), snapshot(disk)), bool(console.commands)) == (before, True)
