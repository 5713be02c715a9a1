"""A Mac's commands, argument for argument: nobody here has a Mac to run them on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import put
from tests.recorder import Recorder
from tests.trust.engines import RootlessEngine
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import install, ledger, uninstall
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import MACOS, TrustAnchor
from trusted_registry.trust.specifics import macos

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

CERTIFICATE = Path("/checkout/certs/ca.crt")
HOME = Path("/Users/me")
SHA1 = "AB12" * 10
LOGIN = "/Users/me/Library/Keychains/login.keychain-db"
SYSTEM = "/Library/Keychains/System.keychain"
ENGINES = ("docker-desktop", "colima", "orbstack")


def test_trust_for_all_users_is_admin_trust_in_the_system_keychain() -> None:
    assert macos.add(CERTIFICATE, "system", HOME) == [
        *["sudo", "security", "add-trusted-cert", "-d", "-r", "trustRoot", "-p", "ssl", "-p", "basic"],
        *["-k", SYSTEM, "/checkout/certs/ca.crt"],
    ]


def test_trust_for_this_user_is_not_admin_trust_and_needs_no_sudo() -> None:
    assert macos.add(CERTIFICATE, "login", HOME) == [
        *["security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-p", "basic"],
        *["-k", LOGIN, "/checkout/certs/ca.crt"],
    ]


def test_taking_it_back_for_all_users_removes_trust_and_certificate() -> None:
    assert macos.remove(CERTIFICATE, SHA1.lower(), "system", HOME) == [
        ["sudo", "security", "remove-trusted-cert", "-d", "/checkout/certs/ca.crt"],
        ["sudo", "security", "delete-certificate", "-Z", SHA1, SYSTEM],
    ]


def test_taking_it_back_for_this_user_removes_trust_and_certificate() -> None:
    assert macos.remove(CERTIFICATE, SHA1.lower(), "login", HOME) == [
        ["security", "remove-trusted-cert", "/checkout/certs/ca.crt"],
        ["security", "delete-certificate", "-Z", SHA1, LOGIN],
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_of_a_mac_reads_the_home_folder_by_every_spelling(engine: str) -> None:
    anchor = TrustAnchor(b"pem", "ab" * 32, ("192.168.0.12", "192.168.0.12:443"))
    machine = _mac(Path("/"))
    assert [machine.path(file.path) for file in macos.store(engine).files(anchor)] == [
        Path("/Users/me/.docker/certs.d/192.168.0.12/ca.crt"),
        Path("/Users/me/.docker/certs.d/192.168.0.12:443/ca.crt"),
    ]


def test_each_engine_of_a_mac_is_restarted_in_its_own_way_and_orbstack_not_at_all() -> None:
    restarts = {engine: restart.command if (restart := macos.store(engine).restart) else "" for engine in ENGINES}
    assert restarts == {
        "docker-desktop": "osascript -e 'quit app \"Docker\"' && open -a Docker",
        "colima": "colima restart",
        "orbstack": "",
    }


@pytest.mark.parametrize(
    ("seen", "engine"),
    [
        ("Applications/Docker.app", "docker-desktop"),
        ("Users/me/Applications/Docker.app", "docker-desktop"),
        ("Users/me/.colima/default/docker.sock", "colima"),
        ("Users/me/.config/colima", "colima"),
        ("opt/homebrew/bin/colima", "colima"),
        ("Applications/OrbStack.app", "orbstack"),
        ("Users/me/.orbstack/run/docker.sock", "orbstack"),
    ],
)
def test_an_engine_of_a_mac_is_told_from_the_others(seen: str, engine: str, tmp_path: Path) -> None:
    machine = _mac(tmp_path)
    assert macos.engines(machine) == []
    path = tmp_path / seen
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    assert macos.engines(machine) == [macos.store(engine)]


def test_two_engines_of_a_mac_are_both_seen(tmp_path: Path) -> None:
    (tmp_path / "Users/me/.colima").mkdir(parents=True)
    (tmp_path / "Applications/Docker.app").mkdir(parents=True)
    assert macos.engines(_mac(tmp_path)) == [macos.store("docker-desktop"), macos.store("colima")]


def test_what_colima_keeps_is_taken_out_of_its_machine() -> None:
    expected = ["colima", "ssh", "--", "sudo", "rm", "-r", "/etc/docker/certs.d/192.168.0.12:443"]
    assert macos.colima_leftovers("192.168.0.12:443") == expected


def test_no_engine_of_a_mac_is_taken_for_one_of_linux() -> None:
    assert {store.system for store in client_stores.STORES if store.key.startswith("macos-")} == {MACOS}


def test_the_keychains_are_those_that_the_document_names() -> None:
    assert macos.KEYCHAINS == ("system", "login")


def _mac(root: Path) -> Machine:
    """Return a Mac's disk under a folder: home folders, and Homebrew's programs."""
    home = root / "Users/me"
    return Machine(
        home=home,
        config=home / ".config",
        data=home / ".local/share",
        run=root / "run",
        docker=home / ".docker",
        programs=(root / "opt/homebrew/bin",),
        root=root,
    )


@pytest.mark.process
def test_what_the_keychain_does_not_give_back_is_an_error_and_remembered(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("security", '[ "$1" != delete-certificate ] || { echo "not permitted" >&2; exit 1; }', tmp_path, monkeypatch)
    settings = make_settings()
    known = ledger.entry("keychain-login", CERTIFICATE, b"", by=settings.root, value=SHA1)
    ledger.record(ledger.path(), [known])
    with pytest.raises(RegistryError, match="security failed: not permitted"):
        uninstall.remove(Run(settings, console), RootlessEngine())
    assert (ledger.read(ledger.path()), console.said) == ([known], [])


@pytest.mark.process
@pytest.mark.parametrize(
    "script",
    [
        '[ "$1" != remove-trusted-cert ] || { echo "security: Error reading file" >&2; exit 1; }',
        "[ \"$1\" != delete-certificate ] || { echo 'Unable to delete certificate matching SHA1' >&2; exit 1; }",
    ],
    ids=["the file", "the certificate"],
)
def test_what_is_gone_from_a_mac_already_is_forgotten(
    script: str, make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("security", script, tmp_path, monkeypatch)
    settings = make_settings()
    ledger.record(ledger.path(), [ledger.entry("keychain-login", CERTIFICATE, b"", by=settings.root, value=SHA1)])
    assert uninstall.remove(Run(settings, console), RootlessEngine()) == [f"{SHA1} in {CERTIFICATE}"]
    assert ledger.read(ledger.path()) == []


@pytest.mark.process
def test_trust_in_a_keychain_is_noted_and_taken_back(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    put("security", "exit 0", tmp_path, monkeypatch)
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, Recorder()))
    install.trust_keychain(Run(settings, console), "login")
    sha1 = issue.trust_anchor(settings.folder).sha1
    assert [entry.value for entry in ledger.read(ledger.path())] == [sha1]
    uninstall.remove(Run(settings, console), RootlessEngine())
    ca, keychain = f"{settings.folder}/ca.crt", f"{Path.home()}/Library/Keychains/login.keychain-db"
    assert [line for line in console.typed if "security" in line][1:] == [
        f"security remove-trusted-cert {ca}",
        f"security delete-certificate -Z {sha1.upper()} {keychain}",
    ]
    assert ledger.read(ledger.path()) == []
