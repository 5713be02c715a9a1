"""A plan is shown and carried out: directly where the files are ours to write, through one sudo where not."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import mode, snapshot
from tests.marks import by_root
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust.local import apply
from trusted_registry.trust.local.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

TYPED = (("install", "-D", "ca.crt", "/there"), ("rm", "/here"))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan that writes one file and removes another."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    operations = (Write(target / "new" / "ca.crt", bytes(range(256)), 0o640), Remove(target / "old", keep=target))
    return Plan("docker", operations, TYPED)


DONE = {"new": (0o755, b""), "new/ca.crt": (0o640, bytes(range(256)))}


@pytest.fixture
def not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who may write nothing of it and is not root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(apply, "is_writable", lambda _path: False)


def _sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str = "") -> Path:
    """Put a sudo on PATH that notes its arguments and runs them, and return where it notes."""
    log = tmp_path / "sudo.log"
    programs.put(
        "sudo", script or f'printf "%s\\n" "$*" >> {log}; [ "$1" = -n ] && shift; exec "$@"', tmp_path, monkeypatch
    )
    return log


def test_what_this_user_may_write_is_written_without_sudo(plan: Plan, console: Recorder, tmp_path: Path) -> None:
    apply.carry_out(plan, console)
    assert (snapshot(tmp_path / "target"), console.commands) == (DONE, [list(typed) for typed in TYPED])


def test_a_dry_run_shows_the_commands_and_writes_nothing(plan: Plan, tmp_path: Path) -> None:
    before, console = snapshot(tmp_path), Recorder(dry=True)
    apply.carry_out(plan, console)
    assert (snapshot(tmp_path), console.commands) == (before, [list(typed) for typed in TYPED])


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
def test_what_only_root_may_write_goes_through_sudo_and_arrives_the_same(
    plan: Plan, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sudo(tmp_path, monkeypatch)
    apply.carry_out(plan, console)
    assert snapshot(tmp_path / "target") == DONE


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
@by_root
def test_a_file_of_others_that_is_written_through_sudo_stays_theirs(
    console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sudo(tmp_path, monkeypatch)
    path = tmp_path / "registries.yaml"
    path.write_bytes(b"old")
    os.chown(path, 1234, 1235)
    apply.carry_out(Plan("k3s", (Write(path, b"new", 0o640),), TYPED), console)
    kept = path.stat()
    assert (path.read_bytes(), kept.st_uid, kept.st_gid, mode(path)) == (b"new", 1234, 1235, 0o640)


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
def test_the_whole_plan_takes_one_sudo_that_never_waits_for_a_password_that_nobody_types(
    plan: Plan, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _sudo(tmp_path, monkeypatch)
    apply.carry_out(plan, console)
    assert log.read_text().splitlines() == [f"-n {sys.executable} -B -m trusted_registry.trust.local.apply"]


@pytest.mark.usefixtures("not_root")
def test_what_only_root_may_write_is_shown_with_sudo(plan: Plan) -> None:
    console = Recorder(dry=True)
    apply.carry_out(plan, console)
    assert console.commands == [["sudo", *typed] for typed in TYPED]


@pytest.mark.usefixtures("not_root")
def test_without_sudo_nothing_is_written_and_the_cure_is_root(
    plan: Plan, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegistryError, match="there is no sudo") as caught:
        apply.carry_out(plan, console)
    assert (snapshot(tmp_path), "root" in caught.value.cure) == (before, True)


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
def test_a_sudo_that_refuses_is_quoted_and_writes_nothing(
    plan: Plan, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sudo(tmp_path, monkeypatch, "echo 'sudo: a password is required' >&2; exit 1")
    before = snapshot(tmp_path / "target")
    with pytest.raises(RegistryError, match="a password is required"):
        apply.carry_out(plan, console)
    assert snapshot(tmp_path / "target") == before


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
def test_what_root_itself_cannot_write_is_explained_in_root_s_words(
    console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sudo(tmp_path, monkeypatch)
    (tmp_path / "file").write_bytes(b"mine")
    plan = Plan("docker", (Write(tmp_path / "file" / "ca.crt", b""),), TYPED)
    with pytest.raises(RegistryError, match="a file stands in its way") as caught:
        apply.carry_out(plan, console)
    assert caught.value.cure.startswith("Move that file away")
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.process
@pytest.mark.usefixtures("not_root")
def test_folders_that_root_makes_let_every_user_s_client_look_in(
    console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sudo(tmp_path, monkeypatch)
    path = tmp_path / "etc" / "docker" / "certs.d" / "192.168.0.12" / "ca.crt"
    apply.carry_out(Plan("docker", (Write(path, b"text"),), TYPED), console)
    assert {mode for mode, _ in snapshot(tmp_path / "etc").values()} == {0o755, 0o644}


def test_an_empty_plan_needs_no_sudo(console: Recorder) -> None:
    apply.carry_out(Plan("docker", (), ()), console)
    assert console.commands == []


def test_a_folder_of_one_s_own_is_writable_with_folders_still_to_be_made(tmp_path: Path) -> None:
    assert apply.is_writable(tmp_path / "a" / "b" / "ca.crt")


def test_a_read_only_folder_is_not_writable(read_only: Path) -> None:
    assert not apply.is_writable(read_only / "a" / "ca.crt")


def test_a_folder_that_may_not_be_looked_into_is_not_writable(forbidden: Path) -> None:
    assert not apply.is_writable(forbidden / "certs.d" / "192.168.0.12" / "ca.crt")
