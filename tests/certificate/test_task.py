"""What a person hears of a certificate: the names that it was made for, once it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import running
from trusted_registry.run import Run
from trusted_registry.tasks import cert

if TYPE_CHECKING:
    import pytest

    from tests.conftest import MakeSettings


def _names(console: Recorder) -> list[str]:
    return [line for line in console.said if line.startswith("names: ")]


def _no_engine(_console: Recorder) -> NoReturn:
    raise RegistryError("No Docker Engine answers.", cure="")


def test_the_names_of_a_certificate_are_told_when_it_is_made_and_when_it_is_renewed(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "restart", lambda *_arguments, **_options: False)
    monkeypatch.setattr(engines, "connect", _no_engine)
    settings = make_settings(tool="cryptography", names="registry.local,10.0.0.5")
    made, again, renewed = Recorder(), Recorder(), Recorder()
    cert.make(Run(settings, made), self_signed=False, force=False, tool="")
    cert.make(Run(settings, again), self_signed=False, force=False, tool="")
    cert.renew(Run(settings, renewed), if_expiring="")
    (line,) = _names(made)
    assert {"192.168.0.12", "10.0.0.5", "127.0.0.1", "registry.local", "localhost"} <= set(line[7:].split(", "))
    assert (_names(again), _names(renewed)) == ([], [line])
