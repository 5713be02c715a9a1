"""cert.renew-authority, step by step: what is done at each, what is said of the next, and what may not be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.engines import RootlessEngine
from trusted_registry.certificate import changeover, issue
from trusted_registry.certificate.changeover import Stage
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import running
from trusted_registry.run import Run
from trusted_registry.tasks import authority, cert
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
