"""This machine's trust from end to end, for an engine without root, whose folders lie in this test's home."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.engines import StandIn, as_engine
from tests.trust.machines import states
from trusted_registry.certificate import clear, issue
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import apply, here, ledger, takeback
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings

SPELLINGS = ("192.168.0.12", "192.168.0.12:443")


@pytest.fixture
def engine() -> Engine:
    """An engine that looks under this test's home."""
    return as_engine(StandIn())


def _certs_d() -> Path:
    return Path.home() / ".config" / "docker" / "certs.d"


def _states(settings: Settings, engine: Engine) -> set[State]:
    return set(states(settings, engine).values())


def test_trust_stands_in_every_spelling_s_folder(settings: Settings, engine: Engine, edge: Recorder) -> None:
    assert here.trust(settings, engine, edge).written
    content = (settings.folder / "ca.crt").read_bytes()
    assert {path: it[1] for path, it in snapshot(_certs_d()).items() if it[1]} == {
        f"{it}/ca.crt": content for it in SPELLINGS
    }


def test_no_key_ever_stands_there(settings: Settings, engine: Engine, edge: Recorder) -> None:
    here.trust(settings, engine, edge)
    assert [path for path in snapshot(Path.home()) if "key" in path] == []


def test_the_second_time_nothing_is_written_or_shown(settings: Settings, engine: Engine) -> None:
    here.trust(settings, engine, Recorder())
    before, edge = snapshot(Path.home()), Recorder()
    assert not here.trust(settings, engine, edge).written
    assert (snapshot(Path.home()), edge.commands) == (before, [])


def test_removal_leaves_the_home_as_it_was_but_for_an_empty_ledger(
    settings: Settings, engine: Engine, edge: Recorder
) -> None:
    here.trust(settings, engine, edge)
    freed = takeback.remove(settings, engine, edge)
    assert freed == [str(_certs_d() / spelling / "ca.crt") for spelling in SPELLINGS]
    assert (ledger.read(ledger.where()), _certs_d().exists()) == ([], False)


def test_removal_without_trust_removes_nothing(settings: Settings, engine: Engine, edge: Recorder) -> None:
    assert takeback.remove(settings, engine, edge) == []


def test_removal_works_after_the_certificate_is_gone(settings: Settings, engine: Engine, edge: Recorder) -> None:
    here.trust(settings, engine, edge)
    clear.everything(settings.folder, edge)
    assert len(takeback.remove(settings, engine, edge)) == 2


def test_a_changed_file_stays_with_a_warning(settings: Settings, engine: Engine, edge: Recorder) -> None:
    here.trust(settings, engine, edge)
    path = _certs_d() / SPELLINGS[0] / "ca.crt"
    path.write_bytes(b"another's")
    takeback.remove(settings, engine, edge)
    assert (path.read_bytes(), str(path) in edge.warned[0]) == (b"another's", True)


def test_a_new_authority_replaces_the_old_one_s_trust(settings: Settings, engine: Engine, edge: Recorder) -> None:
    here.trust(settings, engine, edge)
    issue.ensure(settings, edge, force=True)
    assert _states(settings, engine) == {State.STALE}
    here.trust(settings, engine, edge)
    assert _states(settings, engine) == {State.TRUSTED}


def test_trust_that_could_not_be_replaced_is_still_known_as_ours(
    settings: Settings, engine: Engine, edge: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.trust(settings, engine, edge)
    issue.ensure(settings, edge, force=True)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", _no_sudo)
        with pytest.raises(RegistryError, match="no sudo"):
            here.trust(settings, engine, edge)
    assert _states(settings, engine) == {State.STALE}


def _no_sudo(*_arguments: object) -> None:
    raise RegistryError("there is no sudo", cure="be root")


def test_removal_that_could_not_be_done_is_not_forgotten(
    settings: Settings, engine: Engine, edge: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.trust(settings, engine, edge)
    before = ledger.read(ledger.where())
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", _no_sudo)
        with pytest.raises(RegistryError, match="no sudo"):
            takeback.remove(settings, engine, edge)
    assert ledger.read(ledger.where()) == before


def test_another_s_certificate_is_left_and_nothing_is_written(
    settings: Settings, engine: Engine, edge: Recorder
) -> None:
    path = _certs_d() / SPELLINGS[1] / "ca.crt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another's")
    before = snapshot(Path.home() / ".config")
    with pytest.raises(RegistryError, match="was not written here"):
        here.trust(settings, engine, edge)
    assert (snapshot(Path.home() / ".config"), ledger.read(ledger.where())) == (before, [])


def test_a_dry_run_writes_nothing_and_shows_one_command_a_spelling(settings: Settings, engine: Engine) -> None:
    before, edge = snapshot(Path.home()), Recorder(dry=True)
    assert here.trust(settings, engine, edge).written
    assert (snapshot(Path.home()), [command[0] for command in edge.commands]) == (before, ["install", "install"])


def test_a_dry_run_before_the_first_certificate_shows_the_same(make_settings: MakeSettings, engine: Engine) -> None:
    edge = Recorder(dry=True)
    here.trust(make_settings(), engine, edge)
    assert [command[0] for command in edge.commands] == ["install", "install"]


def test_without_a_certificate_there_is_nothing_to_trust(
    make_settings: MakeSettings, engine: Engine, edge: Recorder
) -> None:
    with pytest.raises(RegistryError, match="holds no certificate to trust"):
        here.trust(make_settings(), engine, edge)


def test_docker_desktop_s_folder_gains_the_same_files(settings: Settings, edge: Recorder) -> None:
    assert [store.clients for store in here.trust_desktop(settings, edge).written] == ["Docker Desktop"]
    assert {path.parent.name for path in (Path.home() / ".docker" / "certs.d").rglob("ca.crt")} == set(SPELLINGS)


def test_every_engine_of_a_mac_is_told_by_one_folder(settings: Settings, edge: Recorder) -> None:
    (Path.home() / ".orbstack").mkdir()
    (Path.home() / ".colima").mkdir()
    told = here.trust_desktop(settings, edge).written
    assert ([store.clients for store in told], len(edge.commands)) == (["Colima", "OrbStack"], len(SPELLINGS))


def test_docker_desktop_s_folder_is_left_alone_the_second_time(settings: Settings, edge: Recorder) -> None:
    here.trust_desktop(settings, edge)
    assert not here.trust_desktop(settings, edge).written


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
        here.check_platform(wanted, task)
    assert cure in caught.value.cure


def test_what_colima_copied_is_said_to_stay(settings: Settings, edge: Recorder) -> None:
    (Path.home() / ".colima").mkdir()
    here.trust_desktop(settings, edge)
    takeback.remove(settings, as_engine(StandIn()), edge)
    assert "Colima keeps what it once copied: colima ssh -- sudo rm -r /etc/docker/certs.d/192.168.0.12" in edge.said


def test_a_checkout_leaves_what_another_one_wrote(settings: Settings, engine: Engine, edge: Recorder) -> None:
    here.trust(settings, engine, edge)
    other = dataclasses.replace(settings, root=settings.root / "other", folder=settings.root / "other" / "certs")
    assert takeback.remove(other, engine, edge) == []
    assert _states(settings, engine) == {State.TRUSTED}
    assert len(takeback.remove(other, engine, edge, everyone=True)) == len(SPELLINGS)
    assert _states(settings, engine) == {State.ABSENT}


def test_an_address_in_an_insecure_network_is_not_verified(settings: Settings, edge: Recorder) -> None:
    listing = StandIn()
    assert here.unverified(settings, as_engine(listing)) == []
    listing._insecure = ("192.168.0.0/16",)
    assert here.unverified(settings, as_engine(listing)) == list(SPELLINGS)
    assert edge.commands == []
