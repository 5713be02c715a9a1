"""A certificate that is about to go, and the registry of a version before ids that only this certificate proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ownership, running
from trusted_registry.run import Run
from trusted_registry.tasks import cert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

VOLUME = "trusted-registry"


@pytest.fixture
def moved(certified: MakeSettings) -> Settings:
    """A checkout of a version before ids, after its move: nothing beside the certificate tells what it made."""
    made = certified()
    (made.folder / installation.FILE).unlink(missing_ok=True)
    return made


@pytest.fixture
def engine(moved: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry shows that certificate, and was given files where nothing is now."""
    made = FakeEngine(moved.root / "before" / "domain.crt")
    made.volumes = {VOLUME: ""}
    monkeypatch.setattr(engines, "connect", lambda _console: made)
    monkeypatch.setattr(running, "restart", lambda *_arguments, **_options: False)
    with loopback.registry(moved.folder / "domain.crt") as port:
        made.container = container(id="old", volume=VOLUME, listen=loopback.HOST, port=port)
        yield made


def _renew(run: Run) -> None:
    cert.renew(run, if_expiring="")


def _force(run: Run) -> None:
    cert.make(run, self_signed=False, force=True, tool="")


def _force_self_signed(run: Run) -> None:
    cert.make(run, self_signed=True, force=True, tool="")


replacing = pytest.mark.parametrize("replace", [_renew, _force, _force_self_signed])


@replacing
def test_a_registry_is_adopted_before_the_certificate_that_proves_it_is_replaced(
    replace: Callable[[Run], None], moved: Settings, engine: FakeEngine, console: Recorder
) -> None:
    before = (moved.folder / "domain.crt").read_bytes()
    replace(Run(moved, console))
    noted = installation.known(moved.folder)
    assert (noted.containers, noted.volumes) == (("old",), (VOLUME,))
    assert (moved.folder / "domain.crt").read_bytes() != before
    assert ownership.claimed(Run(moved, console), engine)


@replacing
def test_a_registry_that_shows_another_certificate_is_not_adopted(
    replace: Callable[[Run], None], moved: Settings, engine: FakeEngine, console: Recorder
) -> None:
    cert.make(Run(moved, Recorder()), self_signed=True, force=True, tool="")
    (moved.folder / installation.FILE).unlink()
    replace(Run(moved, console))
    assert installation.known(moved.folder).containers == ()
    with pytest.raises(RegistryError, match="where nothing is now"):
        ownership.claimed(Run(moved, console), engine)


@replacing
def test_a_dry_run_adopts_nothing(replace: Callable[[Run], None], moved: Settings, engine: FakeEngine) -> None:
    before = snapshot(moved.folder)
    replace(Run(moved, Recorder(dry=True)))
    assert (snapshot(moved.folder), engine.done) == (before, [])


@replacing
def test_without_an_engine_the_certificate_is_replaced_all_the_same_and_nothing_is_said_of_that(
    replace: Callable[[Run], None], moved: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_console: Recorder) -> None:
        raise RegistryError("No Docker Engine answers.", cure="")

    monkeypatch.setattr(engines, "connect", none)
    monkeypatch.setattr(running, "restart", lambda *_arguments, **_options: False)
    replace(Run(moved, console))
    assert [line for line in console.warned if "Engine" in line] == []
    assert installation.known(moved.folder).containers == ()
