"""Names that belong to everybody: no authority is made that could vouch for them, and a machine's own name is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry.certificate import config_file, inspect, issue, public_suffixes
from trusted_registry.errors import SettingError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings

PUBLIC = ("dev", "app", "com", "co.uk", "xn--p1ai", "github.io", "kobe.jp", "any.ck")
"""Of one label and of two, of a country's script, of a company's customers, and by a rule for all below."""
OWN = ("lan", "registry", "internal", "corp.internal", "registry.local", "example.com", "www.ck", "city.kobe.jp")
"""Not of the list, below `.local`, below a suffix, and the exceptions to a rule for all below."""


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("setting", ["names", "address"])
def test_a_public_suffix_is_refused_with_its_reason_and_nothing_is_made(
    name: str, setting: str, make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(**{"tool": "cryptography", setting: name})
    with pytest.raises(SettingError, match=rf"registry\.{setting} is '{name}', a public suffix: .*www\.{name}"):
        issue.ensure(Run(settings, console))
    assert not snapshot(settings.folder)


@pytest.mark.parametrize("name", OWN)
def test_a_name_of_one_s_own_is_none(name: str, make_settings: MakeSettings, console: Recorder) -> None:
    settings = make_settings(tool="cryptography", names=name)
    assert issue.ensure(Run(settings, console))
    made = issue.find(settings.folder)
    assert made
    assert name in made.server.dns


def test_addresses_are_none_of_whatever_kind() -> None:
    assert not any(map(public_suffixes.is_public, ("192.168.0.12", "fd00::12", "8.8.8.8")))


def test_the_dry_run_and_the_configuration_refuse_it_too(make_settings: MakeSettings) -> None:
    settings = make_settings(names="dev")
    with pytest.raises(SettingError, match="'dev'"):
        issue.ensure(Run(settings, Recorder(dry=True)))
    with pytest.raises(SettingError, match="'dev'"):
        config_file.write(Run(settings, Recorder()))


def test_a_renewal_says_so_too_and_not_that_another_authority_would_help(
    issued: Path, make_settings: MakeSettings, console: Recorder
) -> None:
    run = Run(make_settings(tool="cryptography", names="dev"), console)
    before = snapshot(issued)
    for again in (issue.ensure, issue.renew):
        with pytest.raises(SettingError, match="'dev', a public suffix"):
            again(run)
    assert snapshot(issued) == before


def test_an_authority_of_earlier_days_that_may_vouch_for_one_goes_on(
    make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(make_settings(tool="cryptography", names="dev"), console)
    with monkeypatch.context() as earlier:
        earlier.setattr("trusted_registry.certificate.public_suffixes.is_public", lambda _: False)
        issue.ensure(run)
    issue.renew(run)
    assert "dev" in inspect.read(run.settings.folder / "domain.crt").dns


@pytest.mark.usefixtures("small_rsa")
def test_a_self_signed_certificate_may_name_one_since_it_vouches_for_nothing_below(
    make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(tool="cryptography", names="dev")
    assert issue.ensure(Run(settings, console), self_signed=True)
    assert "dev" in inspect.read(settings.folder / "domain.crt").dns


# This machine's own name


@pytest.mark.parametrize("name", ["example.com", "build-7.corp.example", "host7.lan"])
def test_what_this_machine_s_own_name_adds_is_told(
    name: str, make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: name)
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    assert any(f"the authority may vouch for {name} and every name below it" in line for line in console.said)
    assert f"www.{name}" in inspect.allowed(inspect.read(settings.folder / "ca.crt"), [f"www.{name}"])


@pytest.mark.parametrize("name", [None, "box.local", "registry.example", "a.registry.example"])
def test_what_adds_nothing_is_not_told(
    name: str | None, make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: name)
    issue.ensure(Run(make_settings(tool="cryptography", names="registry.example"), console))
    assert not any("own name:" in line for line in console.said)


def test_a_renewal_adds_nothing_to_the_authority_and_tells_nothing(issued: Path, make_settings: MakeSettings) -> None:
    later = Recorder()
    issue.renew(Run(make_settings(tool="cryptography"), later))
    assert (issued / "domain.crt").exists()
    assert not any("own name:" in line for line in later.said)


@pytest.mark.parametrize("name", ["co.uk", "k12.ca.us", "compute.amazonaws.com"])
def test_a_machine_that_is_called_like_a_public_suffix_is_left_out_and_that_is_told(
    name: str, make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: name)
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    assert any(f"own name: {name} is a public suffix, so no certificate here names it" in line for line in console.said)
    authority = inspect.read(settings.folder / "ca.crt")
    assert not inspect.allowed(authority, (name, f"www.{name}"))
    assert name not in inspect.read(settings.folder / "domain.crt").dns
