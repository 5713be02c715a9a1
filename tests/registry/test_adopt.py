"""A volume that a person declares to be this installation's: a dry run shows as much as the real one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from trusted_registry import address, installation
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ownership
from trusted_registry.run import Run
from trusted_registry.tasks import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

VOLUME = "trusted-registry"


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine with a volume of the set name that carries nobody's label."""
    made = FakeEngine(settings.folder / "domain.crt")
    made.volumes = {VOLUME: ""}
    monkeypatch.setattr(engines, "connect", lambda _console: made)
    monkeypatch.setattr(address, "own_addresses", lambda: (settings.address,))
    yield made
    made.end()


@pytest.mark.parametrize("dry", [True, False])
def test_the_run_goes_on_with_the_volume_that_was_declared(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, *, dry: bool
) -> None:
    claimed: list[object] = []
    monkeypatch.setattr(lifecycle, "_up", lambda run, engine: claimed.append(ownership.claimed(run, engine)))
    console, before = Recorder(dry=dry), snapshot(settings.root)
    lifecycle.up(Run(settings, console), adopt=True)
    would = "would be" if dry else "is"
    assert console.said == [f"volume: {VOLUME} {would} this installation's from now on, with the images in it"]
    assert (claimed, engine.done) == ([None], [])
    assert installation.known(settings.folder).volumes == (() if dry else (VOLUME,))
    assert (snapshot(settings.root) == before) is dry


@pytest.mark.parametrize("dry", [True, False])
def test_nothing_else_counts_as_declared(settings: Settings, engine: FakeEngine, *, dry: bool) -> None:
    run = Run(settings, Recorder(dry=dry))
    engine.volumes["another"] = ""
    declared = ownership.adopt_volume(run, engine).with_settings(volume="another")
    with pytest.raises(RegistryError, match="A volume named another exists"):
        ownership.claimed(declared, engine)


def test_a_dry_run_refuses_what_the_real_one_refuses(settings: Settings, engine: FakeEngine) -> None:
    engine.put("first", container(volume=VOLUME))
    for dry in (True, False):
        with pytest.raises(RegistryError, match="the container first uses it"):
            lifecycle.up(Run(settings, Recorder(dry=dry)), adopt=True)
    engine.volumes = {VOLUME: "f" * 32}
    engine.put("first", None)
    for dry in (True, False):
        with pytest.raises(RegistryError, match="did not make it"):
            lifecycle.up(Run(settings, Recorder(dry=dry)), adopt=True)
