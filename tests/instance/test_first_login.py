"""The first user comes behind a front: what began without a login ends first, and then nobody is let in without one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.instance.test_fronted import (
    FRONT,
    NAME,
    Killed,
    _first_user,
    _names,
    _renewed,
    engine,
    killed_at,
    knocking,
    run,
    up,
)
from tests.instance.test_fronted import settings as fronted
from trusted_registry.engine.types import ExecResult
from trusted_registry.errors import RegistryError
from trusted_registry.instance import collector, first_login, front, running, switch
from trusted_registry.instance.model import Role, short
from trusted_registry.registry import probe, users

if TYPE_CHECKING:
    from tests.fake_engine import FakeEngine
    from tests.recorder import Recorder
    from trusted_registry.engine.types import Container
    from trusted_registry.run import Run

__all__ = ["engine", "run", "settings", "up"]

settings = fronted
ACTS = 12
"""Changes of the engine that the first user takes."""
BUSY = [["1 1"], ["1 0", "0 3", "0 1"]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less."""
    monkeypatch.setattr(first_login, "QUIET", 0.2)


def _status(run: Run) -> int:
    at = probe.Endpoint(loopback.HOST, run.settings.port)
    return probe.request(at, "GET", "/v2/", probe.unverified()).status


def _before(up: FakeEngine) -> Container:
    assert up.container
    return up.container


def test_everybody_is_led_past_a_splitter_which_goes_when_it_is_needed_no_more(up: FakeEngine, run: Run) -> None:
    before = _before(up)
    _first_user(run, up)
    with knocking(run.settings) as met:
        assert running.run_tls(run, up)
    splitter = f"draining-s{_before(up).id}"
    assert len(up.done) == ACTS
    assert up.done == [
        *("start next", f"start {splitter}"),
        *("hand over front", "hand over front", "hand over front", "hand over front"),
        *(f"drain {splitter}", f"kill {splitter}"),
        *("rename", "rename next", f"drain draining-{before.id}", f"kill draining-{before.id}"),
    ]
    assert [it for it in met if it.startswith("refused")] == []
    assert (_names(up), _status(run)) == ([NAME, FRONT], 401)


@pytest.mark.parametrize("counts", BUSY)
def test_what_began_without_a_login_is_waited_for_and_that_is_said_once(
    counts: list[str], up: FakeEngine, run: Run, console: Recorder
) -> None:
    _first_user(run, up)
    up.unfinished = list(counts)
    assert running.run_tls(run, up)
    said = [it for it in console.said if "without a login" in it]
    assert (up.unfinished, len(said), _status(run)) == ([], 1, 401)


def test_who_never_ends_is_refused_after_a_while_and_that_is_said(
    up: FakeEngine, run: Run, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_login, "MOST", 0.5)
    _first_user(run, up)
    up.unfinished = ["1 0"] * 1000
    since = time.monotonic()
    assert running.run_tls(run, up)
    assert (time.monotonic() - since < 10, _status(run)) == (True, 401)
    assert any("it is refused from now on" in it for it in console.warned)


NETWORK = """Inter-|   Receive                                                |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 2535934 969 0 0 0 0 0 0 2535934 969 0 0 0 0 0 0
  eth0:{received} 5 0 0 0 0 0 0 {sent} 7 0 0 0 0 0 0
  eth1:       1 5 0 0 0 0 0 0        2 7 0 0 0 0 0 0
"""


@pytest.mark.parametrize("way", ["received", "sent"])
def test_a_transfer_by_a_connection_that_is_older_than_the_splitter_is_waited_for(
    way: str, up: FakeEngine, run: Run, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter([1000, 500_000, 900_000, 900_100, 900_200, 900_300])
    asked: list[list[str]] = []

    def tell(name: str, argv: list[str]) -> ExecResult:
        if collector._END in argv:
            return ExecResult(0, "", "")
        asked.append([name, *argv])
        counts = {"received": 5, "sent": 7} | {way: next(counted)}
        return ExecResult(0, NETWORK.format(**counts), "")

    monkeypatch.setattr(up, "run_in", tell)
    _first_user(run, up)
    assert running.run_tls(run, up)
    assert asked == [[NAME, "cat", "/proc/net/dev"]] * 4
    assert (len([it for it in console.said if "without a login" in it]), _status(run)) == (1, 401)


def test_what_a_registry_carried_is_that_of_its_networks_and_nothing_where_it_does_not_tell(up: FakeEngine) -> None:
    assert first_login._carried(NAME, up) == 0
    assert first_login._carried("absent", up) == 0
    up.run_in = lambda *_: ExecResult(0, NETWORK.format(received=10, sent=20), "")  # type: ignore[method-assign]
    assert first_login._carried(NAME, up) == 33


@pytest.mark.parametrize("words", ["", "no numbers", "1 -1"])
def test_a_splitter_that_does_not_count_is_none_and_nobody_is_let_in(words: str, up: FakeEngine, run: Run) -> None:
    _first_user(run, up)
    up.unfinished = [words] * 1000
    with pytest.raises(RegistryError, match=r"does not count what is under way.*it was stopped\."):
        running.run_tls(run, up)
    assert _names(up) == [FRONT]


@pytest.mark.parametrize("change", [_renewed, "user"])
def test_where_a_login_was_asked_for_already_there_is_no_splitter(change: object, up: FakeEngine, run: Run) -> None:
    _first_user(run, up)
    running.run_tls(run, up)
    up.done.clear()
    if callable(change):
        change(run, up)
    else:
        users.remove(run.settings.folder, "ada")
    assert running.run_tls(run, up)
    assert not any(it.startswith("start draining-s") for it in up.done)


def test_a_run_that_is_killed_meanwhile_is_finished_by_the_next(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _before(up)
    _first_user(run, up)

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(first_login, "await_end", kill)
        patch.setattr(switch, "_back", lambda *_: None)  # nobody cleans up after a kill
        with pytest.raises(Killed):
            running.run_tls(run, up)
    roles = sorted(str(it.described.role) for it in up.containers.values())
    assert (roles, _status(run)) == (["front", "splitter", "tls", "tls"], 401)
    assert front.leads_to(run.settings, up) not in {short(before.id), ""}
    assert running.run_tls(run, up)
    assert (_names(up), _status(run), front.leads_to(run.settings, up)) == ([NAME, FRONT], 401, short(_before(up).id))
    assert not [it for it in up.containers.values() if it.described.role == Role.SPLITTER]


@pytest.mark.parametrize("at", range(ACTS))
def test_a_run_that_is_killed_at_any_change_is_finished_by_the_next(
    at: int, up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _first_user(run, up)
    killed_at(at, up, run, monkeypatch)
    with knocking(run.settings) as met:
        running.run_tls(run, up)
    assert [it for it in met if it.startswith("refused")] == []
    assert (_names(up), _status(run)) == ([NAME, FRONT], 401)


def test_an_interrupted_run_leads_back_and_leaves_nothing(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _before(up)
    _first_user(run, up)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(first_login, "await_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        running.run_tls(run, up)
    assert front.leads_to(run.settings, up) == short(before.id)
    assert not [it for it in up.containers.values() if it.described.role == Role.SPLITTER]
