"""This machine's trust from end to end, for an engine without root, whose folders lie in this test's home."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.boxes import states
from tests.trust.engines import RootlessEngine
from trusted_registry import locks
from trusted_registry.certificate import clear, issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import apply, install, ledger, uninstall, unverified
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.settings import Settings

SPELLINGS = ("192.168.0.12", "192.168.0.12:443")


@pytest.fixture
def engine() -> Engine:
    """An engine that looks under this test's home."""
    return RootlessEngine()


def _certs_d() -> Path:
    return Path.home() / ".config" / "docker" / "certs.d"


def _states(settings: Settings, engine: Engine) -> set[State]:
    return set(states(settings, engine).values())


def test_trust_stands_in_every_spelling_s_folder(settings: Settings, engine: Engine, console: Recorder) -> None:
    assert install.trust(Run(settings, console), engine).written
    content = (settings.folder / "ca.crt").read_bytes()
    assert {path: it[1] for path, it in snapshot(_certs_d()).items() if it[1]} == {
        f"{it}/ca.crt": content for it in SPELLINGS
    }


def test_no_key_ever_stands_there(settings: Settings, engine: Engine, console: Recorder) -> None:
    install.trust(Run(settings, console), engine)
    assert [path for path in snapshot(Path.home()) if "key" in path] == []


def test_the_second_time_nothing_is_written_or_shown(settings: Settings, engine: Engine) -> None:
    install.trust(Run(settings, Recorder()), engine)
    before, console = snapshot(Path.home()), Recorder()
    assert not install.trust(Run(settings, console), engine).written
    assert (snapshot(Path.home()), console.commands) == (before, [])


def test_what_a_killed_run_left_beside_a_file_that_needs_no_change_goes(settings: Settings, engine: Engine) -> None:
    install.trust(Run(settings, Recorder()), engine)
    before = snapshot(Path.home())
    left, running = (_certs_d() / SPELLINGS[0] / f".ca.crt.trusted-registry-{it}" for it in ("0a", "0b"))
    left.write_text("half")
    install.trust(Run(settings, Recorder(dry=True)), engine)
    assert left.exists()
    handle = locks.new_file(running, 0o644)
    assert not install.trust(Run(settings, Recorder()), engine).written
    assert (left.exists(), running.exists()) == (False, True), "one that is being written stays"
    os.close(handle)
    assert not install.trust(Run(settings, Recorder()), engine).written
    assert snapshot(Path.home()) == before


def test_removal_leaves_the_home_as_it_was_but_for_an_empty_ledger(
    settings: Settings, engine: Engine, console: Recorder
) -> None:
    install.trust(Run(settings, console), engine)
    freed = uninstall.remove(Run(settings, console), engine)
    assert freed == [str(_certs_d() / registry_host / "ca.crt") for registry_host in SPELLINGS]
    assert (ledger.read(ledger.path()), _certs_d().exists()) == ([], False)


def test_removal_without_trust_removes_nothing(settings: Settings, engine: Engine, console: Recorder) -> None:
    assert uninstall.remove(Run(settings, console), engine) == []


def test_removal_works_after_the_certificate_is_gone(settings: Settings, engine: Engine, console: Recorder) -> None:
    install.trust(Run(settings, console), engine)
    clear.remove_all(settings.folder, console)
    assert len(uninstall.remove(Run(settings, console), engine)) == 2


def test_a_changed_file_stays_with_a_warning(settings: Settings, engine: Engine, console: Recorder) -> None:
    install.trust(Run(settings, console), engine)
    path = _certs_d() / SPELLINGS[0] / "ca.crt"
    path.write_bytes(b"another's")
    uninstall.remove(Run(settings, console), engine)
    assert (path.read_bytes(), str(path) in console.warned[0]) == (b"another's", True)


def test_a_new_authority_replaces_the_old_one_s_trust(settings: Settings, engine: Engine, console: Recorder) -> None:
    install.trust(Run(settings, console), engine)
    issue.ensure(Run(settings, console), force=True)
    assert _states(settings, engine) == {State.STALE}
    install.trust(Run(settings, console), engine)
    assert _states(settings, engine) == {State.TRUSTED}


def test_trust_that_could_not_be_replaced_is_still_known_as_ours(
    settings: Settings, engine: Engine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.trust(Run(settings, console), engine)
    issue.ensure(Run(settings, console), force=True)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", _no_sudo)
        with pytest.raises(RegistryError, match="no sudo"):
            install.trust(Run(settings, console), engine)
    assert _states(settings, engine) == {State.STALE}


def _no_sudo(*_arguments: object) -> None:
    raise RegistryError("there is no sudo", cure="be root")


def test_removal_that_could_not_be_done_is_not_forgotten(
    settings: Settings, engine: Engine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.trust(Run(settings, console), engine)
    before = ledger.read(ledger.path())
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", _no_sudo)
        with pytest.raises(RegistryError, match="no sudo"):
            uninstall.remove(Run(settings, console), engine)
    assert ledger.read(ledger.path()) == before


def test_another_s_certificate_is_left_and_nothing_is_written(
    settings: Settings, engine: Engine, console: Recorder
) -> None:
    path = _certs_d() / SPELLINGS[1] / "ca.crt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another's")
    before = snapshot(Path.home() / ".config")
    with pytest.raises(RegistryError, match="was not written here"):
        install.trust(Run(settings, console), engine)
    assert (snapshot(Path.home() / ".config"), ledger.read(ledger.path())) == (before, [])


def test_a_dry_run_writes_nothing_and_shows_one_command_a_spelling(settings: Settings, engine: Engine) -> None:
    before, console = snapshot(Path.home()), Recorder(dry=True)
    assert install.trust(Run(settings, console), engine).written
    assert (snapshot(Path.home()), [command[0] for command in console.commands]) == (before, ["install", "install"])


def test_a_dry_run_before_the_first_certificate_shows_the_same(make_settings: MakeSettings, engine: Engine) -> None:
    console = Recorder(dry=True)
    install.trust(Run(make_settings(), console), engine)
    assert [command[0] for command in console.commands] == ["install", "install"]


def test_without_a_certificate_there_is_nothing_to_trust(
    make_settings: MakeSettings, engine: Engine, console: Recorder
) -> None:
    with pytest.raises(RegistryError, match="holds no certificate to trust"):
        install.trust(Run(make_settings(), console), engine)


def test_docker_desktop_s_folder_gains_the_same_files(settings: Settings, console: Recorder) -> None:
    assert [store.clients for store in install.trust_desktop(Run(settings, console)).written] == ["Docker Desktop"]
    assert {path.parent.name for path in (Path.home() / ".docker" / "certs.d").rglob("ca.crt")} == set(SPELLINGS)


def test_every_engine_of_a_mac_is_told_by_one_folder(settings: Settings, console: Recorder) -> None:
    (Path.home() / ".orbstack").mkdir()
    (Path.home() / ".colima").mkdir()
    told = install.trust_desktop(Run(settings, console)).written
    assert ([store.clients for store in told], len(console.commands)) == (["Colima", "OrbStack"], len(SPELLINGS))


def test_docker_desktop_s_folder_is_left_alone_the_second_time(settings: Settings, console: Recorder) -> None:
    install.trust_desktop(Run(settings, console))
    assert not install.trust_desktop(Run(settings, console)).written


@pytest.mark.parametrize(
    ("system", "task", "cure"),
    [
        ("Darwin", "trust.linux", "./inv trust.macos"),
        ("Linux", "trust.macos", "./inv trust.linux"),
        ("Windows", "trust.linux", "./inv --dry trust.linux"),
    ],
)
def test_one_system_s_task_on_another_names_the_right_one(
    system: str, task: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    wanted = "Linux" if task == "trust.linux" else "Darwin"
    with pytest.raises(RegistryError, match=task) as caught:
        install.check_platform(wanted, task)
    assert cure in caught.value.cure


def test_what_colima_copied_is_said_to_stay(settings: Settings, console: Recorder) -> None:
    (Path.home() / ".colima").mkdir()
    install.trust_desktop(Run(settings, console))
    uninstall.remove(Run(settings, console), RootlessEngine())
    assert "Colima keeps what it once copied: colima ssh -- sudo rm -r /etc/docker/certs.d/192.168.0.12" in console.said


def test_a_checkout_leaves_what_another_one_wrote(settings: Settings, engine: Engine, console: Recorder) -> None:
    install.trust(Run(settings, console), engine)
    other = dataclasses.replace(settings, root=settings.root / "other", folder=settings.root / "other" / "certs")
    assert uninstall.remove(Run(other, console), engine) == []
    assert _states(settings, engine) == {State.TRUSTED}
    assert len(uninstall.remove(Run(other, console), engine, everyone=True)) == len(SPELLINGS)
    assert _states(settings, engine) == {State.ABSENT}


def test_an_address_in_an_insecure_network_is_not_verified(settings: Settings, console: Recorder) -> None:
    listing = RootlessEngine()
    assert unverified.find(settings, listing) == []
    listing.verifies_nothing_at("192.168.0.0/16")
    assert [it.registry_host for it in unverified.find(settings, listing)] == list(SPELLINGS)
    assert console.commands == []
