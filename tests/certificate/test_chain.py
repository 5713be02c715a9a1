"""A chain: a root whose key is nowhere, the issuer that it signed, and the server certificate; each reader of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry.certificate import clear, inspect, issue, rules
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.settings import Settings

HOSTS = (loopback.HOST, "registry.local")


@pytest.fixture
def chain(settings: Settings) -> Path:
    """A folder with a root, an issuer and a server certificate for loopback."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    forge.fill(settings.folder, names=("192.168.0.12", *HOSTS))
    return settings.folder


def _found(folder: Path) -> issue.Issued:
    issued = issue.find(folder)
    assert issued
    return issued


def test_a_chain_is_found_with_each_certificate_under_the_name_of_its_file(chain: Path) -> None:
    issued = _found(chain)
    assert (issued.server.path.name, [it.path.name for it in issued.signers]) == (
        "domain.crt",
        ["issuer.crt", "ca.crt"],
    )
    assert (issued.anchor, issue.trust_anchor(chain).fingerprint) == (issued.authority, issued.anchor.fingerprint)


def test_without_the_issuer_s_key_a_chain_is_found_all_the_same(chain: Path) -> None:
    (chain / "issuer.key").unlink()
    assert _found(chain).issuers


def test_an_issuer_that_only_the_server_s_file_has_is_found_there(chain: Path) -> None:
    for name in ("issuer.crt", "issuer.key"):
        (chain / name).unlink()
    assert [it.path.name for it in _found(chain).issuers] == ["domain.crt"]


def test_a_root_that_the_server_s_file_repeats_does_no_harm(chain: Path) -> None:
    with (chain / "domain.crt").open("ab") as file:
        file.write((chain / "ca.crt").read_bytes())
    assert len(_found(chain).issuers) == 2


def test_a_chain_breaks_no_rule(chain: Path) -> None:
    issued = _found(chain)
    assert rules.check(issued.server, issued.authority, HOSTS, inspect.now(), issuers=issued.issuers) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"serves": False}, "issuer.crt may sign for more than servers (no extendedKeyUsage serverAuth)"),
        ({"pathlen": 1}, "issuer.crt may make further authorities (no pathlen:0)"),
        ({"pathlen": None}, "issuer.crt may make further authorities (no pathlen:0)"),
        ({"usage": ("key_cert_sign",)}, "issuer.crt has no key usage keyCertSign and cRLSign"),
        (
            {"permitted": None},
            "issuer.crt may vouch for any site (no name constraints on both DNS names and addresses)",
        ),
        ({"permitted": ("local", "10.0.0.0/8")}, "domain.crt names 192.168.0.12, which issuer.crt may not vouch for"),
    ],
)
def test_an_issuer_that_breaks_a_rule_is_found_by_that_rule(
    changes: dict[str, object], rule: str, tmp_path: Path
) -> None:
    root = forge.authority(pathlen=1)
    middle = forge.issuer(root, **changes)
    server, issuer, authority = (
        inspect.of(tmp_path / f"{name}.crt", it.certificate)
        for name, it in (("domain", forge.server(middle)), ("issuer", middle), ("ca", root))
    )
    found = rules.check(server, authority, ["192.168.0.12"], inspect.now(), issuers=[issuer])
    assert [f"{it.path.name} {it.rule}" for it in found] == [rule]


def test_a_chain_whose_issuer_another_root_signed_is_found(tmp_path: Path) -> None:
    middle = forge.issuer(forge.authority(pathlen=1))
    server, issuer, other = (
        inspect.of(tmp_path / f"{name}.crt", it.certificate)
        for name, it in (("domain", forge.server(middle)), ("issuer", middle), ("ca", forge.authority(pathlen=1)))
    )
    (found,) = rules.check(server, other, ["192.168.0.12"], inspect.now(), issuers=[issuer])
    assert (found.path.name, found.rule) == ("issuer.crt", "is not signed by ca.crt")


def test_a_root_without_a_chain_below_it_may_make_more_authorities_than_there_are(tmp_path: Path) -> None:
    root = forge.authority(pathlen=1)
    server, authority = (inspect.of(tmp_path, it.certificate) for it in (forge.server(root), root))
    (found,) = rules.check(server, authority, ["192.168.0.12"], inspect.now())
    assert found.rule == "may make further authorities (no pathlen:0)"


# What does not fit together


@dataclass(frozen=True)
class Broken:
    """A change that breaks a folder, what is then said, and a part of the cure."""

    change: Callable[[Path], None]
    said: str
    cure: str


def _cut(folder: Path) -> None:
    """Leave the server's own certificate alone in its file, as whoever copies only that does."""
    forge.save(forge.load(folder, "domain"), folder, "domain")


def _of_another(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        other = folder.parent / "other"
        other.mkdir()
        forge.fill(other)
        for name in names:
            shutil.copy(other / name, folder / name)

    return change


def _without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


RENEWED = [
    pytest.param(Broken(_cut, "lacks its issuer", "./inv cert.renew"), id="issuer not sent"),
    pytest.param(Broken(_without("domain.key"), "has no domain.key", "./inv cert.renew"), id="no key"),
    pytest.param(
        Broken(_of_another("domain.crt", "domain.key"), "is not signed by ca.crt", "./inv cert.renew"),
        id="another pair",
    ),
]
OTHERWISE = [
    pytest.param(Broken(_without("issuer.crt"), "issuer.key has no issuer.crt", "Put issuer.crt back"), id="no issuer"),
    pytest.param(
        Broken(_without("ca.crt"), "issuer.key has no|issuer.crt has no ca.crt", "Put ca.crt back"), id="no root"
    ),
    pytest.param(
        Broken(_of_another("issuer.key"), "issuer.key is not the key of issuer.crt", "Put "), id="another key"
    ),
    pytest.param(
        Broken(_of_another("ca.crt"), "issuer.crt is not signed by ca.crt", "Put the right one back"), id="another root"
    ),
]


@pytest.mark.parametrize("broken", RENEWED + OTHERWISE)
@pytest.mark.parametrize("act", [issue.ensure, issue.bring_up_to_date], ids=["cert", "up"])
def test_a_chain_that_does_not_fit_together_is_refused_with_a_cure_and_left_byte_for_byte(
    act: Callable[[Run], bool], broken: Broken, settings: Settings, chain: Path
) -> None:
    broken.change(chain)
    before = snapshot(chain)
    with pytest.raises(RegistryError, match=broken.said) as caught:
        act(Run(settings, Recorder()))
    assert (snapshot(chain), broken.cure in caught.value.cure) == (before, True)


def test_purge_takes_a_chain_away_whole(chain: Path, console: Recorder) -> None:
    clear.remove_all(chain, console)
    assert snapshot(chain) == {}


@pytest.mark.parametrize("name", ["issuer.key", "ca.key", "domain.key"])
def test_a_folder_with_any_key_keeps_keys(name: str, tmp_path: Path) -> None:
    assert not issue.keeps_keys(tmp_path)
    (tmp_path / name).touch()
    assert issue.keeps_keys(tmp_path)


# On the wire


def test_a_chain_that_is_served_is_verified_by_its_root_alone_and_seen_whole(chain: Path) -> None:
    with loopback.registry(chain / "domain.crt") as port:
        seen = observe.ask(Endpoint(loopback.HOST, port), chain / "ca.crt")
    assert (seen.distrust, seen.foreign, seen.status) == ("", "", 200)
    assert [it.fingerprint for it in seen.issuers] == [it.fingerprint for it in _found(chain).issuers]


def test_a_server_that_does_not_send_its_issuer_is_distrusted_and_seen_to_send_none(chain: Path) -> None:
    _cut(chain)
    with loopback.registry(chain / "domain.crt") as port:
        seen = observe.ask(Endpoint(loopback.HOST, port), chain / "ca.crt")
    assert (bool(seen.distrust), bool(seen.certificate), seen.issuers) == (True, True, ())


@pytest.mark.parametrize("broken", RENEWED)
def test_a_renewal_makes_a_broken_chain_whole(
    broken: Broken, settings: Settings, chain: Path, console: Recorder
) -> None:
    broken.change(chain)
    issue.renew(Run(settings, console))
    issued = _found(chain)
    assert [it.path.name for it in issued.signers] == ["issuer.crt", "ca.crt"]


def test_a_renewal_by_an_issuer_of_another_root_is_refused(settings: Settings, chain: Path, console: Recorder) -> None:
    _of_another("ca.crt")(chain)
    before = snapshot(chain)
    with pytest.raises(RegistryError, match=r"issuer\.crt is not signed by ca\.crt"):
        issue.renew(Run(settings, console))
    assert snapshot(chain) == before
