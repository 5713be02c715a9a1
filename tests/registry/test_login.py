"""A registry with users: how it is started, who is told, and what a person sees who adds and removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine, container
from tests.instance.engines import REPLACED
from tests.recorder import Recorder
from tests.registry.logins import ADA, BOB, opens
from trusted_registry import status
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import roles, running
from trusted_registry.instance.model import Image
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.tasks import registry, registry_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

IMAGE = Image("registry:3", "sha256:00")

# The container


def test_with_a_user_the_registry_is_another_container_that_reads_the_file(make_settings: MakeSettings) -> None:
    settings = make_settings()
    before = roles.tls(settings, IMAGE)
    users.save(settings.folder, ADA)
    after = roles.tls(settings, IMAGE)
    assert before.digest != after.digest
    assert [b"htpasswd" in it.content for it in (before.files[0], after.files[0])] == [False, True]
    assert b"path: /config/htpasswd" in after.files[0].content
    assert after.files[-1].content == users.users_file(settings.folder).read_bytes()


def test_a_further_user_makes_no_other_container(make_settings: MakeSettings) -> None:
    settings = make_settings()
    users.save(settings.folder, ADA)
    before = roles.tls(settings, IMAGE)
    users.save(settings.folder, users.Login("bob", "enough for me"))
    assert roles.tls(settings, IMAGE).digest == before.digest


def test_plain_http_never_asks_for_a_login_and_does_not_start_where_there_are_users(
    make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings()
    users.save(settings.folder, ADA)
    assert b"htpasswd" not in roles.plain(settings, IMAGE, lan=False).files[0].content
    engine = FakeEngine()
    with pytest.raises(RegistryError, match="could read their passwords"):
        running.run_plain(Run(settings, console), engine, lan=False)
    assert engine.done == []


# The running registry


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry asks for a login where it is told to."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder)
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: made)
    yield made
    made.end()


def _up(settings: Settings, engine: FakeEngine, console: Recorder) -> bool:
    return running.run_tls(Run(settings, console), engine)


@pytest.fixture
def behind(
    settings: Settings, engine: FakeEngine, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeEngine:
    """An engine whose registry runs, and sees another time's users; it is not waited for long."""
    users.save(settings.folder, ADA)
    engine.users = tmp_path / "of another time"
    _up(settings, engine, console)
    monkeypatch.setattr("trusted_registry.registry.api._ADMITTED", 0.3)
    return engine


def test_the_first_user_has_the_registry_started_anew_and_the_next_has_not(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _up(settings, engine, console)
    registry_users.add(Run(settings, Recorder(secret=ADA.password)), name="ada")
    assert engine.done == ["start", *REPLACED]
    second = Recorder(secret=BOB.password)
    registry_users.add(Run(settings, second), name="bob")
    assert engine.done == ["start", *REPLACED]
    assert [line for line in second.said if line.startswith("proof:")]


def test_what_was_started_elsewhere_stays_there_when_a_user_comes(
    settings: Settings, engine: FakeEngine, console: Recorder, make_settings: MakeSettings
) -> None:
    _up(settings, engine, console)
    registry_users.add(Run(make_settings(listen="", port="443"), Recorder(secret=ADA.password)), name="ada")
    assert engine.container
    assert (engine.container.listen, engine.container.port) == (loopback.HOST, settings.port)


def test_a_registry_that_asks_nobody_though_there_are_users_is_stopped_again(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    users.save(settings.folder, ADA)
    engine.users = None
    with pytest.raises(RegistryError, match=r"lets everybody in.*stopped again"):
        _up(settings, engine, console)
    assert engine.container is None


def test_a_registry_that_no_longer_asks_does_not_pass_for_one_that_runs_already(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    users.save(settings.folder, ADA)
    _up(settings, engine, console)
    assert not _up(settings, engine, console)
    engine.users = None
    engine.restart("registry")
    with pytest.raises(RegistryError, match="lets everybody in"):
        _up(settings, engine, console)


def test_over_plain_http_no_user_is_added(settings: Settings, engine: FakeEngine) -> None:
    engine.container = container(role="plain")
    console = Recorder(secret=ADA.password)
    with pytest.raises(RegistryError, match="plain HTTP"):
        registry_users.add(Run(settings, console), name="ada")
    assert (console.asked, users.is_login_required(settings.folder)) == ([], False)


def test_without_a_registry_a_user_is_kept_for_its_next_start(settings: Settings, engine: FakeEngine) -> None:
    console = Recorder(secret=ADA.password)
    registry_users.add(Run(settings, console), name="ada")
    assert (engine.done, "once started, it asks for a login" in console.said[-1], opens(settings.folder, ADA)) == (
        [],
        True,
        True,
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("task", "name", "wrong"),
    [
        (registry_users.add, "bob", "has 3 characters"),
        (registry_users.remove, "bob", "There is no user"),
        (registry_users.remove, "ada", "Nobody was removed"),
    ],
)
def test_a_command_that_did_not_run_is_not_shown(
    task: Callable[..., None], name: str, wrong: str, settings: Settings
) -> None:
    users.save(settings.folder, ADA)
    console = Recorder(secret="abc", answer=False)  # noqa: S106 - too short on purpose
    with pytest.raises(RegistryError, match=wrong):
        task(Run(settings, console), name=name)
    assert console.commands == []


@pytest.mark.usefixtures("engine")
def test_a_command_that_changes_who_may_use_the_registry_is_shown(settings: Settings) -> None:
    console = Recorder(secret=ADA.password)
    registry_users.add(Run(settings, console), name="ada")
    registry_users.remove(Run(settings, console), name="ada")
    assert [argv[:2] for argv in console.commands] == [["htpasswd", "-c"], ["htpasswd", "-D"]]


def test_the_last_user_goes_only_if_a_person_says_so(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    users.save(settings.folder, ADA)
    _up(settings, engine, console)
    with pytest.raises(RegistryError, match="Nobody was removed"):
        registry_users.remove(Run(settings, Recorder(answer=False)), name="ada")
    assert (list(users.read(settings.folder)), engine.done) == (["ada"], ["start"])
    agreed = Recorder()
    registry_users.remove(Run(settings, agreed), name="ada")
    assert (users.is_login_required(settings.folder), engine.done) == (
        False,
        ["start", *REPLACED],
    )
    assert "everybody may push" in agreed.warned[-1]


def test_a_user_who_is_not_the_last_goes_unasked_and_at_once(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    for login in (ADA, BOB):
        users.save(settings.folder, login)
    _up(settings, engine, console)
    registry_users.remove(Run(settings, console), name="bob")
    assert (console.asked, list(users.read(settings.folder)), engine.done) == ([], ["ada"], ["start"])


@pytest.mark.usefixtures("behind")
def test_a_registry_that_does_not_see_the_change_is_an_error(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="does not accept the users as they are now"):
        registry_users.add(Run(settings, Recorder(secret=BOB.password)), name="bob")


def test_nobody_is_removed_who_is_not_there(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="There is no user 'eve'"):
        registry_users.remove(Run(settings, console), name="eve")
    assert engine.done == []


@pytest.mark.parametrize("act", [registry_users.add, registry_users.remove])
def test_a_dry_run_asks_for_no_password_and_changes_nobody(
    act: Callable[..., None], settings: Settings, engine: FakeEngine
) -> None:
    console = Recorder(dry=True)
    act(Run(settings, console), name="ada")
    assert (console.asked, users.is_login_required(settings.folder), engine.done) == ([], False, [])
    assert console.commands[0][0] == "htpasswd"


def test_the_password_stands_in_no_command_and_no_line(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _up(settings, engine, console)
    shown = Recorder(secret=ADA.password)
    registry_users.add(Run(settings, shown), name="ada")
    assert ADA.password not in "\n".join([*shown.typed, *shown.said, *shown.warned, *shown.asked])


def test_users_are_listed_with_those_that_the_registry_refuses_marked(settings: Settings, console: Recorder) -> None:
    registry_users.show(Run(settings, console))
    users.save(settings.folder, ADA)
    with users.users_file(settings.folder).open("a") as file:
        file.write("old:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    registry_users.show(Run(settings, console))
    assert [line.partition(" (")[0] for line in console.said[-3:]] == [
        "users: none; the registry asks nobody for a login",
        "ada",
        "old",
    ]
    assert "not bcrypt" in console.said[-1]


def test_status_says_that_a_login_is_asked_for(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    _up(settings, engine, console)
    assert status._registry(settings, engine).health == "answers"
    users.save(settings.folder, ADA)
    assert "though there are users" in status._registry(settings, engine).health
    _up(settings, engine, console)
    assert status._registry(settings, engine).health == "answers, and asks for a login"
    assert "docker login" in status.next_steps(settings)


def test_a_registry_that_does_not_take_the_proof_s_login_gets_no_push(
    settings: Settings, behind: FakeEngine, console: Recorder
) -> None:
    target = registry.Target(
        probe.Endpoint(loopback.HOST, settings.port),
        probe.context(settings.folder / "ca.crt"),
        local=True,
    )
    with pytest.raises(RegistryError, match="does not accept a login that was just made"):
        registry.prove_push_and_pull("a/b:1", target, Run(settings, console), behind)
    assert behind.done == ["start", "untag a/b:1"]
