"""A Mac's commands, argument for argument: nobody here has a Mac to run them on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import put
from tests.recorder import Recorder
from tests.trust.engines import StandIn, as_engine
from trusted_registry.certificate import issue
from trusted_registry.trust import here, ledger, macos, takeback

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

CERTIFICATE = Path("/checkout/certs/ca.crt")
HOME = Path("/Users/me")
LOGIN = "/Users/me/Library/Keychains/login.keychain-db"
SYSTEM = "/Library/Keychains/System.keychain"


def test_trust_for_all_users_is_admin_trust_in_the_system_keychain() -> None:
    assert macos.add(CERTIFICATE, "system", HOME) == [
        *["sudo", "security", "add-trusted-cert", "-d", "-r", "trustRoot", "-p", "ssl", "-p", "basic"],
        *["-k", SYSTEM, "/checkout/certs/ca.crt"],
    ]


def test_trust_for_this_user_is_not_admin_trust_and_needs_no_sudo() -> None:
    assert macos.add(CERTIFICATE, "login", HOME) == [
        *["security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl"],
        *["-k", LOGIN, "/checkout/certs/ca.crt"],
    ]


def test_taking_it_back_for_all_users_removes_trust_and_certificate() -> None:
    assert macos.remove(CERTIFICATE, "ab12", "system", HOME) == [
        ["sudo", "security", "remove-trusted-cert", "-d", "/checkout/certs/ca.crt"],
        ["sudo", "security", "delete-certificate", "-Z", "AB12", SYSTEM],
    ]


def test_taking_it_back_for_this_user_removes_trust_and_certificate() -> None:
    assert macos.remove(CERTIFICATE, "ab12", "login", HOME) == [
        ["security", "remove-trusted-cert", "/checkout/certs/ca.crt"],
        ["security", "delete-certificate", "-Z", "AB12", LOGIN],
    ]


def test_a_mac_is_asked_about_a_host_by_name() -> None:
    expected = ["security", "verify-cert", "-c", "/checkout/certs/ca.crt", "-p", "ssl", "-n", "192.168.0.12"]
    assert macos.verify(CERTIFICATE, "192.168.0.12") == expected


def test_docker_desktop_looks_in_the_home_folder() -> None:
    assert macos.desktop_folder(HOME) == Path("/Users/me/.docker/certs.d")


def test_docker_desktop_is_restarted_by_quitting_and_opening_it() -> None:
    assert macos.restart_desktop() == [["osascript", "-e", 'quit app "Docker"'], ["open", "-a", "Docker"]]


def test_the_keychains_are_those_that_the_document_names() -> None:
    assert macos.KEYCHAINS == ("system", "login")


@pytest.mark.process
def test_trust_in_a_keychain_is_noted_and_taken_back(
    make_settings: MakeSettings, edge: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    put("security", "exit 0", tmp_path, monkeypatch)
    settings = make_settings(tool="cryptography")
    issue.ensure(settings, Recorder())
    here.trust_keychain(settings, edge, "login")
    sha1 = issue.trusted(settings.folder).sha1
    assert [entry.value for entry in ledger.read(ledger.where())] == [sha1]
    takeback.remove(settings, as_engine(StandIn()), edge)
    ca, keychain = f"{settings.folder}/ca.crt", f"{Path.home()}/Library/Keychains/login.keychain-db"
    assert [line for line in edge.typed if "security" in line][1:] == [
        f"security remove-trusted-cert {ca}",
        f"security delete-certificate -Z {sha1.upper()} {keychain}",
    ]
    assert ledger.read(ledger.where()) == []
