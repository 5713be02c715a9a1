"""A registry that is replaced: the old one goes for good only when the new one has proved itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.recorder import Recorder
from tests.registry.engines import OnLoopback, as_engine, container
from tests.registry.logins import ADA
from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.instance import images, predecessor, running
from trusted_registry.instance import spec as specs
from trusted_registry.registry import probe, users
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trusted_registry.instance.spec import Spec

    from trusted_registry.settings import Settings

OLD = "registry:2"


@pytest.fixture
def engine(settings: Settings) -> Iterator[OnLoopback]:
    """An engine whose registry runs, from an older image, and has proved itself."""
    made = OnLoopback(settings.folder / "domain.crt", users=settings.folder)
    made.images[OLD] = OLD
    running.run_tls(Run(dataclasses.replace(settings, image=OLD), Recorder()), as_engine(made))
    made.done.clear()
    yield made
    made.close()


def _another_authority_s(engine: OnLoopback, settings: Settings) -> None:
    engine.shows_before = engine.shows
    engine.shows = forge.save(forge.server(None, names=(loopback.HOST,)), settings.root / "other", "domain")


def _no_registry(engine: OnLoopback, _settings: Settings) -> None:
    engine.shows_before, engine.shows = engine.shows, None


def _cannot_start(engine: OnLoopback, _settings: Settings) -> None:
    engine.refuses = RegistryError("exec: no such file", cure="")


def _dies(engine: OnLoopback, _settings: Settings) -> None:
    engine.dies = True


def _interrupted(engine: OnLoopback, _settings: Settings) -> None:
    engine.refuses = KeyboardInterrupt()


def _answers(settings: Settings, port: int | None = None) -> int:
    trust = probe.context(settings.folder / "ca.crt")
    return probe.request(probe.Endpoint(loopback.HOST, port or settings.port), "GET", "/v2/", trust)[0]


FAULTS = [_another_authority_s, _no_registry, _cannot_start, _dies]


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_new_one_fails_the_old_one_runs_again_and_is_said_to(
    fault: Callable[[OnLoopback, Settings], None], settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    fault(engine, settings)
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (OLD, None, 200)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_for_another_port(
    fault: Callable[[OnLoopback, Settings], None], settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    fault(engine, settings)
    with loopback.silence() as other, pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(dataclasses.replace(settings, port=other), console), as_engine(engine))
    assert _answers(settings) == 200


def test_an_interrupted_run_puts_the_old_one_back(settings: Settings, engine: OnLoopback, console: Recorder) -> None:
    _interrupted(engine, settings)
    with pytest.raises(KeyboardInterrupt):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert (console.warned[-1], _answers(settings)) == (predecessor.AGAIN, 200)


def test_a_new_one_that_proves_itself_takes_the_old_one_s_place(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    assert running.run_tls(Run(settings, console), as_engine(engine))
    assert engine.container
    assert (engine.container.image, engine.done) == (settings.image, ["aside", "start", "remove before"])


def test_an_image_that_cannot_be_had_costs_nothing(
    settings: Settings, engine: OnLoopback, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> str:
        raise RegistryError("Pulling bad:2 failed: no such host", cure="")

    monkeypatch.setattr(images, "ensure", none)
    with pytest.raises(RegistryError, match="no such host"):
        running.run_tls(Run(dataclasses.replace(settings, image="bad:2"), console), as_engine(engine))
    assert (engine.done, _answers(settings)) == ([], 200)


def test_the_files_that_the_old_one_reads_are_put_back_with_it(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    before = (settings.folder / "registry.yml").read_bytes()
    users.save(settings.folder, ADA)
    _cannot_start(engine, settings)
    with pytest.raises(RegistryError):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert (settings.folder / "registry.yml").read_bytes() == before


def test_an_old_one_that_asks_nobody_though_there_are_users_now_is_not_put_back(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    users.save(settings.folder, ADA)
    _cannot_start(engine, settings)
    with pytest.raises(RegistryError, match="no such file"):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert (engine.container, engine.aside) == (None, None)
    assert "lets everybody in" in console.warned[-1]


def test_the_plain_registry_runs_again_where_the_one_with_tls_fails(settings: Settings, console: Recorder) -> None:
    engine = OnLoopback()
    running.run_plain(Run(settings, console), as_engine(engine), lan=False)
    _cannot_start(engine, settings)
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert probe.speaks_plain(probe.Endpoint(loopback.HOST, settings.plain_port))
    engine.close()


# Runs that were killed in the middle


def _killed_before_the_new_one_was_made(engine: OnLoopback, _spec: Spec) -> None:
    engine.set_aside("registry", "registry-before")


def _killed_before_the_new_one_was_proved(engine: OnLoopback, spec: Spec) -> None:
    engine.set_aside("registry", "registry-before")
    engine.start(spec)


KILLED = [_killed_before_the_new_one_was_made, _killed_before_the_new_one_was_proved]


@pytest.mark.parametrize("killed", KILLED)
def test_the_next_run_proves_the_new_one_and_clears_the_old_one_away(
    killed: Callable[[OnLoopback, Spec], None], settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    killed(engine, specs.tls(settings, settings.image, engine.starts))
    running.run_tls(Run(settings, console), as_engine(engine))
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (settings.image, None, 200)


@pytest.mark.parametrize("killed", KILLED)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_run_has_the_old_one_run_again_where_the_new_one_fails(
    killed: Callable[[OnLoopback, Spec], None],
    fault: Callable[[OnLoopback, Settings], None],
    settings: Settings,
    engine: OnLoopback,
    console: Recorder,
) -> None:
    killed(engine, specs.tls(settings, settings.image, engine.starts))
    fault(engine, settings)
    changed = dataclasses.replace(settings, image="other:3")
    engine.images["other:3"] = "other:3"
    with pytest.raises(RegistryError, match=predecessor.AGAIN):
        running.run_tls(Run(changed, console), as_engine(engine))
    assert engine.container
    assert (engine.container.image, engine.aside, _answers(settings)) == (OLD, None, 200)


def test_stopping_takes_away_what_a_killed_run_set_aside(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    engine.set_aside("registry", "registry-before")
    assert running.stop(Run(settings, console), as_engine(engine), purge=False)
    assert (engine.container, engine.aside) == (None, None)


def test_plain_http_does_not_take_the_place_of_a_tls_registry_that_a_killed_run_set_aside(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    engine.set_aside("registry", "registry-before")
    with pytest.raises(RegistryError, match="a step back"):
        running.run_plain(Run(settings, console), as_engine(engine), lan=False)
    assert _answers(settings) == 200


def test_somebody_else_s_container_of_that_name_is_named_and_nothing_is_touched(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    engine.aside = container(role=None, digest=None, image="nginx")
    with pytest.raises(RegistryError, match=r"registry-before exists .*did not make it"):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert (engine.done, _answers(settings)) == ([], 200)


def test_a_dry_run_shows_the_way_and_touches_nothing(settings: Settings, engine: OnLoopback) -> None:
    folder: dict[Path, bytes] = {path: path.read_bytes() for path in settings.folder.iterdir() if path.is_file()}
    running.run_tls(Run(settings, Recorder(dry=True)), as_engine(engine))
    assert {path: path.read_bytes() for path in folder} == folder


def test_a_full_disk_before_anything_was_touched_costs_nothing(
    settings: Settings, engine: OnLoopback, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **_options: object) -> None:
        raise RegistryError(f"{path} cannot be written: no space left on device.", cure="df -h")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(RegistryError, match="no space left"):
        running.run_tls(Run(settings, console), as_engine(engine))
    assert engine.container
    assert (engine.container.image, engine.done, _answers(settings)) == (OLD, [], 200)


def test_one_that_a_killed_run_left_does_not_replace_a_registry_that_this_run_did_not_touch(
    settings: Settings, engine: OnLoopback, console: Recorder
) -> None:
    assert engine.container
    engine.aside = dataclasses.replace(engine.container, image="registry:1")
    with pytest.raises(RegistryError, match="plain HTTP would be a step back"):
        running.run_plain(Run(settings, console), as_engine(engine), lan=False)
    assert (engine.container.image, engine.done, _answers(settings)) == (OLD, [], 200)
