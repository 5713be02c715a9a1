"""A registry that does not send its issuer, though it shows the right certificate, is told so and mended."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry import address, status
from trusted_registry.certificate import inspect, issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import running
from trusted_registry.registry import observe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run
from trusted_registry.tasks import cert
from trusted_registry.trust.local import trust_anchor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.registry.observe import Observation
    from trusted_registry.settings import Settings

MARK = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry sends its server certificate alone, while the file on disk is whole."""
    made = FakeEngine(settings.folder / "domain.crt")
    monkeypatch.setattr(engines, "connect", lambda _console: made)
    monkeypatch.setattr(address, "is_elsewhere", lambda _address: False)
    running.run_tls(Run(settings, Recorder()), made)
    _carry(made, _leaf(settings))
    made.restart("registry")
    yield made
    made.end()


def _leaf(settings: Settings) -> bytes:
    """Return the server certificate without its issuer, as `openssl x509` writes it."""
    return MARK + (settings.folder / "domain.crt").read_bytes().split(MARK)[1]


def _carry(engine: FakeEngine, content: bytes) -> None:
    assert engine.container
    held = engine.files[engine.container.files_volume]
    held["domain.crt"] = held["domain.crt"].with_content(content)


def _seen(settings: Settings) -> Observation:
    return observe.ask(Endpoint(loopback.HOST, settings.port), settings.folder / "ca.crt")


def _health(settings: Settings, engine: FakeEngine) -> str:
    return status.find(settings, engine).registry.health


def _up(settings: Settings, engine: FakeEngine) -> None:
    assert running.run_tls(Run(settings, Recorder()), engine)


def _renew(settings: Settings, _engine: FakeEngine, if_expiring: str = "0") -> None:
    cert.renew(Run(settings, Recorder()), if_expiring=if_expiring)


@pytest.mark.parametrize("mend", [_up, _renew, lambda settings, engine: _renew(settings, engine, "")])
@pytest.mark.parametrize("in_volume", ["leaf", "whole"])
def test_what_is_told_and_an_up_mend_a_registry_that_reads_or_read_a_cut_file(
    mend: Callable[[Settings, FakeEngine], None], in_volume: str, settings: Settings, engine: FakeEngine
) -> None:
    if in_volume == "whole":  # and what runs has read the one before
        _carry(engine, (settings.folder / "domain.crt").read_bytes())
    assert _seen(settings).fingerprint == inspect.read(settings.folder / "domain.crt").fingerprint
    assert "does not send its issuer (trusted-registry issuer " in _health(settings, engine)
    assert _health(settings, engine).endswith("; ./inv cert.renew --if-expiring 0 has it send that.")
    mend(settings, engine)
    assert (_seen(settings).distrust, len(_seen(settings).issuers)) == ("", 1)
    assert _health(settings, engine) == "answers"


@pytest.mark.parametrize("if_expiring", ["", "0"])
def test_where_the_file_on_disk_is_cut_too_a_renewal_makes_it_whole(
    if_expiring: str, settings: Settings, engine: FakeEngine
) -> None:
    (settings.folder / "domain.crt").write_bytes(_leaf(settings))
    with pytest.raises(RegistryError, match="lacks its issuer") as caught:
        issue.bring_up_to_date(Run(settings, Recorder()))
    assert caught.value.cure == "./inv cert.renew makes a whole one."
    assert _health(settings, engine).endswith(caught.value.cure)
    _renew(settings, engine, if_expiring)
    assert (_seen(settings).distrust, (settings.folder / "domain.crt").read_bytes().count(MARK)) == ("", 2)
    assert _health(settings, engine) == "answers"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("keys", [True, False])
def test_no_other_root_is_asked_for_where_the_one_that_is_here_is_right(settings: Settings, *, keys: bool) -> None:
    if not keys:
        for path in settings.folder.iterdir():
            if path.name.startswith(("domain.", "issuer.")):
                path.unlink()
    with pytest.raises(RegistryError, match=r"does not send its issuer \(trusted-registry issuer ") as caught:
        trust_anchor.check_serves(dataclasses.replace(settings, address=loopback.HOST))
    asked = f"./inv doctor --remote {loopback.HOST}:{settings.port} says who can fix that, and how."
    assert caught.value.cure == ("./inv cert.renew --if-expiring 0 has it send that." if keys else asked)


def test_a_registry_that_sends_its_issuer_is_left_alone(settings: Settings, engine: FakeEngine) -> None:
    _up(settings, engine)
    engine.done.clear()
    _renew(settings, engine)
    assert (running.run_tls(Run(settings, Recorder()), engine), engine.done) == (False, [])
    trust_anchor.check_serves(dataclasses.replace(settings, address=loopback.HOST))
