"""An address that is another machine's: no registry is started for it, and none that runs is stopped for it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, nobody
from tests.instance.engines import HANDED_OVER
from tests.recorder import Recorder
from trusted_registry import address, saved_flags
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import SettingError
from trusted_registry.instance import checks, running
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.tasks import cert, lifecycle, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.settings import Settings

OTHER = "10.9.9.9"
OWN = "192.168.0.12"


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "own_addresses", lambda: (OWN,))
    monkeypatch.setattr(address, "own_address", lambda: OWN)


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry runs on this machine's own address."""
    made = FakeEngine(settings.folder / "domain.crt")
    monkeypatch.setattr(engines, "connect", lambda *_, **__: made)
    running.run_tls(Run(settings, Recorder()), made)
    made.done.clear()
    yield made
    made.end()


def _asked_for(settings: Settings) -> Settings:
    """Return the settings of somebody who types --address with another machine's."""
    said = {**settings.saved_flags, "address": OTHER}
    return dataclasses.replace(settings, address=OTHER, saved_flags=said)


def _answers(settings: Settings) -> int:
    trust = probe.context(settings.folder / "ca.crt")
    return probe.request(probe.Endpoint(loopback.HOST, settings.port), "GET", "/v2/", trust)[0]


def _up(settings: Settings, _engine: FakeEngine, console: Recorder) -> None:
    lifecycle.up(Run(settings, console))


def _tls(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    registry.alone(Run(settings, console), engine)


@pytest.mark.parametrize("act", [_up, _tls])
@pytest.mark.parametrize("other", [OTHER, "fd00::99"])
def test_it_is_refused_before_anything_is_touched(
    other: str,
    act: Callable[[Settings, FakeEngine, Recorder], None],
    settings: Settings,
    engine: FakeEngine,
    console: Recorder,
) -> None:
    before = snapshot(settings.folder)
    with pytest.raises(SettingError, match=rf"{other} is none of this machine's addresses \({OWN}\)") as caught:
        act(dataclasses.replace(_asked_for(settings), address=other), engine, console)
    assert (engine.done, snapshot(settings.folder), _answers(settings)) == ([], before, 200)
    assert (caught.value.code, f"--names {other}" in caught.value.cure) == (2, True)


def test_the_cure_names_where_the_address_was_said(settings: Settings, console: Recorder) -> None:
    for said, cure in (({"address": OTHER}, "./inv up --address ''"), ({}, "unset INVOKE_REGISTRY_ADDRESS")):
        with pytest.raises(SettingError) as caught:
            checks.check_address(Run(dataclasses.replace(settings, address=OTHER, saved_flags=said), console), nobody())
        assert caught.value.cure.startswith(cure)


@pytest.mark.parametrize("host", [OWN, "127.0.0.1", "::1", "registry.example"])
def test_this_machine_s_own_loopback_and_names_are_not(host: str, settings: Settings, console: Recorder) -> None:
    checks.check_address(Run(dataclasses.replace(settings, address=host), console), nobody())


def test_a_dry_run_shows_what_would_be_typed(settings: Settings) -> None:
    checks.check_address(Run(_asked_for(settings), Recorder(dry=True)), nobody())


def _make(settings: Settings, console: Recorder) -> None:
    cert.make(Run(settings, console), self_signed=False, force=True, tool="")


def _renew(settings: Settings, console: Recorder) -> None:
    cert.renew(Run(settings, console), if_expiring="")


@pytest.mark.parametrize("act", [_make, _renew])
def test_a_certificate_may_name_it_and_it_is_not_kept(
    act: Callable[[Settings, Recorder], None], settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    wanted = _asked_for(settings)
    act(wanted, console)
    issued = issue.find(settings.folder)
    assert issued
    assert issued.server.missing((OTHER, OWN)) == ()
    assert "address" not in saved_flags.read(settings.folder)
    assert console.warned[0] == f"{OTHER} is in the certificate, but not remembered: this machine has no such address"
    assert engine.container


@pytest.mark.parametrize("act", [_make, _renew])
def test_an_address_of_this_machine_is_kept(
    act: Callable[[Settings, Recorder], None], settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    act(dataclasses.replace(settings, saved_flags={"address": OWN}, saved_flags_before={}), console)
    assert (saved_flags.read(settings.folder), engine.container is not None) == ({"address": OWN}, True)


def test_a_renewal_for_it_has_the_registry_here_serve_the_new_certificate(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _renew(_asked_for(settings), console)
    assert (engine.done, _answers(settings)) == (HANDED_OVER, 200)
