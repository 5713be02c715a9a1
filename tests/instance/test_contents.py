"""Files that a registry reads: those of its own installation, as they are by now, and none of them left behind."""

from __future__ import annotations

import dataclasses
import stat
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from tests.registry.logins import ADA, BOB
from trusted_registry import installation
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, running
from trusted_registry.instance.model import File, filler_name
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.tasks import registry, registry_users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import Container
    from trusted_registry.settings import Settings

ANOTHER = "f" * 32


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry asks for a login, and lets ada and bob in."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder)
    for login in (ADA, BOB):
        users.save(settings.folder, login)
    running.run_tls(Run(settings, Recorder()), made)
    for connect in ("connect", "connect_if_available"):
        monkeypatch.setattr(engines, connect, lambda *_, **__: made)
    yield made
    made.end()


def _status(settings: Settings, login: users.Login | None = None) -> int:
    trust = probe.context(settings.folder / "ca.crt")
    header = login.header if login else {}
    return probe.request(probe.Endpoint(loopback.HOST, settings.port), "GET", "/v2/", trust, header)[0]


# Whose they are


def test_the_proof_of_another_checkout_changes_nobody_s_users(settings: Settings, engine: FakeEngine) -> None:
    assert engine.container
    engine.container = dataclasses.replace(engine.container, installation=ANOTHER)
    before = {name: dict(files) for name, files in engine.files.items()}
    registry.test(Run(settings, Recorder()), image=IMAGE, lan=False)
    assert engine.files == before


def test_the_proof_of_its_own_gives_itself_a_login_and_takes_it_back(settings: Settings, engine: FakeEngine) -> None:
    run = Run(settings, Recorder())
    with registry.temporary_login(run, engine) as login:
        assert (login is not None, _status(settings, login)) == (True, 200)
    assert _status(settings, login) == 401


# A user who goes


@pytest.mark.parametrize("state", ["running", "exited"])
def test_a_user_who_was_removed_is_let_in_no_more_also_when_it_is_started_again(
    state: str, settings: Settings, engine: FakeEngine
) -> None:
    if state == "exited":
        engine.retire("registry")
    registry_users.remove(Run(settings, Recorder()), name="bob")
    engine.restart("registry")
    assert [_status(settings, it) for it in (ADA, BOB, None)] == [200, 401, 401]


@pytest.mark.usefixtures("engine")
def test_a_removal_that_was_cut_short_is_carried_out_by_the_same_command_again(settings: Settings) -> None:
    users.remove(settings.folder, "bob")
    assert [_status(settings, it) for it in (ADA, BOB)] == [200, 200]
    with pytest.raises(RegistryError, match="There is no user 'bob'"):
        registry_users.remove(Run(settings, Recorder()), name="bob")
    assert [_status(settings, it) for it in (ADA, BOB, None)] == [200, 401, 401]


@pytest.mark.usefixtures("engine")
def test_that_of_the_last_one_lets_nobody_else_in_before_somebody_consents(settings: Settings) -> None:
    for name in ("ada", "bob"):
        users.remove(settings.folder, name)
    with pytest.raises(RegistryError, match="There is no user 'ada'") as caught:
        registry_users.remove(Run(settings, Recorder()), name="ada")
    assert (_status(settings, None), caught.value.cure.endswith("./inv up")) == (401, True)


def test_where_the_last_one_goes_and_no_open_registry_can_follow_nobody_is_let_in(
    settings: Settings, engine: FakeEngine
) -> None:
    registry_users.remove(Run(settings, Recorder()), name="bob")
    engine.refuses = RegistryError("no space left on device.", cure="df -h")
    with pytest.raises(RegistryError, match="no space left"):
        registry_users.remove(Run(settings, Recorder()), name="ada")
    assert [_status(settings, it) for it in (ADA, BOB, None)] == [401, 401, 401]


@pytest.mark.usefixtures("engine")
def test_the_last_one_is_let_in_until_an_open_registry_follows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []
    reload = running.reload

    def watched(run: Run, container: Container, engine: Engine) -> bool:
        met.append(_status(settings, ADA))
        return reload(run, container, engine)

    monkeypatch.setattr(running, "reload", watched)
    for name in ("bob", "ada"):
        registry_users.remove(Run(settings, Recorder()), name=name)
    assert (met, [_status(settings, it) for it in (ADA, BOB, None)]) == ([200], [200, 200, 200])


def test_a_user_is_taken_though_the_image_lost_its_name(settings: Settings, engine: FakeEngine) -> None:
    engine.images = {"<none>": engine.images[IMAGE]}
    registry_users.remove(Run(settings, Recorder()), name="bob")
    assert [_status(settings, it) for it in (ADA, BOB)] == [200, 401]


def test_a_file_that_was_edited_by_hand_is_taken_and_told_once(settings: Settings, engine: FakeEngine) -> None:
    path = users.users_file(settings.folder)
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(keepends=True) if b"ada" in line))
    for told in (True, False):
        console = Recorder()
        running.run_tls(Run(settings, console), engine)
        assert ("users: the registry reads the file as it is now" in console.said) is told
    assert [_status(settings, it) for it in (ADA, BOB)] == [200, 401]


# An image whose name was moved


@pytest.mark.parametrize("change", ["a renewal", "the last user"])
def test_another_image_under_its_name_is_not_run_by_a_change_of_something_else(
    change: str, settings: Settings, engine: FakeEngine
) -> None:
    assert engine.container
    runs = engine.container.image_id
    engine.images |= {"<none>": runs, IMAGE: f"sha256:{'1' * 64}"}
    run = Run(settings, Recorder())
    if change == "a renewal":
        issue.renew(run)
        assert running.restart(run)
    else:
        for name in ("bob", "ada"):
            registry_users.remove(run, name=name)
    assert engine.container
    assert engine.container.image_id == runs
    assert _status(settings) == (401 if change == "a renewal" else 200)


# None is left behind


def test_what_a_run_left_that_was_killed_while_it_filled_goes_with_the_next(
    settings: Settings, engine: FakeEngine
) -> None:
    own = installation.known(settings.folder).id
    left = f"{settings.container}-files-{'0' * 16}"
    engine.fill(left, own, IMAGE, [File("domain.key", settings.folder / "domain.key", b"secret")])
    assert engine.container
    filler = dataclasses.replace(engine.container, state="created", port=None, files_volume=left, volume="")
    engine.put(filler_name(left), filler)
    running.stop(Run(settings, Recorder()), engine, purge=False)
    assert (engine.find(filler_name(left)), engine.list_files_volumes(own)) == (None, [])


def test_what_a_killed_run_filled_a_registry_s_own_volume_by_goes_and_the_registry_stays(
    settings: Settings, engine: FakeEngine
) -> None:
    run = Run(settings, Recorder())
    running.run_tls(run, engine)
    registry = engine.find(settings.container)
    assert registry
    volume = registry.files_volume
    engine.put(filler_name(volume), dataclasses.replace(registry, state="created", port=None, volume=""))
    assert running.run_tls(run, engine) is False
    assert engine.find(filler_name(volume)) is None
    assert engine.find(settings.container) == registry
    assert volume in engine.list_files_volumes(installation.known(settings.folder).id)


def test_another_registry_s_files_stay(settings: Settings, engine: FakeEngine) -> None:
    own = installation.known(settings.folder).id
    engine.fill("other-files-0", own, IMAGE, [])
    contents.sweep(Run(settings, Recorder()), engine)
    assert "other-files-0" in engine.list_files_volumes(own)


def test_an_engine_that_goes_away_at_the_end_hides_nothing(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> list[str]:
        raise RegistryError("The engine went away.", cure="./inv engine")

    monkeypatch.setattr(engine, "list_files_volumes", gone)
    console = Recorder()
    assert running.run_tls(Run(settings, console), engine) is False
    assert "The engine went away." in console.warned


def test_a_file_here_that_a_failed_run_replaced_has_its_mode_again(settings: Settings, engine: FakeEngine) -> None:
    path: Path = settings.folder / "registry.yml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    engine.refuses = RegistryError("no space left on device.", cure="df -h")
    with pytest.raises(RegistryError):
        running.run_tls(Run(dataclasses.replace(settings, port=loopback.free_port()), Recorder()), engine)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
