"""cert.renew-authority, step by step: what is done at each, what is said of the next, and what may not be left out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.engines import RootlessEngine
from trusted_registry.certificate import changeover, inspect, issue
from trusted_registry.certificate.changeover import Stage
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import running
from trusted_registry.run import Run
from trusted_registry.tasks import authority, cert, trust_kit
from trusted_registry.trust import machine as machines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

HOST = "192.168.0.12"


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How the registry was restarted, whether only if it was stale."""
    done: list[bool] = []

    def restart(_run: Run, *, stale_only: bool = False) -> bool:
        done.append(stale_only)
        return not stale_only

    monkeypatch.setattr(running, "restart", restart)
    return done


@pytest.fixture
def settings(certified: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A checkout whose certificate is for this machine, with an engine that reads a folder of this test's own."""
    engine = RootlessEngine()
    monkeypatch.setattr(engines, "connect", lambda _console: engine)
    monkeypatch.setattr(engines, "connect_if_available", lambda _console, **_options: engine)
    monkeypatch.setattr("trusted_registry.address.is_elsewhere", lambda _address: False)
    return certified()


def _step(settings: Settings, console: Recorder | None = None, *, switch: bool = False, finish: bool = False) -> None:
    authority.renew(Run(settings, console or Recorder()), switch=switch, finish=finish)


def _held() -> dict[str, bytes]:
    folder = machines.current().path("{config}/docker/certs.d") / HOST
    return {path.name: path.read_bytes() for path in folder.glob("*.crt")}


def test_three_steps_change_the_authority_and_leave_nothing_of_the_old_one(
    settings: Settings, restarts: list[bool]
) -> None:
    old, console = (settings.folder / "ca.crt").read_bytes(), Recorder()
    _step(settings, console)
    new = (settings.folder / "next" / "ca.crt").read_bytes()
    assert (_held(), restarts) == ({"ca.crt": old, "ca-new.crt": new}, [])
    assert console.said[-1].endswith("./inv cert.renew-authority --switch")
    _step(settings, console, switch=True)
    assert (_held(), restarts) == ({"ca.crt": old, "ca-new.crt": new}, [False])
    assert console.said[-1].endswith("./inv cert.renew-authority --finish")
    _step(settings, console, finish=True)
    assert (_held(), changeover.stage(settings.folder)) == ({"ca.crt": new}, Stage.NONE)
    issued = issue.find(settings.folder)
    assert issued
    assert issued.anchor.path.read_bytes() == new


def test_each_step_can_be_repeated(settings: Settings, restarts: list[bool]) -> None:
    _step(settings)
    before = snapshot(settings.folder)
    _step(settings)
    assert snapshot(settings.folder) == before
    _step(settings, switch=True)
    before = snapshot(settings.folder)
    _step(settings, switch=True)
    assert (snapshot(settings.folder), restarts) == (before, [False, True])


@pytest.mark.parametrize("begun", [False, True])
def test_no_step_is_left_out(settings: Settings, restarts: list[bool], *, begun: bool) -> None:
    if begun:
        _step(settings)
    before = snapshot(settings.folder)
    with pytest.raises(RegistryError, match="no old root") as caught:
        _step(settings, finish=True)
    assert ("--switch" in caught.value.cure) is begun
    if not begun:
        with pytest.raises(RegistryError, match="No changeover has begun"):
            _step(settings, switch=True)
    assert (snapshot(settings.folder), restarts) == (before, [])


def test_two_steps_at_once_are_refused(settings: Settings) -> None:
    with pytest.raises(SettingError, match="two steps"):
        _step(settings, switch=True, finish=True)


def test_an_old_root_that_could_not_be_taken_back_is_not_forgotten(
    settings: Settings, restarts: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    _step(settings)
    _step(settings, switch=True)
    with monkeypatch.context() as patch:
        patch.setattr("trusted_registry.trust.local.outdated.take_back", lambda *_arguments: None)
        with pytest.raises(RegistryError, match="still trusted"):
            _step(settings, finish=True)
    assert (changeover.stage(settings.folder), len(restarts)) == (Stage.SWITCHED, 2)
    _step(settings, finish=True)
    assert changeover.stage(settings.folder) is Stage.NONE


def test_force_ends_a_changeover(settings: Settings, restarts: list[bool]) -> None:
    _step(settings)
    cert.make(Run(settings, Recorder()), self_signed=False, force=True, tool="")
    assert (changeover.stage(settings.folder), restarts) == (Stage.NONE, [])


def test_a_name_of_the_new_authority_is_in_the_certificate_after_the_switch(
    make_settings: MakeSettings, settings: Settings, restarts: list[bool]
) -> None:
    console = Recorder()
    named = make_settings(tool="cryptography", names="registry.example.com")
    _step(named, console)
    assert "--switch --names registry.example.com" in console.said[-1]
    _step(settings, switch=True)
    issued = issue.find(settings.folder)
    assert issued
    assert (issued.server.missing(("registry.example.com",)), restarts) == ((), [False])


def test_the_step_is_shown_with_the_certificate(
    settings: Settings, restarts: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-openssl"))
    _step(settings)
    console = Recorder()
    cert.show(Run(settings, console))
    assert (f"changeover: {Stage.HANDED_OUT.value}" in console.said, restarts) == (True, [])
    assert any(line.startswith("issuer: ") for line in console.said)


# The kits of the old root


def _kits(settings: Settings) -> set[str]:
    return {path.name for path in settings.folder.glob("trust-*")}


def _write_kits(settings: Settings) -> set[str]:
    """Write a kit and its page for the root that counts, and return their names."""
    return {path.name for path in trust_kit.write(Run(settings, Recorder()))}


@pytest.mark.usefixtures("restarts")
def test_the_end_takes_the_old_root_s_kits_and_pages_away_and_keeps_those_of_the_new_one(settings: Settings) -> None:
    named = dataclasses.replace(settings, port=8443)
    old = _write_kits(settings) | _write_kits(named)
    _step(settings)
    _write_kits(settings)
    _step(settings, switch=True)
    new = _write_kits(settings)
    assert (len(old), len(new), old & new, _kits(settings)) == (4, 2, set(), old | new)
    dry, console = Recorder(dry=True), Recorder()
    _step(settings, dry, finish=True)
    assert all(["rm", str(settings.folder / name)] in dry.commands for name in old)
    assert (_kits(settings), dry.said) == (old | new, [])
    _step(settings, console, finish=True)
    assert _kits(settings) == new
    (told,) = (line for line in console.said if line.startswith("kits: "))
    assert told == f"kits: removed those for the old root: {', '.join(sorted(old))}"


@pytest.mark.usefixtures("restarts")
def test_only_files_that_are_kits_of_the_old_root_by_their_names_are_taken_away(
    settings: Settings, tmp_path: Path
) -> None:
    digits = inspect.read(settings.folder / "ca.crt").fingerprint[:16]
    others = [
        f"trust-my notes-{digits}.sh",
        f"trust-{HOST}-{digits}.txt",
        f"trust-{digits}.sh",
        f"trust-a-{'0' * 16}.sh",
    ]
    for name in others:
        (settings.folder / name).write_text("others'")
    (tmp_path / "elsewhere").write_text("others'")
    links = [f"trust-link-{digits}.sh", f"trust-dangling-{digits}.html"]
    for name, target in zip(links, ("elsewhere", "nowhere"), strict=True):
        (settings.folder / name).symlink_to(tmp_path / target)
    (settings.folder / f"trust-folder-{digits}.sh").mkdir()
    stays = _kits(settings)
    _step(settings)
    _write_kits(settings)
    (settings.folder / f"trust-registry.lan-8443-{digits}.html").write_text("a page")
    _step(settings, switch=True)
    _step(settings, finish=True)
    assert (_kits(settings), len(stays)) == (stays, 7)
    assert (tmp_path / "elsewhere").read_text() == "others'"


@pytest.mark.usefixtures("restarts")
def test_without_a_kit_of_the_old_root_nothing_is_said_of_kits(settings: Settings) -> None:
    _step(settings)
    _step(settings, switch=True)
    new, console = _write_kits(settings), Recorder()
    _step(settings, console, finish=True)
    assert (_kits(settings), [line for line in console.said if "kits" in line]) == (new, [])


@pytest.mark.usefixtures("restarts")
def test_a_kit_of_the_old_root_that_was_run_here_stays_with_what_takes_it_back(settings: Settings) -> None:
    old, digits = _write_kits(settings), inspect.read(settings.folder / "ca.crt").fingerprint[:16]
    record = machines.current().path("/var/lib/trusted-registry/kit")
    record.parent.mkdir(parents=True)
    record.write_text(f"file\t{digits}\t/etc/docker/certs.d/{HOST}/ca.crt\n")
    _step(settings)
    _step(settings, switch=True)
    console = Recorder()
    _step(settings, console, finish=True)
    script = settings.folder / f"trust-{HOST}-{digits}.sh"
    assert (_kits(settings), changeover.stage(settings.folder)) == ({script.name}, Stage.NONE)
    assert old > {script.name}, "the page beside it is gone"
    assert f"the old root's kit was run here, so it stays: sudo sh {script} --remove" in console.warned
