"""A registry that is replaced: the old one goes for good only when the new one has proved itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from tests.registry.logins import ADA
from trusted_registry import files, installation
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import RegistryError
from trusted_registry.instance import images, predecessor, roles, running
from trusted_registry.instance.model import Image, Instance, Published
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OLD = "registry:2"


@pytest.fixture
def engine(settings: Settings) -> Iterator[FakeEngine]:
    """An engine whose registry runs, from an older image, and has proved itself."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder)
    made.images[OLD] = OLD
    running.run_tls(Run(dataclasses.replace(settings, image=OLD), Recorder()), made)
    made.done.clear()
    yield made
    made.end()


Fault = Callable[[FakeEngine, Settings], None]


def _another_authority_s(engine: FakeEngine, settings: Settings) -> None:
    _have_shown(engine, forge.save(forge.server(None, names=(loopback.HOST,)), settings.root / "other", "domain"))


def _no_registry(engine: FakeEngine, _settings: Settings) -> None:
    _have_shown(engine, None)


def _have_shown(engine: FakeEngine, shows: Path | None) -> None:
    """Have those that are not started yet show another certificate."""
    engine.shows = shows
    for kept in engine.containers.values():
        kept.shows = shows if kept.described.state == "created" else kept.shows


def _cannot_start(engine: FakeEngine, _settings: Settings) -> None:
    engine.refuses = RegistryError("exec: no such file", cure="")


def _dies(engine: FakeEngine, _settings: Settings) -> None:
    engine.dies = True
    for kept in engine.containers.values():
        kept.dies = kept.described.state == "created"


def _interrupted(engine: FakeEngine, _settings: Settings) -> None:
    engine.refuses = KeyboardInterrupt()


def _answers(settings: Settings, port: int | None = None) -> int:
    trust = probe.context(settings.folder / "ca.crt")
    return probe.request(probe.Endpoint(loopback.HOST, port or settings.port), "GET", "/v2/", trust)[0]


FAULTS = [_another_authority_s, _no_registry, _cannot_start, _dies]


@pytest.fixture
def at_last(settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Have a fault show itself only when the new one has been tried, and takes the old one's place."""

    def happen(fault: Fault) -> None:
        real = engine.start

        def start(name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
            fault(engine, settings)
            real(name, meanwhile)

        monkeypatch.setattr(engine, "start", start)

    return happen


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_new_one_fails_when_it_is_tried_the_old_one_never_notices(
    fault: Fault, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    fault(engine, settings)
    with pytest.raises(RegistryError) as caught:
        running.run_tls(Run(settings, console), engine)
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (OLD, None, 200)
    assert {it.rpartition(" ")[2] for it in engine.done} <= {"rehearsal"}
    assert "goes on" in caught.value.message
    assert engine.find("registry-rehearsal") is None
    assert [*engine.files] == [engine.container.files_volume]


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_new_one_fails_at_last_the_old_one_runs_again_and_is_said_to(
    fault: Fault, settings: Settings, engine: FakeEngine, console: Recorder, at_last: Callable[[Fault], None]
) -> None:
    at_last(fault)
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(settings, console), engine)
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (OLD, None, 200)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_for_another_port(
    fault: Fault, settings: Settings, engine: FakeEngine, console: Recorder, at_last: Callable[[Fault], None]
) -> None:
    at_last(fault)
    with loopback.silence() as other, pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(dataclasses.replace(settings, port=other), console), engine)
    assert _answers(settings) == 200


def test_an_interrupted_run_puts_the_old_one_back(
    settings: Settings, engine: FakeEngine, console: Recorder, at_last: Callable[[Fault], None]
) -> None:
    at_last(_interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run_tls(Run(settings, console), engine)
    assert (console.warned[-1], _answers(settings)) == (predecessor.AGAIN, 200)


@pytest.mark.parametrize("made", ["renewed", "by another authority"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_has_an_older_certificate_runs_again_with_that(  # noqa: PLR0913, PLR0917 - two that multiply
    made: str,
    fault: Fault,
    settings: Settings,
    engine: FakeEngine,
    console: Recorder,
    at_last: Callable[[Fault], None],
) -> None:
    shown = inspect.read(settings.folder / "domain.crt").fingerprint
    if made == "renewed":
        issue.renew(Run(settings, Recorder()))
    else:
        issue.ensure(Run(settings, Recorder()), force=True)
    at_last(fault)
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(settings, console), engine)
    assert probe.fingerprint(probe.Endpoint(loopback.HOST, settings.port)) == shown


def test_one_that_was_not_stopped_yet_only_gets_its_name_back(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise RegistryError("The container registry could not be made: no space left on device", cure="df -h")

    monkeypatch.setattr(engine, "create", full)
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(settings, console), engine)
    assert [it for it in engine.done if "rehearsal" not in it] == ["rename", "rename before"]
    assert _answers(settings) == 200


def test_a_new_one_that_proves_itself_takes_the_old_one_s_place(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    assert running.run_tls(Run(settings, console), engine)
    assert engine.container
    assert (engine.container.image, engine.done[-2:]) == (settings.image, ["start", "kill before"])


def test_an_image_that_cannot_be_had_costs_nothing(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> str:
        raise RegistryError("Pulling bad:2 failed: no such host", cure="")

    monkeypatch.setattr(images, "ensure", none)
    with pytest.raises(RegistryError, match="no such host"):
        running.run_tls(Run(dataclasses.replace(settings, image="bad:2"), console), engine)
    assert (engine.done, _answers(settings)) == ([], 200)


def test_the_files_that_the_old_one_reads_are_put_back_with_it(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    before = (settings.folder / "registry.yml").read_bytes()
    users.save(settings.folder, ADA)
    _cannot_start(engine, settings)
    with pytest.raises(RegistryError):
        running.run_tls(Run(settings, console), engine)
    assert (settings.folder / "registry.yml").read_bytes() == before


def test_an_old_one_that_asks_nobody_though_there_are_users_now_is_not_put_back(
    settings: Settings, engine: FakeEngine, console: Recorder, at_last: Callable[[Fault], None]
) -> None:
    users.save(settings.folder, ADA)
    at_last(_cannot_start)
    with pytest.raises(RegistryError, match="no such file"):
        running.run_tls(Run(settings, console), engine)
    assert (engine.container, engine.aside) == (None, None)
    assert "lets everybody in" in console.warned[-1]


def test_the_plain_registry_goes_on_where_the_one_with_tls_fails(settings: Settings, console: Recorder) -> None:
    engine = FakeEngine()
    running.run_plain(Run(settings, console), engine, lan=False)
    _cannot_start(engine, settings)
    with pytest.raises(RegistryError):
        running.run_tls(Run(settings, console), engine)
    assert probe.speaks_plain(probe.Endpoint(loopback.HOST, settings.plain_port))
    engine.end()


# Runs that were killed in the middle


def _while_the_new_one_was_tried(engine: FakeEngine, new: Instance) -> None:
    engine.run(new.rehearsal())


def _before_the_new_one_was_made(engine: FakeEngine, _new: Instance) -> None:
    engine.rename("registry", "registry-before")


def _before_the_old_one_was_stopped(engine: FakeEngine, new: Instance) -> None:
    engine.rename("registry", "registry-before")
    engine.create(new)


def _before_the_one_on_another_port_was_started(engine: FakeEngine, new: Instance) -> None:
    port = loopback.free_port()
    _before_the_old_one_was_stopped(engine, dataclasses.replace(new, published=Published(loopback.HOST, port)))


def _before_the_new_one_was_started(engine: FakeEngine, new: Instance) -> None:
    _before_the_old_one_was_stopped(engine, new)
    engine.retire("registry-before")


def _before_the_new_one_was_proved(engine: FakeEngine, new: Instance) -> None:
    _before_the_new_one_was_started(engine, new)
    engine.start("registry")


def _killed(engine: FakeEngine, settings: Settings, at: Callable[[FakeEngine, Instance], None]) -> None:
    """Leave what a run leaves that is killed at a point."""
    image = Image(settings.image, engine.images[settings.image])
    made = roles.tls(settings, image, engine.starts)
    at(engine, dataclasses.replace(made, installation=installation.known(settings.folder).id))


KILLED = [
    _while_the_new_one_was_tried,
    _before_the_new_one_was_made,
    _before_the_old_one_was_stopped,
    _before_the_one_on_another_port_was_started,
    _before_the_new_one_was_started,
    _before_the_new_one_was_proved,
]


@pytest.mark.parametrize("killed", KILLED)
def test_the_next_run_proves_the_new_one_and_clears_the_old_one_away(
    killed: Callable[[FakeEngine, Instance], None], settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _killed(engine, settings, killed)
    running.run_tls(Run(settings, console), engine)
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (settings.image, None, 200)


@pytest.mark.parametrize("killed", KILLED)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_run_has_the_old_one_run_again_where_the_new_one_fails(  # noqa: PLR0913, PLR0917 - two that multiply
    killed: Callable[[FakeEngine, Instance], None],
    fault: Fault,
    settings: Settings,
    engine: FakeEngine,
    console: Recorder,
    at_last: Callable[[Fault], None],
) -> None:
    _killed(engine, settings, killed)
    at_last(fault)
    changed = dataclasses.replace(settings, image="other:3")
    engine.images["other:3"] = "other:3"
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(changed, console), engine)
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (OLD, None, 200)


def test_stopping_takes_away_what_a_killed_run_set_aside(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _killed(engine, settings, _before_the_new_one_was_made)
    assert running.stop(Run(settings, console), engine, purge=False)
    assert (engine.container, engine.aside) == (None, None)


def test_plain_http_does_not_take_the_place_of_a_tls_registry_that_a_killed_run_set_aside(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _killed(engine, settings, _before_the_new_one_was_made)
    with pytest.raises(RegistryError, match="a step back"):
        running.run_plain(Run(settings, console), engine, lan=False)
    assert _answers(settings) == 200


def test_somebody_else_s_container_of_that_name_is_named_and_nothing_is_touched(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.aside = container(role=None, digest=None, image="nginx")
    with pytest.raises(RegistryError, match=r"registry-before exists .*did not make it"):
        running.run_tls(Run(settings, console), engine)
    assert (engine.done, _answers(settings)) == ([], 200)


def test_a_dry_run_shows_the_way_and_touches_nothing(settings: Settings, engine: FakeEngine) -> None:
    folder: dict[Path, bytes] = {path: path.read_bytes() for path in settings.folder.iterdir() if path.is_file()}
    running.run_tls(Run(settings, Recorder(dry=True)), engine)
    assert {path: path.read_bytes() for path in folder} == folder


def test_a_full_disk_before_anything_was_touched_costs_nothing(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **_options: object) -> None:
        raise RegistryError(f"{path} cannot be written: no space left on device.", cure="df -h")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(RegistryError, match="no space left"):
        running.run_tls(Run(settings, console), engine)
    assert engine.container
    assert (engine.container.image, engine.done, _answers(settings)) == (OLD, [], 200)


def test_one_that_a_killed_run_left_does_not_replace_a_registry_that_this_run_did_not_touch(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    assert engine.container
    engine.aside = dataclasses.replace(engine.container, image="registry:1")
    with pytest.raises(RegistryError, match="plain HTTP would be a step back"):
        running.run_plain(Run(settings, console), engine, lan=False)
    assert (engine.container.image, engine.done, _answers(settings)) == (OLD, [], 200)
