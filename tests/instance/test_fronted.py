"""Behind a front nobody is refused and nothing is cut, whatever replaces the registry; one that proves nothing goes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from trusted_registry.certificate import inspect, issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import checks, collection, front, front_image, proof, running, switch
from trusted_registry.instance.model import Role, predecessor_name, short
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.tasks import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.engine.types import Container
    from trusted_registry.settings import Settings

HAPROXY = "haproxy:lts"
NAME, FRONT = "registry", "registry-front"
SWITCHED = ["start next", "hand over front", "hand over front", "rename", "rename next"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of a registry on loopback, behind a front."""
    return dataclasses.replace(settings, front=True)


@pytest.fixture
def engine(settings: Settings) -> Iterator[FakeEngine]:
    """An engine that has the images of both, and whose registry shows the certificate that is on disk."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder, images=(IMAGE, HAPROXY))
    yield made
    made.end()


@pytest.fixture
def run(settings: Settings, console: Recorder) -> Run:
    """A run for that registry."""
    return Run(settings, console)


@pytest.fixture
def up(engine: FakeEngine, run: Run) -> FakeEngine:
    """The engine, on which the front stands and the registry runs."""
    assert running.run_tls(run, engine)
    engine.done.clear()
    return engine


def _names(engine: FakeEngine) -> list[str]:
    return sorted(engine.containers)


def _shown(settings: Settings) -> str:
    return probe.fingerprint(probe.Endpoint(loopback.HOST, settings.port))


def _on_disk(settings: Settings) -> str:
    return inspect.read(settings.folder / "domain.crt").fingerprint


@contextlib.contextmanager
def knocking(settings: Settings) -> Iterator[list[str]]:
    """Open a new TLS connection again and again; keep what each met."""
    met: list[str] = []
    end = threading.Event()

    def knock() -> None:
        while not end.is_set():
            try:
                met.append(_shown(settings))
            except OSError as error:
                met.append(f"refused: {error}")
            time.sleep(0.005)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield met
    finally:
        end.set()
        thread.join()


def _registry(up: FakeEngine) -> Container:
    assert up.container
    return up.container


# On


def test_the_front_has_the_port_and_the_registry_none(up: FakeEngine, settings: Settings) -> None:
    there, registry = up.find(FRONT), up.container
    assert there
    assert registry
    assert (there.port, there.role, registry.port, registry.behind) == (settings.port, Role.FRONT, None, True)
    assert (_names(up), [*up.networks]) == (["registry", FRONT], [FRONT])
    assert _shown(settings) == _on_disk(settings)
    assert front.leads_to(settings, up) == short(registry.id)


def test_the_second_time_nothing_is_done(up: FakeEngine, run: Run) -> None:
    assert (running.run_tls(run, up), up.done) == (False, [])


def test_a_registry_that_has_the_port_gives_it_to_the_front_and_its_clients_are_told_first(
    engine: FakeEngine, run: Run, console: Recorder
) -> None:
    running.run_tls(run.with_settings(front=False), engine)
    engine.done.clear()
    assert running.run_tls(run, engine)
    assert engine.done == [
        *("start rehearsal", "kill rehearsal", "rename", "start"),
        *("create front", "retire before", "start front", "kill before"),
    ]
    assert console.said[0].startswith("front: takes over the port now")
    assert _shown(run.settings) == _on_disk(run.settings)


def test_where_the_front_does_not_start_the_registry_before_has_the_port_again(
    engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.run_tls(run.with_settings(front=False), engine)

    def fail(*_: object) -> None:
        raise RegistryError("no front", cure="")

    monkeypatch.setattr(engine, "_lead", fail)
    with pytest.raises(RegistryError, match=r"no front The previous registry runs again\."):
        running.run_tls(run, engine)
    assert (_names(engine), engine.container and engine.container.port) == (["registry"], run.settings.port)
    assert _shown(run.settings) == _on_disk(run.settings)


def test_a_port_that_something_else_has_is_named_and_nothing_is_left(engine: FakeEngine, run: Run) -> None:
    with socket.create_server((loopback.HOST, run.settings.port)), pytest.raises(RegistryError, match="is in use by"):
        running.run_tls(run, engine)
    assert _names(engine) == []


def test_without_an_image_of_haproxy_the_registry_that_runs_is_not_touched(
    engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_image, "_from_package", lambda *_: _raise("no package"))
    running.run_tls(run.with_settings(front=False), engine)
    engine.done.clear()
    del engine.images[HAPROXY]
    with pytest.raises(RegistryError, match="There is no image of haproxy"):
        running.run_tls(run, engine)
    assert (engine.done, _shown(run.settings)) == ([f"pull {HAPROXY}"], _on_disk(run.settings))


# Switches


def _raise(message: str) -> NoReturn:
    raise RegistryError(message, cure="")


def _renewed(run: Run, _engine: FakeEngine) -> Run:
    issue.renew(Run(run.settings, Recorder()))
    return run


def _another_image(run: Run, engine: FakeEngine) -> Run:
    engine.images["registry:2"] = "sha256:2"
    return run.with_settings(image="registry:2")


def _first_user(run: Run, _engine: FakeEngine) -> Run:
    users.save(run.settings.folder, users.Login("ada", "enough for me"))
    return run


CHANGES = [_renewed, _another_image]
"""The first user takes a splitter besides: test_first_login.py."""


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_replaces_the_registry_refuses_nobody(
    change: Callable[[Run, FakeEngine], Run], up: FakeEngine, run: Run
) -> None:
    before = up.container
    assert before
    changed = change(run, up)
    up.done.clear()
    with knocking(run.settings) as met:
        assert running.run_tls(changed, up)
    after = up.container
    assert after
    compared = ["start rehearsal", "kill rehearsal"] if change is _another_image else []
    assert up.done == [*compared, *SWITCHED, f"drain draining-{before.id}", f"kill draining-{before.id}"]
    assert [it for it in met if it.startswith("refused")] == []
    assert (after.id != before.id, front.leads_to(run.settings, up)) == (True, short(after.id))
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))


@pytest.mark.parametrize("misses", [{1, 2}, {2}, {1, 3, 4}])
@pytest.mark.parametrize("change", [_renewed, _another_image])
def test_a_front_that_does_not_hear_is_told_again(
    change: Callable[[Run, FakeEngine], Run], misses: set[int], up: FakeEngine, run: Run
) -> None:
    changed = change(run, up)
    up.misses = misses
    with knocking(run.settings) as met:
        assert running.run_tls(changed, up)
    assert [it for it in met if it.startswith("refused")] == []
    assert (up.done.count("hand over front"), _shown(run.settings)) == (2 + len(misses), _on_disk(run.settings))


def test_a_connection_that_is_open_stays_with_the_registry_before(up: FakeEngine, run: Run) -> None:
    at = probe.Endpoint(loopback.HOST, run.settings.port)
    with probe.connect(at, probe.unverified()) as kept:
        _renewed(run, up)
        running.run_tls(run, up)
        answer = probe.send(kept, at, probe.Request("GET", "/v2/"))
    assert answer.status == 200


def test_a_registry_with_something_under_way_is_left_to_itself_and_goes_with_a_later_run(
    up: FakeEngine, run: Run, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "_ENDS", 0.1)
    up.busy = True
    for _ in range(2):
        _renewed(run, up)
        running.run_tls(run, up)
    assert len(switch.draining(run, up)) == 2
    told = f"registry: the old one finishes its transfers beside it, for {run.settings.drain} s at most"
    assert console.said.count(told) == 2
    up.busy = False
    assert not running.run_tls(run, up)
    assert _names(up) == ["registry", FRONT]


def _dies(up: FakeEngine, _run: Run) -> None:
    up.dies = True


def _shows_another(up: FakeEngine, run: Run) -> None:
    from tests import forge

    other = forge.server(None, names=(loopback.HOST, "192.168.0.12"))
    up.shows = forge.save(other, run.settings.root / "other", "domain")


@pytest.mark.parametrize("fails", [_dies, _shows_another])
def test_a_successor_that_never_proves_itself_meets_nobody_and_goes(
    fails: Callable[[FakeEngine, Run], None], up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "_PATIENCE", 1.0)
    served, before = _shown(run.settings), up.container
    _renewed(run, up)
    fails(up, run)
    with knocking(run.settings) as met, pytest.raises(RegistryError, match=r"The registry that runs goes on\."):
        running.run_tls(run, up)
    assert ({*met}, up.container, _names(up)) == ({served}, before, ["registry", FRONT])
    assert front.leads_to(run.settings, up) == short(before.id if before else "")


def test_a_successor_that_is_met_otherwise_than_it_was_tried_is_led_away_from(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, check, asked = _shown(run.settings), front_check(), []

    def check_at(at: probe.Endpoint, *rest: object) -> None:
        asked.append(at)
        if len(asked) == 2:
            raise RegistryError("another answers", cure="")
        check(at, *rest)

    monkeypatch.setattr("trusted_registry.instance.proof.check_at", check_at)
    _renewed(run, up)
    with pytest.raises(RegistryError, match=r"another answers The registry that runs goes on\."):
        running.run_tls(run, up)
    assert (_shown(run.settings), _names(up)) == (served, ["registry", FRONT])


def front_check() -> Callable[..., None]:
    """Return the real check."""
    from trusted_registry.instance import proof

    return proof.check_at


def test_a_registry_behind_the_front_that_ended_is_replaced(up: FakeEngine, run: Run) -> None:
    up._end("registry")
    with pytest.raises(OSError, match=r"reset|EOF|refused"):
        _shown(run.settings)
    assert running.run_tls(run, up)
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))


def test_users_that_come_later_are_let_in_by_the_registry_that_runs(up: FakeEngine, run: Run) -> None:
    _first_user(run, up)
    running.run_tls(run, up)
    up.done.clear()
    users.save(run.settings.folder, users.Login("bob", "enough for me"))
    assert (running.run_tls(run, up), up.done) == (False, [])


# The front itself


@pytest.mark.parametrize("state", ["exited", "absent"])
def test_a_front_that_is_not_there_stands_again_before_the_same_registry(state: str, up: FakeEngine, run: Run) -> None:
    before = up.container
    up._end(FRONT) if state == "exited" else up._forget(FRONT)
    assert running.run_tls(run, up)
    assert (up.container, _shown(run.settings)) == (before, _on_disk(run.settings))


def test_a_configuration_that_somebody_edited_is_put_right(up: FakeEngine, run: Run, console: Recorder) -> None:
    (config,) = up.files[up.containers[FRONT].described.files_volume].values()
    edited = config.with_content(b"backend registry\n  server 0 elsewhere:1\n")
    up.files[up.containers[FRONT].described.files_volume]["haproxy.cfg"] = edited
    up.hand_over(FRONT)
    assert running.run_tls(run, up)
    assert (_shown(run.settings), console.said[-1].startswith("front: its configuration had been changed")) == (
        _on_disk(run.settings),
        True,
    )


def test_a_front_that_is_gone_stands_again_where_the_settings_have_it_listen(up: FakeEngine, run: Run) -> None:
    up._forget(FRONT)
    assert up.container
    assert front.as_it_runs(run.with_settings(listen="127.0.0.1"), up.container, up).settings.listen == "127.0.0.1"


def test_another_port_takes_another_front_and_the_same_registry(up: FakeEngine, run: Run, console: Recorder) -> None:
    before, port = up.container, loopback.free_port()
    moved = run.with_settings(port=port)
    console.said.clear()
    assert running.run_tls(moved, up)
    assert (up.container, _shown(moved.settings), _names(up)) == (before, _on_disk(run.settings), ["registry", FRONT])
    told, gap = console.said
    assert told == "front: is replaced now; new connections fail for a moment"
    assert re.fullmatch(r"front: replaced; no answer for \d+\.\d s", gap)


@pytest.mark.parametrize("how", ["running", "exited"])
def test_a_front_that_is_renewed_before_the_registry_is_proved_by_the_one_that_runs(
    how: str, up: FakeEngine, run: Run
) -> None:
    _renewed(run, up)
    moved = run.with_settings(port=loopback.free_port()) if how == "running" else run
    up._end(FRONT) if how == "exited" else None
    assert running.run_tls(moved, up)
    assert (_names(up), _shown(moved.settings)) == (["registry", FRONT], _on_disk(run.settings))


def test_a_front_that_stood_still_when_the_first_user_came_leads_to_a_registry_that_asks(
    up: FakeEngine, run: Run
) -> None:
    up._end(FRONT)
    _first_user(run, up)
    assert running.run_tls(run, up)
    assert probe.request(proof._at(_registry(up), run.settings, up), "GET", "/v2/", probe.unverified())[0] == 401


def test_a_front_that_leads_to_another_registry_than_ours_is_no_front_of_ours(up: FakeEngine, run: Run) -> None:
    at = probe.Endpoint(loopback.HOST, run.settings.port)
    with pytest.raises(RegistryError, match="another certificate"):
        proof.check_leads(at, FRONT, up, "0" * 64)
    proof.check_leads(at, FRONT, up, _shown(run.settings))


def test_a_port_of_metrics_that_is_taken_is_told_before_a_registry_is_touched(up: FakeEngine, run: Run) -> None:
    up.done.clear()
    with (
        loopback.registry(None) as taken,
        pytest.raises(SettingError, match=f"registry.metrics is {taken}, and another program listens there"),
    ):
        running.reload(run.with_settings(metrics=taken), _registry(up), up)
    assert up.done == []


# What a killed run leaves


class Killed(BaseException):
    """The end of a run at once."""


def _killed(*_: object) -> None:
    raise Killed


def _killed_in_a_switch(up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew, and end at once where everybody is to be led over; nothing is put back."""
    _renewed(run, up)
    with monkeypatch.context() as patched:
        patched.setattr(switch, "_lead_over", _killed)
        patched.setattr(switch, "_back", lambda *_: None)
        with pytest.raises(Killed):
            running.run_tls(run, up)


def killed_at(at: int, up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a run end at once where it is to make its next change but so many; nothing is put back."""
    real, left = up._do, [at]

    def do(act: str, name: str) -> None:
        if not left[0]:
            left[0] = -1
            raise Killed
        real(act, name)
        left[0] -= 1

    with monkeypatch.context() as patched:
        patched.setattr(up, "_do", do)
        patched.setattr(switch, "_back", lambda *_: None)
        with pytest.raises(Killed):
            running.run_tls(run, up)


def test_a_front_that_was_set_aside_by_a_killed_run_is_known_and_gives_way(
    up: FakeEngine, run: Run, settings: Settings
) -> None:
    up.rename(FRONT, predecessor_name(FRONT))
    assert lifecycle._remains(dataclasses.replace(settings, volume="none"), up)
    checks.check_port(run, up)
    assert running.run_tls(run, up)
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))


def test_a_front_that_was_set_aside_by_a_killed_run_is_stopped_too(up: FakeEngine, run: Run) -> None:
    up.rename(FRONT, predecessor_name(FRONT))
    assert running.stop(run, up, purge=True)
    assert (_names(up), up.networks) == ([], {})


def test_a_network_whose_front_somebody_removed_goes_with_the_registry(up: FakeEngine, run: Run) -> None:
    up._forget(FRONT)
    assert running.stop(run, up, purge=False)
    assert up.networks == {}


@pytest.mark.parametrize("gone", ["the registry", "nothing"])
def test_off_after_a_killed_switch_leaves_one_registry_and_no_front(
    gone: str, up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone == "the registry":
        up._forget(NAME)
    else:
        _killed_in_a_switch(up, run, monkeypatch)
    assert running.run_tls(run.with_settings(front=False), up)
    assert (_names(up), up.networks, _shown(run.settings)) == (["registry"], {}, _on_disk(run.settings))


def test_a_switch_that_was_killed_is_settled_through_the_front_that_stands_whatever_is_set_now(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed_in_a_switch(up, run, monkeypatch)
    moved = run.with_settings(port=loopback.free_port())
    assert running.run_tls(moved, up)
    assert (_names(up), _shown(moved.settings)) == (["registry", FRONT], _on_disk(run.settings))


@pytest.mark.parametrize("at", range(len(SWITCHED) + 1))
def test_a_switch_that_was_killed_is_finished_or_undone_by_the_next_run(
    at: int, up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _renewed(run, up)
    killed_at(at, up, run, monkeypatch)
    with knocking(run.settings) as met:
        running.run_tls(run, up)
    assert [it for it in met if it.startswith("refused")] == []
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))
    assert up.done.count("retire front") == 0


# Off


def test_off_the_registry_has_the_port_again_and_nothing_of_the_front_stays(
    up: FakeEngine, run: Run, console: Recorder
) -> None:
    assert running.run_tls(run.with_settings(front=False), up)
    assert (_names(up), up.networks, [*up.files]) == (
        ["registry"],
        {},
        [up.container.files_volume if up.container else ""],
    )
    assert console.said[0].startswith("front: gives the port back now")
    assert _shown(run.settings) == _on_disk(run.settings)


def test_where_the_registry_does_not_take_the_port_the_front_stands_again(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = up.start

    def fail(name: str, *rest: object) -> None:
        if name == "registry":
            raise RegistryError("no start", cure="")
        start(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(up, "start", fail)
    with pytest.raises(RegistryError, match=r"no start The previous registry runs again\."):
        running.run_tls(run.with_settings(front=False), up)
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))


@pytest.mark.parametrize("at", ["create", "drain", "retire", "start"])
def test_an_off_that_fails_anywhere_leaves_registry_and_front_at_the_port_that_they_had(
    at: str, up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(up, at)

    def fail(name: object, *rest: object) -> None:
        if getattr(name, "name", name) in {NAME, FRONT, predecessor_name(NAME)}:
            monkeypatch.setattr(up, at, real)
            raise KeyboardInterrupt
        real(name, *rest)

    monkeypatch.setattr(up, at, fail)
    other = run.with_settings(front=False, port=loopback.free_port())
    with pytest.raises(KeyboardInterrupt):
        running.run_tls(other, up)
    assert (_names(up), _shown(run.settings)) == (["registry", FRONT], _on_disk(run.settings))


@pytest.mark.parametrize("purge", [False, True])
def test_a_stop_takes_the_front_and_whatever_a_switch_left(
    up: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch, *, purge: bool
) -> None:
    monkeypatch.setattr(switch, "_ENDS", 0.1)
    up.busy = True
    _renewed(run, up)
    running.run_tls(run, up)
    assert running.stop(run, up, purge=purge)
    assert (_names(up), up.networks, up.files, [*up.volumes]) == (
        [],
        {},
        {},
        [] if purge else [run.settings.volume],
    )


def test_a_renewal_leaves_port_image_and_front_as_they_run(up: FakeEngine, run: Run) -> None:
    container: Container | None = up.container
    assert container
    _renewed(run, up)
    up.images["haproxy:before"], up.images[HAPROXY] = up.images[HAPROXY], "sha256:1"
    other = run.with_settings(front=False, port=loopback.free_port(), listen="")
    assert running.reload(other, container, up)
    there = up.find(FRONT)
    assert there
    assert (there.port, _shown(run.settings), up.done.count("retire front")) == (
        run.settings.port,
        _on_disk(run.settings),
        0,
    )


def test_a_dry_run_shows_the_network_the_registry_behind_it_and_the_front(settings: Settings) -> None:
    console = Recorder(dry=True)
    running.run_tls(Run(settings, console), engines.unavailable(console))
    steps = ["docker network create", f"docker run --detach --name {NAME} ", f"docker create --name {FRONT} "]
    shown = [line for line in console.typed if line.startswith(tuple(steps))]
    assert [line.startswith(step) for line, step in zip(shown, steps, strict=True)] == [True] * len(steps)
    assert ("--publish" in shown[1], f"--network {FRONT}" in shown[1]) == (False, True)
    assert (shown[2].count("--publish"), "--publish 127.0.0.1::5001" in shown[2]) == (2, True)
    assert console.typed[-1] == f"docker start {FRONT}"


def test_for_a_collection_another_registry_takes_over_and_the_next_run_finds_nothing_to_change(
    up: FakeEngine, run: Run
) -> None:
    container = up.container
    assert container
    config = collection._configuration(run, up)
    for wanted in (collection.refusing_pushes(config), config):
        up.done.clear()
        collection._take_over(wanted, container, run, up)
        assert (up.done[: len(SWITCHED)], collection._configuration(run, up)) == (SWITCHED, wanted)
    assert not running.run_tls(run, up)


def test_where_other_changes_are_due_a_collection_leaves_them_to_up(up: FakeEngine, run: Run) -> None:
    container = up.container
    assert container
    wanted = collection.refusing_pushes(collection._configuration(run, up))
    collection._take_over(
        wanted, container, dataclasses.replace(run, settings=dataclasses.replace(run.settings, drain=7)), up
    )
    assert up.done == ["hand over"]
