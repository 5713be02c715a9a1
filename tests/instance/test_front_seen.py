"""Tasks know the front: they speak to the registry by it, say how it does, and show its log."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from trusted_registry import address, status
from trusted_registry.doctor import checks_registry, firewall, gather, mend
from trusted_registry.doctor.checks import judge
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import checks, front, running
from trusted_registry.instance.model import short
from trusted_registry.run import Run
from trusted_registry.tasks import lifecycle, registry, registry_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.settings import Settings

HAPROXY, FRONT = "haproxy:lts", "registry-front"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of a registry on loopback, behind a front."""
    return dataclasses.replace(settings, front=True)


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine on which the front stands and the registry runs."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder, images=(IMAGE, HAPROXY))
    monkeypatch.setattr(engines, "connect", lambda *_, **__: made)
    monkeypatch.setattr(engines, "connect_if_available", lambda *_, **__: made)
    monkeypatch.setattr(gather, "_tracked", lambda _: ())
    monkeypatch.setattr(firewall, "find", lambda *_: None)
    running.run_tls(Run(settings, Recorder()), made)
    yield made
    made.end()


def _rows(settings: Settings, engine: FakeEngine) -> dict[str, str]:
    table = status.report(status.find(settings, engine)).table
    return {row[0]: row[1] for row in table.rows} if table else {}


def _stopped(engine: FakeEngine) -> str:
    engine._end(FRONT)
    return "the front is exited, so no client is answered"


def _gone(engine: FakeEngine) -> str:
    engine._forget(FRONT)
    return "the front is absent, so no client is answered"


def _leads_elsewhere(engine: FakeEngine) -> str:
    files = engine.files[engine.containers[FRONT].described.files_volume]
    id_ = short(engine.container.id if engine.container else "")
    content = files["haproxy.cfg"].content.replace(f"server {id_} ".encode(), b"server other ")
    files["haproxy.cfg"] = files["haproxy.cfg"].with_content(content)
    return "the front leads to other, which is not the registry here"


def _leads_nowhere(engine: FakeEngine) -> str:
    files = engine.files[engine.containers[FRONT].described.files_volume]
    files["haproxy.cfg"] = files["haproxy.cfg"].with_content(b"frontend registry\n")
    return "the front leads nowhere"


TROUBLES = [_stopped, _gone, _leads_elsewhere, _leads_nowhere]


def test_status_tells_of_the_front_and_of_the_port_that_it_has(settings: Settings, engine: FakeEngine) -> None:
    found = status.find(settings, engine).registry
    assert (found.port, found.health, found.front) == (settings.port, "answers", f"{HAPROXY}, port {settings.port}")
    assert _rows(settings, engine)["front"] == found.front


@pytest.mark.parametrize("trouble", TROUBLES)
def test_status_and_doctor_tell_of_a_front_that_leads_nobody_here(
    trouble: Callable[[FakeEngine], str], settings: Settings, engine: FakeEngine
) -> None:
    assert list(checks_registry.front(gather.local(settings, engine, None))) == []
    said = trouble(engine)
    found = status.find(settings, engine)
    assert (_rows(settings, engine)["front"], found.registry.front_problem) == (f"{said}; ./inv up fixes it", said)
    failure = status.report(found).failure
    assert failure
    assert failure.message.startswith(f"Something is wrong: front: {said}")
    (finding,) = checks_registry.front(gather.local(settings, engine, None))
    assert (finding.evidence, finding.cure) == (said, ("./inv up",))


@pytest.mark.parametrize("trouble", [_stopped, _gone])
def test_a_front_that_was_killed_is_one_fault_and_up_and_fix_make_it_stand_again(
    trouble: Callable[[FakeEngine], str], settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "interfaces", lambda: ())  # loopback, where it listens, is no address of a machine

    def found() -> list[str]:
        return [it.check for it in judge(gather.local(settings, engine, None)) if not it.client]

    before = found()
    trouble(engine)
    assert found() == [*before, "front"]
    assert (
        mend.apply(
            [it for it in judge(gather.local(settings, engine, None)) if it.check == "front"],
            Run(settings, Recorder()),
            engine,
        )
        == 1
    )
    assert (found(), status.find(settings, engine).registry.health) == (before, "answers")


def test_without_a_front_nobody_tells_of_one(settings: Settings, engine: FakeEngine) -> None:
    settings = dataclasses.replace(settings, front=False)
    running.run_tls(Run(settings, Recorder()), engine)
    found = status.find(settings, engine).registry
    assert (found.front, found.front_problem, "front" in _rows(settings, engine)) == (None, None, False)
    assert list(checks_registry.front(gather.local(settings, engine, None))) == []


def test_the_log_of_the_front_is_shown_on_request(settings: Settings, engine: FakeEngine) -> None:
    engine.containers[FRONT].log = "10.0.0.9:1234 came\n"
    console = Recorder()
    registry.logs(Run(settings, console), follow=False, lines="9", front=True)
    assert (console.said, console.typed) == (["10.0.0.9:1234 came"], [f"docker logs --tail 9 {FRONT}"])
    _gone(engine)
    with pytest.raises(RegistryError, match="There is no front here"):
        registry.logs(Run(settings, console), follow=False, lines="9", front=True)


def test_the_port_that_the_front_has_is_the_registry_s_own(settings: Settings, engine: FakeEngine) -> None:
    checks.check_port(Run(settings, Recorder()), engine)
    with loopback.registry(None) as taken, pytest.raises(RegistryError, match="is in use by"):
        checks.check_port(Run(dataclasses.replace(settings, port=taken), Recorder()), engine)


def test_a_port_of_metrics_that_is_taken_is_told_before_anything_changes(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(port: int) -> None:
        checks.check_port(Run(dataclasses.replace(settings, metrics=port), Recorder()), engine)

    check(loopback.free_port())
    with loopback.registry(None) as taken:
        with pytest.raises(SettingError, match=f"registry.metrics is {taken}, and another program listens there"):
            check(taken)
        monkeypatch.setattr(engine, "publisher_of", lambda _port: FRONT)
        check(taken)
    with pytest.raises(SettingError, match="which is the registry's own port"):
        check(settings.port)


def test_a_registry_is_met_at_its_front_and_one_without_at_its_own_port(settings: Settings, engine: FakeEngine) -> None:
    container = engine.container
    assert container
    assert (container.port, front.as_met(container, settings, engine).port) == (None, settings.port)
    own = dataclasses.replace(container, port=5)
    assert front.as_met(own, settings, engine) == own


def test_users_come_and_go_and_nobody_else_is_let_in(settings: Settings, engine: FakeEngine) -> None:
    console = Recorder(secret="enough for me")  # noqa: S106 - a test's
    run = Run(settings, console)
    registry_users.add(run, name="ada")
    assert status.find(settings, engine).registry.health == "answers, and asks for a login"
    registry_users.add(run, name="bob")
    registry_users.remove(run, name="ada")
    registry_users.remove(run, name="bob")
    assert status.find(settings, engine).registry.health == "answers"
    assert engine.done.count("retire front") == 0


def test_a_front_alone_is_something_to_remove(settings: Settings, engine: FakeEngine) -> None:
    engine._forget("registry")
    engine.volumes.clear()
    assert lifecycle._remains(settings, engine)
    assert running.stop(Run(settings, Recorder()), engine, purge=False)
    assert ([*engine.containers], engine.networks) == ([], {})
