"""Runs that meet: whoever changes the registry, its users or its certificate does so alone, and looks when it is so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from tests.registry.logins import ADA, BOB
from trusted_registry import files
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import checks, run_lock, running
from trusted_registry.instance.model import predecessor_name
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.tasks import cert, lifecycle, registry, registry_users
from trusted_registry.trust.local import uninstall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.ledger import Entry


class Busy(Recorder):
    """A person who takes a while to answer, during which something happens."""

    def __init__(self, meanwhile: Callable[[], object], *, secret: str = "") -> None:
        super().__init__(secret=secret)
        self._meanwhile = meanwhile

    def secret(self, question: str, *, known: bool = False, check: Callable[[str], object] | None = None) -> str:
        """Have it happen, then answer."""
        self._meanwhile()
        return super().secret(question, known=known, check=check)

    def ask(self, question: str) -> bool:
        """Have it happen, then agree."""
        self._meanwhile()
        return super().ask(question)


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine on which nothing runs yet."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder)
    monkeypatch.setattr(engines, "connect_if_available", lambda *_, **__: made)
    monkeypatch.setattr(engines, "connect", lambda *_, **__: made)
    yield made
    made.end()


def _anonymous(settings: Settings) -> int:
    trust = probe.context(settings.folder / "ca.crt")
    return probe.request(probe.Endpoint(loopback.HOST, settings.port), "GET", "/v2/", trust)[0]


def _up(settings: Settings, engine: FakeEngine) -> None:
    registry.alone(Run(settings, Recorder()), engine)


@pytest.fixture(autouse=True)
def _own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "check_address", lambda *_, **__: None)


# The password


def test_a_registry_that_is_started_while_the_password_is_typed_asks_for_it_from_then_on(
    settings: Settings, engine: FakeEngine
) -> None:
    console = Busy(lambda: _up(settings, engine), secret=ADA.password)
    registry_users.add(Run(settings, console), name="ada")
    assert (_anonymous(settings), "restarted" in " ".join(console.said)) == (401, True)


def test_a_registry_that_is_stopped_while_the_password_is_typed_is_told_of(
    settings: Settings, engine: FakeEngine
) -> None:
    _up(settings, engine)
    console = Busy(lambda: engine.remove("registry"), secret=ADA.password)
    registry_users.add(Run(settings, console), name="ada")
    assert "once started, it asks for a login" in console.said[-1]


def test_a_plain_registry_that_is_started_while_the_password_is_typed_gets_none(
    settings: Settings, engine: FakeEngine
) -> None:
    console = Busy(lambda: setattr(engine, "container", container(role="plain")), secret=ADA.password)
    with pytest.raises(RegistryError, match="plain HTTP"):
        registry_users.add(Run(settings, console), name="ada")
    assert not users.is_login_required(settings.folder)


def test_nothing_starts_between_the_first_user_and_the_registry_that_asks_for_it(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = users.save, []

    def put(*arguments: object) -> bool:
        with (
            pytest.raises(RegistryError, match="Another run"),
            files.locked(settings.folder, name=".up.lock", patience=0),
        ):
            pytest.fail("another run started it")
        refused.append(True)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(users, "save", put)
    registry_users.add(Run(settings, Recorder(secret=ADA.password)), name="ada")
    assert refused == [True]
    assert engine.done == []


def test_a_user_who_became_the_last_one_while_the_question_stood_is_asked_about_anew(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for login in (ADA, BOB):
        users.save(settings.folder, login)
    _up(settings, engine)

    def after_another_went(_console: object) -> FakeEngine:
        users.remove(settings.folder, "bob")
        return engine

    monkeypatch.setattr(engines, "connect_if_available", after_another_went)
    with pytest.raises(RegistryError, match="the last user now"):
        registry_users.remove(Run(settings, Recorder()), name="ada")
    assert (list(users.read(settings.folder)), _anonymous(settings)) == (["ada"], 401)


def test_a_user_who_came_while_the_last_one_was_asked_about_keeps_the_registry_closed(
    settings: Settings, engine: FakeEngine
) -> None:
    users.save(settings.folder, ADA)
    _up(settings, engine)
    registry_users.remove(Run(settings, Busy(lambda: users.save(settings.folder, BOB))), name="ada")
    assert (list(users.read(settings.folder)), _anonymous(settings)) == (["bob"], 401)


def test_the_last_user_is_removed_from_a_registry_that_was_started_while_the_question_stood(
    settings: Settings, engine: FakeEngine
) -> None:
    users.save(settings.folder, ADA)
    registry_users.remove(Run(settings, Busy(lambda: _up(settings, engine))), name="ada")
    assert _anonymous(settings) == 200


# A registry that asks nobody, though there are users


def _open_though_there_are_users(settings: Settings, engine: FakeEngine) -> None:
    _up(settings, engine)
    users.save(settings.folder, ADA)


def test_a_renewal_closes_a_registry_that_was_started_before_there_were_users(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _open_though_there_are_users(settings, engine)
    cert.renew(Run(settings, console), if_expiring="")
    assert (_anonymous(settings), "ignores" in " ".join(console.warned)) == (401, False)


@pytest.mark.parametrize("if_expiring", ["", "1"])
def test_a_renewal_stops_a_registry_whose_image_asks_nobody(
    settings: Settings, engine: FakeEngine, console: Recorder, if_expiring: str
) -> None:
    _open_though_there_are_users(settings, engine)
    engine.users = None
    with pytest.raises(RegistryError, match=r"lets everybody in.*it was stopped"):
        cert.renew(Run(settings, console), if_expiring=if_expiring)
    assert (engine.container, engine.aside) == (None, None)


def test_a_renewal_beside_a_registry_that_goes_away_says_so(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    _up(settings, engine)
    real = probe.await_answer

    def gone_after(*arguments: object, **options: object) -> None:
        real(*arguments, **options)  # type: ignore[arg-type]
        if engine.find("registry-rehearsal") is None:
            engine.remove("registry")

    monkeypatch.setattr(probe, "await_answer", gone_after)
    with pytest.raises(RegistryError, match=r"Connection refused\.$"):
        cert.renew(Run(settings, console), if_expiring="")


# Runs beside each other


@pytest.fixture
def _nothing_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> list[Entry]:
        return []

    monkeypatch.setattr(uninstall, "remove", none)


@pytest.mark.usefixtures("_nothing_trusted")
def test_a_purge_waits_for_the_run_that_is_at_work_and_leaves_nothing(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def at_work() -> None:
        with run_lock.held(Run(settings, Recorder())):
            begun.set()
            go_on.wait(20)
            running.run_tls(Run(settings, Recorder()), engine)

    first = threading.Thread(target=at_work)
    second = threading.Thread(target=lambda: lifecycle.down(Run(settings, console), purge=True))
    first.start()
    begun.wait(20)
    second.start()
    second.join(0.2)
    assert (second.is_alive(), engine.done) == (True, [])
    go_on.set()
    first.join(20)
    second.join(20)
    assert (engine.container, list(settings.folder.iterdir())) == (None, [])


@pytest.mark.usefixtures("_nothing_trusted")
def test_a_purge_takes_what_a_killed_run_left(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    _up(settings, engine)
    engine.rename("registry", predecessor_name("registry"))
    for name in (".lock", ".up.lock"):
        (settings.folder / name).touch()
    lifecycle.down(Run(settings, console), purge=True)
    assert (engine.aside, list(settings.folder.iterdir())) == (None, [])


@pytest.mark.usefixtures("_nothing_trusted")
@pytest.mark.parametrize("purge", [True, False])
def test_down_makes_no_folder_where_there_is_none(
    settings: Settings, engine: FakeEngine, console: Recorder, *, purge: bool
) -> None:
    issue.find(settings.folder)
    for path in settings.folder.iterdir():
        path.unlink()
    settings.folder.rmdir()
    lifecycle.down(Run(settings, console), purge=purge)
    assert (settings.folder.exists(), [it for it in engine.done if "start" in it]) == (False, [])
