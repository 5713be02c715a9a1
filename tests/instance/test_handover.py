"""At a renewal another registry takes over in the same container; where it proves nothing, the one before goes on."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.fake_engine import FakeEngine
from tests.instance.engines import HANDED_OVER, REPLACED
from tests.recorder import Recorder
from trusted_registry.certificate import inspect, issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import handover, running
from trusted_registry.registry import probe
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trusted_registry.settings import Settings

PAIR = ("domain.crt", "domain.key")


@pytest.fixture
def engine(settings: Settings) -> Iterator[FakeEngine]:
    """An engine whose registry runs, and serves a certificate that is not the one on disk any more."""
    made = FakeEngine(settings.folder / "domain.crt")
    running.run_tls(Run(settings, Recorder()), made)
    issue.renew(Run(settings, Recorder()))
    made.done.clear()
    yield made
    made.end()


def _read(engine: FakeEngine) -> list[bytes]:
    """Return the certificate and the key that the registry finds."""
    found = engine.read_files("registry", "/config")
    return [found[name] for name in PAIR]


def _on_disk(settings: Settings) -> list[bytes]:
    return [(settings.folder / name).read_bytes() for name in PAIR]


def _fingerprint(settings: Settings) -> str:
    return probe.fingerprint(probe.Endpoint(loopback.HOST, settings.port))


def test_another_registry_takes_over_in_the_same_container_with_the_new_pair(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    before = engine.container
    assert _read(engine) != _on_disk(settings)
    assert running.run_tls(Run(settings, console), engine)
    assert (engine.done, engine.container, _read(engine)) == (HANDED_OVER, before, _on_disk(settings))
    assert _fingerprint(settings) == inspect.read(settings.folder / "domain.crt").fingerprint
    assert [*engine.files] == [engine.container.files_volume if engine.container else ""]


def test_where_nobody_answers_that_could_hand_over_it_is_restarted_with_the_new_pair(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    """A registry that dies at each start runs for a moment each time, and may be met in it."""
    engine.containers["registry"].serving.close()
    assert running.run_tls(Run(settings, console), engine)
    assert (engine.done, _read(engine)) == ([*HANDED_OVER[:-1], "restart"], _on_disk(settings))
    assert console.said[-1] == "registry: it did not answer, so it was restarted"
    assert _fingerprint(settings) == inspect.read(settings.folder / "domain.crt").fingerprint


def test_a_renewal_reaches_a_registry_that_dies_at_each_start(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of the time it is neither running nor stopped, and the pair before may be why."""
    monkeypatch.setattr(engines, "connect", lambda _console: engine)
    registry = engine.containers["registry"]
    registry.serving.close()
    registry.is_in("exited")
    assert not running.restart(Run(settings, console))
    registry.is_in("restarting")
    assert running.restart(Run(settings, console))
    assert _fingerprint(settings) == inspect.read(settings.folder / "domain.crt").fingerprint


def test_the_seconds_are_told_in_which_nobody_may_have_been_answered(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine.hand_over

    def slow(name: str) -> None:
        time.sleep(0.2)
        real(name)

    monkeypatch.setattr(engine, "hand_over", slow)
    begun = time.monotonic()
    running.run_tls(Run(settings, console), engine)
    told = re.fullmatch(r"registry: the new one took over; no answer for (\d\.\d\d) s", console.said[-1])
    assert told
    assert 0.2 <= float(told[1]) <= time.monotonic() - begun


def test_a_pair_that_fails_when_it_is_tried_is_not_given_to_the_one_that_runs(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    before, engine.shows = _read(engine), None
    with pytest.raises(RegistryError, match="goes on"):
        running.run_tls(Run(settings, console), engine)
    assert (engine.done, _read(engine)) == (HANDED_OVER[:-1], before)
    assert [*engine.files] == [engine.container.files_volume if engine.container else ""]


def _saved(settings: Settings, pair: list[bytes]) -> Path:
    folder = settings.root / "before"
    folder.mkdir()
    for name, content in zip(PAIR, pair, strict=True):
        (folder / name).write_bytes(content)
    return folder / "domain.crt"


@pytest.mark.parametrize("error", [RegistryError("it is gone", cure=""), KeyboardInterrupt()])
def test_where_it_fails_at_last_the_pair_before_is_served_again(
    error: BaseException,
    settings: Settings,
    engine: FakeEngine,
    console: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, shown = _read(engine), _fingerprint(settings)

    def fail(_name: str) -> None:
        raise error

    monkeypatch.setattr(engine, "hand_over", fail)
    # The fake's registries read this machine's own files.
    engine.containers["registry"].shows = _saved(settings, before)
    with pytest.raises(type(error)) as caught:
        running.run_tls(Run(settings, console), engine)
    assert str(caught.value) == ("" if isinstance(error, KeyboardInterrupt) else f"it is gone {handover.BEFORE}")
    assert (engine.done[-1], _read(engine), _fingerprint(settings)) == ("restart", before, shown)


def test_that_the_one_before_serves_again_is_only_said_where_it_does(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "_PATIENCE", 0.1)
    engine.containers["registry"].shows = forge.save(
        forge.server(None, names=(loopback.HOST,)), settings.root / "other", "domain"
    )
    with pytest.raises(RegistryError) as caught:
        running.run_tls(Run(settings, console), engine)
    assert "The handshake failed" in caught.value.message
    assert handover.BEFORE not in caught.value.message


def test_in_an_image_without_a_shell_nobody_can_take_over_so_it_is_replaced(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.starts = ()
    running.run_tls(Run(settings, console), engine)
    issue.renew(Run(settings, console))
    engine.done.clear()
    running.run_tls(Run(settings, console), engine)
    assert engine.done == REPLACED
