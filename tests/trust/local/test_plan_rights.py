"""What may not be written: without root, by a sudo that refuses, as root in another user's home folder."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, nobody
from tests.marks import by_root
from tests.recorder import Recorder
from tests.trust.boxes import SPELLINGS, USERS, Box
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import apply, install, ledger, uninstall
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


# Without root


@pytest.fixture
def no_root(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root, whose PATH leads to no sudo, and who may write his own home alone."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(apply, "is_writable", lambda path: box.home in path.parents)
    monkeypatch.setenv("PATH", str(box.programs))


@pytest.mark.usefixtures("no_root")
def test_without_root_one_s_own_stores_are_written_and_the_others_told(
    box: Box, settings: Settings, console: Recorder
) -> None:
    box.folder("{home}/.docker/desktop")
    result = install.trust(Run(settings, console), nobody())
    assert {store.key for store in result.written} == {"docker-desktop"}
    assert {store.key for store in result.left} == {"docker", "containers", "k3s"}
    assert "To include it: ./inv trust.kit --address 192.168.0.12, ask an administrator" in console.warned[0]


@pytest.mark.usefixtures("no_root")
def test_without_root_what_podman_reads_of_one_s_own_is_written_all_the_same(
    box: Box, settings: Settings, console: Recorder
) -> None:
    folder = box.folder(f"{USERS}/{SPELLINGS[0]}")
    install.trust(Run(settings, console), nobody())
    assert (folder / "ca.crt").exists()
    assert not box.machine.path("/etc/containers").exists()


@pytest.mark.usefixtures("no_root")
def test_without_root_a_store_that_was_asked_for_is_an_error(box: Box, settings: Settings, console: Recorder) -> None:
    before = snapshot(box.root)
    with pytest.raises(RegistryError, match="needs root"):
        install.trust(Run(settings, console), nobody(), StoreSelection(only=("podman",)))
    assert snapshot(box.root) == before


@pytest.mark.usefixtures("no_root")
def test_without_root_the_answering_engine_s_store_is_an_error(box: Box, settings: Settings) -> None:
    before = snapshot(box.root)
    with pytest.raises(RegistryError, match="needs root"):
        install.trust(Run(settings, Recorder()), FakeEngine())
    assert snapshot(box.root) == before


@pytest.mark.usefixtures("no_root")
@pytest.mark.process
def test_without_root_a_database_of_the_machine_is_left_before_anything_is_done(
    box: Box, settings: Settings, console: Recorder
) -> None:
    box.program("keytool").write_text("#!/bin/sh\nexit 1\n")
    result = install.trust(
        Run(settings, console), nobody(), StoreSelection(skip=("docker", "podman", "k3s"), system=True)
    )
    assert [store.key for store in result.left] == ["java"]
    assert [command for command in console.commands if "-importcert" in command] == []


@pytest.mark.process
def test_a_sudo_that_refuses_to_run_a_command_leaves_that_store_and_no_other(
    box: Box, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs.put("sudo", "echo 'sudo: a password is required' >&2; exit 1", box.root, monkeypatch)
    programs.put("keytool", "exit 1", box.root, monkeypatch)
    result = install.trust(Run(settings, console), nobody(), StoreSelection(system=True))
    assert [store.key for store in result.left] == ["java"]
    assert {store.key for store in result.written} == {"docker", "containers", "k3s"}
    with pytest.raises(RegistryError, match="a password is required"):
        install.trust(Run(settings, console), nobody(), StoreSelection(only=("java",)))


@pytest.mark.process
def test_a_database_s_own_refusal_is_an_error(
    box: Box, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("keytool", "echo 'keytool error: cacerts is broken'; exit 1", box.root, monkeypatch)
    with pytest.raises(RegistryError, match="cacerts is broken"):
        install.trust(Run(settings, console), nobody(), StoreSelection(only=("java",)))


def test_what_root_may_not_write_is_told_in_one_s_own_words(
    box: Box, settings: Settings, console: Recorder, read_only: Path
) -> None:
    (box.folder("/etc") / "docker").symlink_to(read_only)
    with pytest.raises(RegistryError, match=r"Read-only file system|Permission denied") as caught:
        install.trust(Run(settings, console), nobody(), StoreSelection(only=("docker",)))
    assert "sudo" not in caught.value.message
    assert caught.value.cure


# As root in another user's home folder


@pytest.fixture
def borrowed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, by a sudo that kept HOME."""
    monkeypatch.setenv("HOME", str(box.home))
    os.chown(box.home, 1234, 1234)
    root = pwd.struct_passwd(("root", "x", 0, 0, "", str(box.folder("/root")), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: root)


@by_root
@pytest.mark.usefixtures("borrowed")
def test_root_writes_nothing_into_another_user_s_home_and_says_so_once(
    box: Box, settings: Settings, console: Recorder
) -> None:
    for sign in ("{home}/.docker/desktop", f"{USERS}/{SPELLINGS[0]}"):
        box.folder(sign)
    before = snapshot(box.home)
    result = install.trust(Run(settings, console), nobody())
    assert snapshot(box.home) == before
    assert box.machine.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").exists()
    assert {store.key for store in result.left} == {"docker-desktop"}
    (warned,) = console.warned
    assert "Docker Desktop; podman" in warned
    assert warned.endswith("As that user, the same command without sudo.")
    assert ledger.path() == box.machine.path("/root/.local/state/trusted-registry/ledger.json")
    uninstall.remove(Run(settings, console), nobody())
    assert ledger.read(ledger.path()) == []
    assert not box.machine.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").exists()


@by_root
@pytest.mark.usefixtures("borrowed")
def test_a_store_of_another_user_s_home_that_was_asked_for_is_an_error_and_nothing_is_written(
    box: Box, settings: Settings, console: Recorder
) -> None:
    box.folder("{docker}/buildx/instances")
    before = snapshot(box.home)
    with pytest.raises(RegistryError, match="root in another user's home folder"):
        install.trust(Run(settings, console), nobody(), StoreSelection(only=("podman", "buildkit")))
    assert (snapshot(box.home), ledger.read(ledger.path())) == (before, [])
    assert not box.machine.path("/etc/containers/certs.d").exists()


@by_root
@pytest.mark.usefixtures("borrowed")
def test_another_user_s_keychain_is_not_root_s_to_change(settings: Settings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="root in another user's home folder"):
        install.trust_keychain(Run(settings, console), "login")
    assert ledger.read(ledger.path()) == []
