"""A changeover as this machine's clients see it: at each step they hold the root that the registry needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import ANCHORS, Box, states
from trusted_registry import files
from trusted_registry.certificate import changeover, issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import install, ledger, outdated, trust_anchor
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

FILES = StoreSelection(only=("docker", "podman", "containerd", "k3s", "buildkit"))
FOLDERS = ("/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d")
HOSTS = ("192.168.0.12", "192.168.0.12:443")

pytestmark = pytest.mark.usefixtures("this_machine")


def _trust(settings: Settings, selection: StoreSelection = FILES, console: Recorder | None = None) -> None:
    install.trust(Run(settings, console or Recorder()), nobody(), selection)


def _run(settings: Settings) -> Run:
    return Run(settings, Recorder())


def _held(box: Box, folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in box.machine.path(f"{folder}/{HOSTS[0]}").glob("*.crt")}


def test_clients_hold_both_roots_as_two_files_until_the_server_is_switched(box: Box, settings: Settings) -> None:
    _trust(settings)
    old = (settings.folder / "ca.crt").read_bytes()
    changeover.begin(_run(settings))
    new = (settings.folder / "next" / "ca.crt").read_bytes()
    _trust(settings)
    assert [_held(box, folder) for folder in FOLDERS] == [{"ca.crt": old, "ca-new.crt": new}] * 3
    toml = box.machine.path(f"/etc/containerd/certs.d/{HOSTS[0]}/hosts.toml").read_text()
    both = '["/etc/containerd/certs.d/192.168.0.12/ca.crt", "/etc/containerd/certs.d/192.168.0.12/ca-new.crt"]'
    assert toml.count(f"ca = {both}") == 2
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}


def test_readers_that_take_one_file_get_both_roots_in_it(box: Box, settings: Settings) -> None:
    _trust(settings)
    changeover.begin(_run(settings))
    _trust(settings)
    held = [*box.machine.path("/etc/rancher/k3s").glob("*.crt"), *box.machine.path("{docker}/buildx").glob("*.crt")]
    assert [path.read_bytes().count(b"BEGIN CERTIFICATE") for path in held] == [2, 2]


def test_after_the_switch_nothing_of_the_old_root_stays(box: Box, settings: Settings) -> None:
    _trust(settings)
    old = (settings.folder / "ca.crt").read_bytes()
    changeover.begin(_run(settings))
    _trust(settings)
    changeover.switch(_run(settings))
    new = (settings.folder / "ca.crt").read_bytes()
    _trust(settings)
    assert [_held(box, folder) for folder in FOLDERS] == [{"ca.crt": new}] * 3
    assert [path for path in box.root.rglob("*.crt") if old in path.read_bytes()] == []
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}
    before = {path: path.read_bytes() for path in box.root.rglob("*") if path.is_file()}
    _trust(settings)
    assert {path: path.read_bytes() for path in box.root.rglob("*") if path.is_file()} == before


def test_beside_a_login_of_others_it_is_the_same(box: Box, settings: Settings) -> None:
    login = f'configs:\n  "{HOSTS[0]}":\n    auth:\n      username: ada\n'
    path = box.file("/etc/rancher/k3s/registries.yaml", login)
    selection = StoreSelection(only=("k3s",))
    _trust(settings, selection)
    changeover.begin(_run(settings))
    _trust(settings, selection)
    (held,) = path.parent.glob("*.crt")
    assert (held.read_bytes().count(b"BEGIN CERTIFICATE"), held.name in path.read_text()) == (2, True)
    changeover.switch(_run(settings))
    _trust(settings, selection)
    (new,) = path.parent.glob("*.crt")
    assert (new == held, new.read_bytes()) == (False, (settings.folder / "ca.crt").read_bytes())
    assert (new.name in path.read_text(), held.name in path.read_text()) == (True, False)
    assert "username: ada" in path.read_text()


def test_others_file_that_has_the_old_root_alone_is_told_and_one_with_both_trusts(box: Box, settings: Settings) -> None:
    old, selection = (settings.folder / "ca.crt").read_bytes(), StoreSelection(only=("docker",))
    changeover.begin(_run(settings))
    new = (settings.folder / "next" / "ca.crt").read_bytes()
    path = box.file(f"/etc/docker/certs.d/{HOSTS[0]}/ca.crt", (b"# by hand\r\n" + old).decode())
    _trust(settings, selection)
    assert _held(box, FOLDERS[0]) == {"ca.crt": path.read_bytes(), "ca-new.crt": new}
    changeover.switch(_run(settings))
    with pytest.raises(RegistryError, match="not written here"):
        _trust(settings, selection)
    path.write_bytes(path.read_bytes() + new)
    _trust(settings, selection)
    assert _held(box, FOLDERS[0]) == {"ca.crt": path.read_bytes()}


def test_a_changeover_that_is_given_up_is_taken_back(box: Box, settings: Settings) -> None:
    _trust(settings)
    before = {path: path.read_bytes() for path in box.root.rglob("*") if path.is_file()}
    changeover.begin(_run(settings))
    _trust(settings)
    changeover.forget(_run(settings))
    _trust(settings)
    assert {path: path.read_bytes() for path in box.root.rglob("*") if path.is_file()} == before


def test_at_no_write_does_a_folder_lack_the_root_that_the_server_needs(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trust(settings)
    old = (settings.folder / "ca.crt").read_bytes()
    needed, seen = [old], []
    for name in ("write", "remove"):
        real = getattr(files, name)

        def watched(path: Path, *rest: object, _real: object = real, **more: object) -> None:
            assert callable(_real)
            _real(path, *rest, **more)
            if "certs.d" in str(path):
                held = [needed[0] in _held(box, folder).values() for folder in FOLDERS]
                seen.append(all(held))

        monkeypatch.setattr(files, name, watched)
    changeover.begin(_run(settings))
    _trust(settings)
    changeover.switch(_run(settings))
    needed[0] = (settings.folder / "ca.crt").read_bytes()
    _trust(settings)
    assert len(seen) > 12
    assert all(seen)


# An earlier authority, made anew by force


@pytest.fixture
def system(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Debian's store of authorities, with its program in small."""
    folder, bundle = box.folder(ANCHORS), box.file("/etc/ssl/certs/ca-certificates.crt", "# theirs\n")
    script = f'cat {folder}/*.crt > {bundle} 2>/dev/null || echo "# theirs" > {bundle}'
    programs.put("update-ca-certificates", script, tmp_path, monkeypatch)
    return folder


SYSTEM = StoreSelection(only=("system",))


@pytest.mark.process
def test_an_earlier_authority_in_the_system_s_store_is_found_and_taken_back(settings: Settings, system: Path) -> None:
    _trust(settings, SYSTEM)
    (old,) = system.glob("*.crt")
    issue.ensure(_run(settings), force=True)
    assert [entry.path for entry in outdated.find(settings, trust_anchor.load(settings))] == [str(old)]
    console = Recorder()
    _trust(settings, SYSTEM, console)
    (new,) = system.glob("*.crt")
    assert (new != old, any(str(old) in line for line in console.said)) == (True, True)
    assert outdated.find(settings, trust_anchor.load(settings)) == []
    assert str(old) not in {entry.path for entry in ledger.read(ledger.path())}
    assert f"docker: {outdated.ENGINE_REMEMBERS}" not in console.said


@pytest.mark.process
def test_an_engine_that_may_have_read_the_system_s_store_is_told_to_be_restarted(
    settings: Settings, system: Path
) -> None:
    both, console = StoreSelection(only=("docker", "system")), Recorder()
    _trust(settings, both)
    issue.ensure(_run(settings), force=True)
    _trust(settings, both, console)
    assert (len([*system.glob("*.crt")]), console.said.count(f"docker: {outdated.ENGINE_REMEMBERS}")) == (1, 1)


@pytest.mark.process
def test_another_installation_s_authority_is_no_earlier_one_of_ours(settings: Settings, system: Path) -> None:
    theirs = system / "trusted-registry-0123456789abcdef.crt"
    theirs.write_bytes((settings.folder / "ca.crt").read_bytes())
    _trust(settings, SYSTEM)
    issue.ensure(_run(settings), force=True)
    _trust(settings, SYSTEM)
    assert theirs.exists()


@pytest.mark.process
def test_what_was_changed_since_is_left(settings: Settings, system: Path) -> None:
    _trust(settings, SYSTEM)
    (old,) = system.glob("*.crt")
    old.write_bytes(b"# mine now\n" + old.read_bytes())
    issue.ensure(_run(settings), force=True)
    _trust(settings, SYSTEM)
    assert old.exists()


def test_a_folder_of_a_name_that_was_dropped_keeps_no_earlier_authority(box: Box, settings: Settings) -> None:
    import dataclasses

    named = dataclasses.replace(settings, names=("mine.local",))
    _trust(named)
    issue.ensure(_run(settings), force=True)
    found = {entry.path for entry in outdated.find(settings, trust_anchor.load(settings))}
    folder = box.machine.path("/etc/containerd/certs.d/mine.local")
    assert {str(folder / "ca.crt"), str(folder / "hosts.toml")} <= found
    _trust(settings)
    assert not folder.exists()


CERTUTIL = """while [ $# -gt 0 ]; do
    case $1 in
        -L | -A | -D | -V) act=$1 ;;
        -d) dir=${2#sql:}; shift ;;
        -n) name=$2; shift ;;
        -i) file=$2; shift ;;
        -t | -u) shift ;;
    esac
    shift
done
case $act in -A) cp "$file" "$dir/$name.pem" ;; -D) rm "$dir/$name.pem" ;; *) cat "$dir/$name.pem" ;; esac 2>&1"""
"""NSS's program in small: a file for each certificate, by its name."""


@pytest.mark.process
def test_a_browser_s_database_holds_both_roots_and_then_the_new_one_alone(
    box: Box, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = box.file("{home}/.pki/nssdb/cert9.db").parent
    box.program("certutil")
    programs.put("certutil", CERTUTIL, tmp_path, monkeypatch)
    nss = StoreSelection(only=("nss",))
    _trust(settings, nss)
    (old,) = database.glob("*.pem")
    changeover.begin(_run(settings))
    _trust(settings, nss)
    assert len([*database.glob("*.pem")]) == 2
    assert set(states(settings, nobody(), nss).values()) == {State.TRUSTED}
    changeover.switch(_run(settings))
    assert [entry.value for entry in outdated.find(settings, trust_anchor.load(settings))] == [old.stem]
    _trust(settings, nss)
    (left,) = database.glob("*.pem")
    assert left.read_bytes() == (settings.folder / "ca.crt").read_bytes()


KEYTOOL = """act=$1
while [ $# -gt 0 ]; do
    case $1 in -alias) name=$2; shift ;; -file) file=$2; shift ;; esac
    shift
done
cd "{folder}" || exit
case $act in -importcert) cp "$file" "$name" ;; -delete) rm "$name" ;; *) cat "$name" ;; esac 2>&1"""
"""Java's program in small: a file for each certificate, by its alias."""


@pytest.mark.process
def test_a_keystore_whose_place_its_program_knows_holds_both_roots_and_then_the_new_one_alone(
    box: Box, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystore = tmp_path / "keystore"
    keystore.mkdir()
    box.program("keytool")
    programs.put("keytool", KEYTOOL.replace("{folder}", str(keystore)), tmp_path, monkeypatch)
    java = StoreSelection(only=("java",))
    _trust(settings, java)
    (old,) = keystore.iterdir()
    changeover.begin(_run(settings))
    _trust(settings, java)
    assert len([*keystore.iterdir()]) == 2
    changeover.switch(_run(settings))
    assert [(entry.path, entry.value) for entry in outdated.find(settings, trust_anchor.load(settings))] == [
        ("", old.name)
    ]
    _trust(settings, java)
    (left,) = keystore.iterdir()
    assert left.read_bytes() == (settings.folder / "ca.crt").read_bytes()
    assert old.name not in ledger.path().read_text()
