"""cert.import and what follows: a company's certificate is served as it is, and nobody here claims to renew it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests import forge, loopback
from tests.certificate.corporate import DER, HOST, company, key, p12, pem, put
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry import address
from trusted_registry.certificate import changeover, imported, inspect, issue
from trusted_registry.certificate.changeover import Stage
from trusted_registry.doctor import checks_certificate as checks
from trusted_registry.doctor.facts import Facts
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import running
from trusted_registry.run import Run
from trusted_registry.tasks import cert, cert_import

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificate.corporate import Company
    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

ADDRESS = "192.168.0.12"


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Recorder) -> NoReturn:
        raise RegistryError("No Docker Engine answers.", cure="")

    monkeypatch.setattr(running, "restart", lambda *_arguments, **_options: False)
    monkeypatch.setattr(engines, "connect", refuse)
    monkeypatch.setattr(address, "own_address", lambda: ADDRESS)


def take(settings: Settings, console: Recorder, made: Company, folder: Path, *, force: bool = False) -> None:
    """Import a company's certificate from three files."""
    given = put(folder / "given", cert=pem(made.middle, made.leaf), key=key(made.leaf), root=pem(made.root))
    texts = {"certificate": str(given["cert"]), "key": str(given["key"]), "authority": str(given["root"])}
    cert_import.import_(Run(settings, console), **texts, chain="", force=force)


@pytest.fixture
def corporate(settings: Settings, console: Recorder, tmp_path: Path) -> Settings:
    """A checkout with a company's certificate."""
    take(settings, console, company(), tmp_path)
    return settings


def test_a_company_s_certificate_is_imported_checked_and_served(
    settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    take(settings, console, company((HOST, ADDRESS, loopback.HOST)), tmp_path)
    issued = issue.find(settings.folder)
    assert issued
    assert imported.is_foreign(issued)
    assert [it.subject for it in (*issued.issuers, issued.anchor)] == ["Corp Issuing", "Corp Root"]
    assert console.warned == []
    assert console.said[-1].startswith("next: ./inv up")
    cert.check(Run(settings, console))
    assert console.said[-1] == "certificate: it breaks no known rule of any client"
    assert any(line.startswith("note: ca.crt may vouch for any site") for line in console.said)
    with loopback.registry(settings.folder / "domain.crt") as port:
        assert loopback.shake_hands(port, settings.folder / "ca.crt") == ADDRESS


@pytest.mark.parametrize(
    "changes", [{"critical": False}, {"ca": None}, {"usage": None}, {"days": 825}, {"own_id": False}, {"serial": 5}]
)
def test_what_every_client_accepts_ends_well(
    changes: dict[str, Any], settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    take(settings, console, company(**changes), tmp_path)
    cert.check(Run(settings, console))
    assert not [line for line in console.warned if "refused by: none" not in line]


def test_what_one_client_refuses_is_told_and_cert_check_fails_by_it(
    settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    take(settings, console, company(signer_id=False), tmp_path)
    assert console.warned == ["domain.crt has no authority key id; refused by: Python 3.13"]
    with pytest.raises(RegistryError, match="1 of the clients' rules"):
        cert.check(Run(settings, console))


@pytest.mark.parametrize(
    ("names", "changes", "says"),
    [
        ((HOST, ADDRESS), {"age": 30, "days": 29}, "expired on"),
        ((HOST, ADDRESS), {"age": -2}, "is not valid before"),
    ],
)
def test_what_every_client_refuses_is_not_imported(  # noqa: PLR0913, PLR0917 - a case has as many parts
    names: tuple[str, ...],
    changes: dict[str, object],
    says: str,
    settings: Settings,
    console: Recorder,
    tmp_path: Path,
) -> None:
    with pytest.raises(RegistryError, match=f"{says}.*Nothing was changed"):
        take(settings, console, company(names, **changes), tmp_path)
    assert not settings.folder.exists()


# The name


@pytest.mark.parametrize("names", [(HOST,), ("localhost", HOST), (HOST, "*.corp.example")])
def test_a_name_of_the_certificate_becomes_the_address_where_nobody_chose_one(
    names: tuple[str, ...], settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    take(replace(settings, saved_flags={}), console, company(names), tmp_path)
    assert (settings.folder / "given.json").read_text() == f'{{\n  "address": "{HOST}"\n}}\n'
    assert any(line.startswith(f"address: {HOST}, as the certificate has it") for line in console.said)


def test_a_wildcard_names_every_host_of_its_domain(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path
) -> None:
    settings = make_settings(address=HOST)
    take(settings, console, company(("*.corp.example",)), tmp_path)
    cert.check(Run(settings, console))
    other = replace(settings, address="a.reg.corp.example")
    with pytest.raises(RegistryError, match=r"names \*\.corp\.example, and not a\.reg\.corp\.example"):
        take(other, console, company(("*.corp.example",)), tmp_path)


def test_a_wildcard_alone_is_no_address_and_a_chosen_one_that_is_missing_is_told(
    settings: Settings, make_settings: MakeSettings, console: Recorder, tmp_path: Path
) -> None:
    for it in (settings, make_settings(address="other.corp.test"), make_settings(names="other.corp.test")):
        with pytest.raises(RegistryError, match="and not") as caught:
            take(it, console, company(("*.corp.example",)), tmp_path)
        assert "--address" in caught.value.cure
        assert not it.folder.exists()


# What is there already


def test_an_authority_that_was_made_here_is_replaced_on_demand_alone(
    issued: Path, settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="the authority that was made here") as caught:
        take(settings, console, company(), tmp_path)
    assert "--force" in caught.value.cure
    assert snapshot(issued) == before
    take(settings, console, company(), tmp_path, force=True)
    assert not (issued / "issuer.key").exists()
    assert inspect.read(issued / "ca.crt").subject == "Corp Root"


def test_the_next_certificate_of_the_same_authority_needs_no_force_and_another_s_does(
    settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    made = company()
    take(settings, console, made, tmp_path)
    later = replace(made, leaf=forge.server(made.middle, names=(HOST, ADDRESS)))
    take(settings, console, later, tmp_path)
    assert inspect.read(settings.folder / "domain.crt").certificate == later.leaf.certificate
    with pytest.raises(RegistryError, match="certificates of another authority, Corp Root"):
        take(settings, console, company(), tmp_path)


def test_a_dry_run_shows_the_commands_and_reads_nothing(settings: Settings) -> None:
    console = Recorder(dry=True)
    texts = {"certificate": "a.crt", "key": "a.key", "authority": ""}
    cert_import.import_(Run(settings, console), **texts, chain="", force=False)
    assert console.typed == [
        f"install -m 0644 a.crt {settings.folder}/domain.crt",
        f"install -m 0600 a.key {settings.folder}/domain.key",
    ]
    assert not settings.folder.exists()


def test_a_file_must_be_named(settings: Settings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="No certificate was named"):
        cert_import.import_(Run(settings, console), certificate="", key="", authority="", chain="", force=False)


def test_a_passphrase_is_asked_for_at_the_prompt(settings: Settings, tmp_path: Path) -> None:
    console = Recorder(secret="as-27-typed")  # noqa: S106 - a test's own
    given = put(tmp_path / "given", bag=p12(company(), b"as-27-typed"))["bag"]
    cert_import.import_(Run(settings, console), certificate=str(given), key="", authority="", chain="", force=False)
    assert console.asked == [f"Passphrase of {given}"]
    assert not any("as-27-typed" in line for line in (*console.said, *console.typed))


# Later


def test_nobody_here_renews_it(corporate: Settings, console: Recorder) -> None:
    before = snapshot(corporate.folder)
    for renew in (lambda run: cert.renew(run, if_expiring=""), issue.renew):
        with pytest.raises(RegistryError, match="signed by Corp Root, whose key is not here") as caught:
            renew(Run(corporate, console))
        assert "./inv cert.import" in caught.value.cure
    assert snapshot(corporate.folder) == before


@pytest.mark.parametrize(("days", "warned"), [("30", True), ("5", False)])
def test_if_expiring_warns_and_says_what_to_do(days: str, *, warned: bool, settings: Settings, tmp_path: Path) -> None:
    console = Recorder()
    take(settings, console, company(age=355), tmp_path)
    cert.renew(Run(settings, console), if_expiring=days)
    told = [line for line in console.warned if "expires in 9 days. Ask your authority for another one" in line]
    assert bool(told) is warned
    assert all("./inv cert.import --certificate" in line for line in told)
    assert inspect.read(settings.folder / "domain.crt").issuer == "Corp Issuing"


def test_if_expiring_fails_once_it_has_expired(
    corporate: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = inspect.read(corporate.folder / "domain.crt").not_after.replace(year=2999)
    monkeypatch.setattr(inspect, "now", lambda: later)
    with pytest.raises(RegistryError, match="expired on") as caught:
        cert.renew(Run(corporate, console), if_expiring="30")
    assert "./inv cert.import" in caught.value.cure


def test_up_leaves_it_warns_before_its_end_and_does_not_miss_this_machine_s_other_addresses(
    settings: Settings, tmp_path: Path
) -> None:
    console = Recorder()
    take(settings, console, company(age=350), tmp_path)
    assert not issue.bring_up_to_date(Run(settings, console))
    assert any("expires in 14 days. Ask your authority" in line for line in console.warned)
    take(settings, console, company(), tmp_path, force=True)
    with pytest.raises(RegistryError, match=r"does not name other\.test") as caught:
        issue.bring_up_to_date(Run(replace(settings, address="other.test"), console))
    assert "./inv up --address" in caught.value.cure


def test_doctor_has_no_complaint_of_it_and_no_cure_that_is_none(corporate: Settings) -> None:
    issued = issue.find(corporate.folder)
    anchor = issued.anchor if issued else None
    facts = Facts(corporate, inspect.now(), issued=issued, anchor=anchor, own_addresses=("10.9.9.9",))
    looks = (checks.client_rules, checks.names, checks.dates, checks.chain)
    assert [finding for look in looks for finding in look(facts)] == []
    asked = replace(facts, settings=replace(corporate, names=("other.test",)))
    late = replace(facts, now=facts.now.replace(year=2999))
    cures = [(it.cure[0], it.fix) for facts in (asked, late) for look in looks[:3] for it in look(facts)]
    assert cures
    assert all(cure.startswith("./inv cert.import") and fix is None for cure, fix in cures)


def test_a_changeover_is_of_authorities_that_were_made_here(corporate: Settings, console: Recorder) -> None:
    before = snapshot(corporate.folder)
    with pytest.raises(RegistryError, match="Corp Root, which was not made here") as caught:
        changeover.begin(Run(corporate, console))
    assert "./inv cert.import" in caught.value.cure
    assert snapshot(corporate.folder) == before


def test_before_its_root_ends_an_import_is_named_and_before_one_of_here_a_changeover(
    corporate: Settings, make_settings: MakeSettings
) -> None:
    own = make_settings(folder="own", tool="cryptography")
    issue.ensure(Run(own, Recorder()))
    for settings, task in ((corporate, "./inv cert.import"), (own, "./inv cert.renew-authority")):
        issued = issue.find(settings.folder)
        assert issued
        soon = issued.anchor.not_after - timedelta(days=9)
        facts = Facts(settings, soon, issued=issued, anchor=issued.anchor)
        cures = [it.cure[0] for it in checks.dates(facts) if "ca.crt ends in" in it.evidence]
        assert [task in cure for cure in (*cures, imported.change(issued))] == [True, True]


def test_an_import_ends_a_changeover_that_had_begun(
    issued: Path, settings: Settings, console: Recorder, tmp_path: Path
) -> None:
    assert changeover.begin(Run(settings, console))
    assert changeover.stage(issued) is Stage.HANDED_OUT
    take(settings, console, company(), tmp_path, force=True)
    assert changeover.stage(issued) is Stage.NONE
    assert list(issued.rglob("*.key")) == [issued / "domain.key"]


def test_an_authority_of_this_project_s_whose_key_was_taken_away_is_no_company_s(
    issued: Path, settings: Settings, console: Recorder
) -> None:
    (issued / "issuer.key").unlink()
    found = issue.find(issued)
    assert found
    assert not imported.is_foreign(found)
    with pytest.raises(RegistryError, match="so nothing new can be signed"):
        cert.renew(Run(settings, console), if_expiring="")


# Files that a person put into the folder by hand


def test_certificates_in_another_order_are_told_as_such_and_the_cure_orders_them(
    settings: Settings, console: Recorder
) -> None:
    made, folder = company(), settings.folder
    put(folder, **{"domain.crt": pem(made.middle, made.leaf), "domain.key": key(made.leaf), "ca.crt": pem(made.root)})
    with pytest.raises(RegistryError, match="in another order: the server's own comes first") as caught:
        issue.find(folder)
    assert caught.value.cure == (
        f"./inv cert.import --certificate {folder}/domain.crt --key {folder}/domain.key --authority {folder}/ca.crt"
    )
    texts = dict(zip(("certificate", "key", "authority"), caught.value.cure.split()[3::2], strict=True))
    cert_import.import_(Run(settings, console), **texts, chain="", force=False)
    assert (folder / "domain.crt").read_bytes() == pem(made.leaf, made.middle)


def test_a_chain_that_was_put_there_whole_is_served_and_a_missing_part_is_asked_for(tmp_path: Path) -> None:
    made, folder = company(), tmp_path / "certs"
    put(folder, **{"domain.crt": pem(made.leaf, made.middle), "domain.key": key(made.leaf), "ca.crt": pem(made.root)})
    issued = issue.find(folder)
    assert issued
    assert imported.is_foreign(issued)
    put(folder, **{"domain.crt": pem(made.leaf)})
    with pytest.raises(RegistryError, match=r"is not signed by ca\.crt") as caught:
        issue.find(folder)
    assert "cert.import" in caught.value.cure
    assert "--chain" in caught.value.cure


def test_a_key_with_a_passphrase_and_a_certificate_in_der_have_the_command_that_converts_them(tmp_path: Path) -> None:
    made, folder = company(), tmp_path / "certs"
    put(folder, **{"domain.key": key(made.leaf, passphrase=b"open"), "domain.crt": pem(made.leaf, made.middle)})
    put(folder, **{"ca.crt": pem(made.root)})
    with pytest.raises(RegistryError, match="has a passphrase") as locked:
        issue.find(folder)
    assert f"openssl pkey -in {folder}/domain.key -out" in locked.value.cure
    put(folder, **{"ca.crt": made.root.certificate.public_bytes(DER)})
    with pytest.raises(RegistryError, match="as DER") as binary:
        inspect.read(folder / "ca.crt")
    assert f"openssl x509 -inform DER -in {folder}/ca.crt -out" in binary.value.cure
