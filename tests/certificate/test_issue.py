"""What a folder holds, what is made of it, and that nothing there is ever lost."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

NAMES = ("ca.crt", "issuer.crt", "issuer.key", "domain.crt", "domain.key")


pytestmark = pytest.mark.usefixtures("small_rsa")


def _changed(before: dict[str, tuple[int, bytes]], folder: Path) -> set[str]:
    after = snapshot(folder)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


# Nothing, and everything


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert issue.find(tmp_path) is None


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert issue.find(tmp_path / "certs") is None


def test_the_first_run_makes_an_authority_and_what_it_signs(settings: Settings, console: Recorder) -> None:
    assert issue.ensure(Run(settings, console))
    assert {name for name in snapshot(settings.folder) if name in NAMES} == set(NAMES)


def test_what_was_made_is_found(settings: Settings, issued: Path) -> None:
    found = issue.find(issued)
    assert found
    assert (found.authority, found.server.missing(settings.hosts)) == (found.anchor, ())


def test_the_document_s_single_certificate_is_its_own_anchor(self_signed: Path) -> None:
    issued = issue.find(self_signed)
    assert issued
    assert (issued.authority, issued.anchor) == (None, issued.server)


def test_the_single_certificate_leaves_no_authority_behind(self_signed: Path) -> None:
    assert set(snapshot(self_signed)) == {"domain.crt", "domain.key", "openssl.cnf"}


def test_the_second_run_changes_nothing(settings: Settings, issued: Path, console: Recorder) -> None:
    before = snapshot(issued)
    assert not issue.ensure(Run(settings, console))
    assert snapshot(issued) == before


def test_the_second_self_signed_run_changes_nothing(settings: Settings, self_signed: Path, console: Recorder) -> None:
    before = snapshot(self_signed)
    assert not issue.ensure(Run(settings, console), self_signed=True)
    assert snapshot(self_signed) == before


@pytest.mark.parametrize("self_signed", [False, True])
def test_force_makes_every_key_and_certificate_anew(
    settings: Settings, console: Recorder, *, self_signed: bool
) -> None:
    issue.ensure(Run(settings, console), self_signed=self_signed)
    before = snapshot(settings.folder)
    assert issue.ensure(Run(settings, console), self_signed=self_signed, force=True)
    assert _changed(before, settings.folder) == {name for name in before if name != "openssl.cnf"}


def test_force_replaces_an_authority_by_the_single_certificate(
    settings: Settings, issued: Path, console: Recorder
) -> None:
    issue.ensure(Run(settings, console), self_signed=True, force=True)
    assert set(snapshot(issued)) == {"domain.crt", "domain.key", "openssl.cnf"}


def test_force_replaces_the_single_certificate_by_an_authority(
    settings: Settings, self_signed: Path, console: Recorder
) -> None:
    issue.ensure(Run(settings, console), force=True)
    issued = issue.find(self_signed)
    assert issued
    assert issued.authority


def test_a_self_signed_one_is_not_made_over_an_authority(settings: Settings, issued: Path, console: Recorder) -> None:
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="holds an authority") as caught:
        issue.ensure(Run(settings, console), self_signed=True)
    assert (snapshot(issued), "--self-signed --force" in caught.value.cure) == (before, True)


def test_an_authority_is_not_made_over_a_self_signed_one_but_mentioned(
    settings: Settings, self_signed: Path, console: Recorder
) -> None:
    before = snapshot(self_signed)
    assert not issue.ensure(Run(settings, console))
    assert (snapshot(self_signed), "self-signed" in console.warned[0]) == (before, True)


# What does not fit together


def _without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def _with(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def _with_other(*names: str) -> Callable[[Path], None]:
    """Put another registry's files in the place of these."""

    def change(folder: Path) -> None:
        other = folder.parent / "other"
        other.mkdir()
        forge.fill(other)
        for name in names:
            shutil.copy(other / name, folder / name)

    return change


RENEW, FORCE, BACK = "./inv cert.renew", "./inv cert --force", "Put "


@dataclass(frozen=True)
class Broken:
    """A change that breaks a folder, what is then said, and a part of the cure."""

    change: Callable[[Path], None]
    said: str
    cure: str


MENDED_BY_RENEWAL = [
    pytest.param(Broken(_without("domain.key"), "domain.crt has no domain.key", RENEW), id="certificate without key"),
    pytest.param(Broken(_without("domain.crt"), "domain.key has no domain.crt", RENEW), id="key without certificate"),
    pytest.param(
        Broken(_without("domain.crt", "domain.key"), "an authority and no server certificate", RENEW),
        id="authority alone",
    ),
    pytest.param(
        Broken(_with_other("domain.key"), "domain.key is not the key of domain.crt", RENEW), id="another's key"
    ),
    pytest.param(
        Broken(_with_other("domain.crt", "domain.key"), "domain.crt is not signed by (ca|issuer).crt", RENEW),
        id="another's pair",
    ),
]
MENDED_OTHERWISE = [
    pytest.param(Broken(_without("ca.crt"), "issuer.crt has no ca.crt", BACK), id="no root"),
    pytest.param(
        Broken(_without("ca.crt", "issuer.crt", "issuer.key"), "by an authority that is not here", BACK),
        id="signed by nobody here",
    ),
    pytest.param(
        Broken(
            _without("issuer.crt", "issuer.key", "domain.key", "domain.crt"),
            "another machine's registry",
            "trust.linux",
        ),
        id="a client",
    ),
    pytest.param(
        Broken(_with_other("issuer.key"), "issuer.key is not the key of issuer.crt", BACK), id="another's authority key"
    ),
    pytest.param(
        Broken(_with("domain.crt", b"broken"), "domain.crt holds no certificate", FORCE), id="broken certificate"
    ),
    pytest.param(Broken(_with("domain.key", b"broken"), "domain.key holds no private key", BACK), id="broken key"),
    pytest.param(Broken(_with("ca.crt", b"broken"), "ca.crt holds no certificate", FORCE), id="broken authority"),
    pytest.param(
        Broken(_with("issuer.key", b"broken"), "issuer.key holds no private key", BACK), id="broken authority key"
    ),
    pytest.param(Broken(_with("issuer.crt", b"broken"), "issuer.crt holds no certificate", FORCE), id="broken issuer"),
    pytest.param(Broken(_with("domain.key", b""), "domain.key holds no private key", BACK), id="empty key"),
]


@pytest.mark.parametrize("broken", MENDED_BY_RENEWAL + MENDED_OTHERWISE)
@pytest.mark.parametrize("act", [issue.ensure, issue.bring_up_to_date], ids=["cert", "up"])
def test_what_does_not_fit_together_is_refused_with_a_cure_and_left_byte_for_byte(
    act: Callable[[Run], bool], broken: Broken, settings: Settings, issued: Path
) -> None:
    broken.change(issued)
    before = snapshot(issued)
    with pytest.raises(RegistryError, match=broken.said) as caught:
        act(Run(settings, Recorder()))
    assert snapshot(issued) == before
    assert broken.cure in caught.value.cure


@pytest.mark.parametrize("broken", MENDED_BY_RENEWAL)
def test_the_cure_of_a_broken_pair_cures_it_under_the_same_authority(
    broken: Broken, settings: Settings, issued: Path, console: Recorder
) -> None:
    kept = ("ca.crt", "issuer.crt", "issuer.key")
    authority = [(issued / name).read_bytes() for name in kept]
    broken.change(issued)
    issue.renew(Run(settings, console))
    assert [(issued / name).read_bytes() for name in kept] == authority
    assert issue.find(issued)


@pytest.mark.parametrize("change", [_without("domain.key"), _without("domain.crt"), _with_other("domain.key")])
def test_the_cure_of_a_broken_self_signed_pair_cures_it(
    change: Callable[[Path], None], settings: Settings, self_signed: Path, console: Recorder
) -> None:
    change(self_signed)
    with pytest.raises(RegistryError) as caught:
        issue.find(self_signed)
    if RENEW in caught.value.cure:
        issue.renew(Run(settings, console))
    else:
        assert FORCE in caught.value.cure
        issue.ensure(Run(settings, console), self_signed=True, force=True)
    assert issue.find(self_signed)


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_folder_that_cannot_be_written_is_named_with_a_cure(
    kind: str, make_settings: MakeSettings, tmp_path: Path, read_only: Path, console: Recorder
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    settings = make_settings(
        tool="cryptography", folder=str(tmp_path / kind if kind == "file" else read_only / "certs")
    )
    with pytest.raises(RegistryError, match="cannot be") as caught:
        issue.ensure(Run(settings, console))
    assert (caught.value.cure != "", (tmp_path / "file").read_bytes()) == (True, b"mine")


@pytest.mark.parametrize("look", [issue.find, issue.trust_anchor])
def test_a_folder_that_may_not_be_entered_is_named_with_a_cure(look: Callable[[Path], object], forbidden: Path) -> None:
    with pytest.raises(RegistryError, match="Permission denied") as caught:
        look(forbidden)
    assert caught.value.cure
