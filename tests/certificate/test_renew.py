"""A renewal: a new server certificate, and nothing that a client would notice."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry.certificate import inspect, issue, rules
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


def _old(folder: Path, **changes: object) -> None:
    """Put a server certificate of the folder's own signer in place of the one there."""
    stem = "issuer" if (folder / "issuer.key").exists() else "ca"
    signer = forge.load(folder, stem)
    made = forge.server(signer, **{"names": ("192.168.0.12", "localhost"), **changes})
    forge.save(made, folder, "domain", *([signer] if stem == "issuer" else []))


def _authority(folder: Path, form: str, **changes: object) -> None:
    """Fill a folder with certificates to order, in the form of today or the one before."""
    folder.mkdir(parents=True)
    if form == "chain":
        forge.fill(folder, changes=changes)
    else:
        forge.save(forge.authority(**changes), folder, "ca")
    _old(folder)


both_forms = pytest.mark.parametrize("form", ["chain", "authority"])


def _unfit(settings: Settings, days: int | None = None) -> str | None:
    issued = issue.find(settings.folder)
    assert issued
    return issue.misfit(issued, settings, days=days)


@pytest.mark.parametrize("tool", ["cryptography", pytest.param("openssl", marks=pytest.mark.process)])
def test_a_renewal_changes_the_server_s_pair_alone(
    tool: str, make_settings: MakeSettings, issued: Path, console: Recorder
) -> None:
    before = snapshot(issued)
    issue.renew(Run(make_settings(tool=tool), console))
    after = snapshot(issued)
    assert {name for name in before if before[name] != after[name]} - {"openssl.cnf"} == {"domain.crt", "domain.key"}


def test_a_renewed_certificate_has_nothing_wrong_with_it(settings: Settings, issued: Path, console: Recorder) -> None:
    issue.renew(Run(settings, console))
    found = issue.find(issued)
    assert found
    assert rules.check(found.server, found.authority, settings.hosts, inspect.now(), issuers=found.issuers) == []


def test_a_renewal_adds_a_name_that_the_authority_may_vouch_for(
    make_settings: MakeSettings, issued: Path, console: Recorder
) -> None:
    issue.renew(Run(make_settings(tool="cryptography", names="new.local,10.1.1.1"), console))
    certificate = inspect.read(issued / "domain.crt")
    assert certificate.missing(("new.local", "10.1.1.1")) == ()


@pytest.mark.parametrize("name", ["registry.example.com", "203.0.113.9"])
def test_a_renewal_with_a_name_that_the_authority_may_not_vouch_for_is_refused(
    name: str, make_settings: MakeSettings, issued: Path, console: Recorder
) -> None:
    before = snapshot(issued)
    with pytest.raises(RegistryError, match=f"may not vouch for {name}") as caught:
        issue.renew(Run(make_settings(tool="cryptography", names=name), console))
    assert (snapshot(issued), "--force" in caught.value.cure) == (before, True)


@both_forms
def test_a_renewal_leaves_out_addresses_of_the_machine_that_the_authority_may_not_vouch_for(
    form: str, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    _authority(settings.folder, form)
    monkeypatch.setattr("trusted_registry.address.own_addresses", lambda: ("192.168.0.12", "203.0.113.9"))
    issue.renew(Run(settings, console))
    assert inspect.read(settings.folder / "domain.crt").addresses == ("192.168.0.12", "127.0.0.1")


@both_forms
def test_a_renewed_certificate_never_outlives_its_authority(form: str, settings: Settings, console: Recorder) -> None:
    _authority(settings.folder, form, days=10)
    issue.renew(Run(settings, console))
    assert inspect.read(settings.folder / "domain.crt").not_after <= inspect.read(settings.folder / "ca.crt").not_after


def test_without_the_authority_s_key_nothing_is_renewed(settings: Settings, issued: Path, console: Recorder) -> None:
    (issued / "issuer.key").unlink()
    before = snapshot(issued)
    with pytest.raises(RegistryError, match=r"issuer\.key is not here"):
        issue.renew(Run(settings, console))
    assert snapshot(issued) == before


def test_with_another_authority_s_key_nothing_is_renewed(settings: Settings, issued: Path, console: Recorder) -> None:
    (issued / "issuer.key").write_bytes(forge.pem(forge.authority().key))
    before = snapshot(issued)
    with pytest.raises(RegistryError, match=r"issuer\.key is not the key of issuer\.crt"):
        issue.renew(Run(settings, console))
    assert snapshot(issued) == before


@both_forms
def test_an_expired_authority_renews_nothing(form: str, settings: Settings, console: Recorder) -> None:
    _authority(settings.folder, form, age=30, days=29)
    before = snapshot(settings.folder)
    with pytest.raises(RegistryError, match="The authority expired on"):
        issue.renew(Run(settings, console))
    assert snapshot(settings.folder) == before


def test_an_empty_folder_holds_nothing_to_renew(settings: Settings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="nothing to renew"):
        issue.renew(Run(settings, console))


def test_a_self_signed_one_is_renewed_with_a_warning_to_every_client(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trusted_registry.certificate.profile.SELF_SIGNED_KEY", "rsa:2048")
    issue.ensure(Run(settings, console), self_signed=True)
    before = snapshot(settings.folder)
    issue.renew(Run(settings, console))
    assert snapshot(settings.folder).keys() == before.keys()
    assert snapshot(settings.folder)["domain.crt"] != before["domain.crt"]
    assert "every client must trust the new one" in console.warned[0]


def test_a_dry_renewal_changes_nothing_and_shows_what_it_would_type(settings: Settings, issued: Path) -> None:
    before, console = snapshot(issued), Recorder(dry=True)
    issue.renew(Run(settings, console))
    assert snapshot(issued) == before
    assert [command[:2] for command in console.commands] == [
        ["./inv cert.config --address 192.168.0.12"],
        ["openssl", "req"],
        ["openssl", "x509"],
        ["cat", str(issued / "issuer.crt")],
    ]


# When it is due


def test_a_fresh_certificate_serves(settings: Settings, issued: Path) -> None:
    assert (_unfit(settings), issue.is_due(settings, 30), issued.exists()) == (None, False, True)


@pytest.mark.parametrize(("days", "due"), [(31, False), (20, True)])
def test_a_certificate_that_ends_within_the_setting_s_days_is_due(
    days: int, settings: Settings, issued: Path, *, due: bool
) -> None:
    _old(issued, days=days)
    assert (_unfit(settings) is not None) is due


@pytest.mark.parametrize(("asked", "due"), [(10, False), (60, True)])
def test_a_flag_says_within_how_many_days(asked: int, settings: Settings, issued: Path, *, due: bool) -> None:
    _old(issued, days=40)
    assert issue.is_due(settings, asked) is due


def test_an_expired_certificate_is_due(settings: Settings, issued: Path) -> None:
    _old(issued, age=30, days=29)
    assert (_unfit(settings) or "").startswith("expired on")


def test_a_certificate_that_lacks_a_name_is_due(make_settings: MakeSettings, issued: Path) -> None:
    assert (_unfit(make_settings(names="new.local")), issued.exists()) == ("does not name new.local", True)


@both_forms
def test_a_certificate_as_old_as_its_authority_is_not_renewed_again_and_again(form: str, settings: Settings) -> None:
    _authority(settings.folder, form, days=10)
    _old(settings.folder, days=10)
    assert _unfit(settings) is None


def test_a_pair_that_does_not_fit_is_due(settings: Settings, issued: Path) -> None:
    (issued / "domain.key").unlink()
    assert issue.is_due(settings, 0)


# What `cert` and `up` make of that


def test_a_certificate_of_a_clock_that_was_ahead_is_due_and_made_anew(
    settings: Settings, issued: Path, console: Recorder
) -> None:
    _old(issued, age=-2)
    assert (_unfit(settings) or "").startswith("is not valid before")
    issue.bring_up_to_date(Run(settings, console))
    assert _unfit(settings) is None


@both_forms
def test_an_authority_of_a_clock_that_was_ahead_is_named_with_the_clock_and_nothing_is_changed(
    form: str, settings: Settings, console: Recorder
) -> None:
    _authority(settings.folder, form, age=-2)
    before = snapshot(settings.folder)
    with pytest.raises(RegistryError, match="authority is not valid before") as caught:
        issue.bring_up_to_date(Run(settings, console))
    assert (snapshot(settings.folder), "date --utc" in caught.value.cure) == (before, True)


def test_a_clock_that_was_set_back_by_seconds_makes_no_certificate_due(
    settings: Settings, issued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = inspect.read(issued / "domain.crt").not_before
    monkeypatch.setattr(inspect, "now", lambda: made - datetime.timedelta(seconds=20))
    assert _unfit(settings) is None


def test_cert_refuses_an_expired_certificate_and_names_the_renewal(
    settings: Settings, issued: Path, console: Recorder
) -> None:
    _old(issued, age=30, days=29)
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="expired on") as caught:
        issue.ensure(Run(settings, console))
    assert (snapshot(issued), caught.value.cure.startswith("./inv cert.renew")) == (before, True)


def test_up_makes_the_first_certificate(settings: Settings, console: Recorder) -> None:
    assert (issue.bring_up_to_date(Run(settings, console)), issue.find(settings.folder) is not None) == (True, True)


def test_up_leaves_a_certificate_that_serves_alone(settings: Settings, issued: Path, console: Recorder) -> None:
    before = snapshot(issued)
    assert (issue.bring_up_to_date(Run(settings, console)), snapshot(issued)) == (False, before)


@pytest.mark.parametrize("changes", [{"days": 5}, {"age": 30, "days": 29}, {"names": ("localhost",)}])
def test_up_renews_a_certificate_that_does_not_serve_and_keeps_the_authority(
    changes: dict[str, object], settings: Settings, issued: Path, console: Recorder
) -> None:
    _old(issued, **changes)
    authority = (issued / "ca.crt").read_bytes()
    assert issue.bring_up_to_date(Run(settings, console))
    assert ((issued / "ca.crt").read_bytes(), _unfit(settings)) == (authority, None)


def test_a_renewal_keeps_names_that_were_given_for_one_run_alone(
    make_settings: MakeSettings, console: Recorder
) -> None:
    issue.ensure(Run(make_settings(tool="cryptography", names="registry.example,10.9.8.7"), console))
    settings = make_settings(tool="cryptography")
    issue.renew(Run(settings, console))
    issued = issue.find(settings.folder)
    assert issued
    assert issued.server.missing(("registry.example", "10.9.8.7")) == ()


def test_a_self_signed_certificate_expires_like_any_other(make_settings: MakeSettings, console: Recorder) -> None:
    settings = make_settings(tool="cryptography", days="3")
    issue.ensure(Run(settings, console), self_signed=True)
    issued = issue.find(settings.folder)
    assert issued
    assert issue.misfit(issued, settings) == "expires in 2 days"
    assert issue.misfit(issued, settings, days=1) is None


def test_an_authority_may_not_vouch_for_what_lies_below_a_machine_s_name(
    make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: "dev.local")
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    issued = issue.find(settings.folder)
    assert issued
    assert issued.authority
    assert inspect.allowed(issued.authority, ("www.google.dev", "dev", "dev.local")) == ("dev.local",)
    assert "dev.local" in issued.server.dns


def test_a_dry_run_finishes_nothing_that_another_run_began(make_settings: MakeSettings, console: Recorder) -> None:
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    ready = settings.folder / ".ready"
    ready.mkdir()
    (ready / "domain.crt").write_text("decided")
    with pytest.raises(RegistryError, match="cut short"):
        issue.ensure(Run(settings, Recorder(dry=True)))
    assert (ready / "domain.crt").read_text() == "decided"


# Installations of the form before


@pytest.mark.parametrize("tool", ["cryptography", pytest.param("openssl", marks=pytest.mark.process)])
def test_an_authority_that_has_its_key_goes_on_unchanged(
    tool: str, make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(tool=tool)
    _authority(settings.folder, "authority")
    before = snapshot(settings.folder)
    assert not issue.ensure(Run(settings, console))
    issue.renew(Run(settings, console))
    after = snapshot(settings.folder)
    assert {name for name in after if after[name] != before.get(name)} == {"domain.crt", "domain.key", "openssl.cnf"}
    found = issue.find(settings.folder)
    assert found
    assert (found.issuers, found.server.missing(settings.hosts)) == ((), ())


@both_forms
def test_a_renewal_by_openssl_shows_what_it_does(form: str, make_settings: MakeSettings) -> None:
    settings, console = make_settings(tool="openssl"), Recorder(dry=True)
    _authority(settings.folder, form)
    issue.renew(Run(settings, console))
    stem = "issuer" if form == "chain" else "ca"
    assert f"-CAkey {settings.folder}/{stem}.key" in console.typed[2]
    assert any(f"{stem}.crt >> " in line for line in console.typed) is (form == "chain")


def test_force_takes_the_key_of_an_authority_away_that_had_one(settings: Settings, console: Recorder) -> None:
    _authority(settings.folder, "authority")
    issue.ensure(Run(settings, console), force=True)
    assert not (settings.folder / "ca.key").exists()
    assert (settings.folder / "issuer.key").exists()


def test_a_server_s_certificate_of_short_lived_signers_is_not_due_at_once(
    make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(tool="cryptography", authority_days="10")
    issue.ensure(Run(settings, console))
    assert _unfit(settings) is None
    issue.renew(Run(settings, console))
    assert _unfit(settings) is None
    found = issue.find(settings.folder)
    assert found
    assert all(found.server.not_after <= it.not_after for it in found.signers)
