"""The log of the last run: its commands, private, without secrets, and gone with the last certificate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from trusted_registry import run_log
from trusted_registry.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Invoke

ADDRESS = "192.168.0.12"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a certificate in it."""
    made = tmp_path / "certs"
    made.mkdir()
    (made / "ca.crt").touch()
    return made


def _kept(folder: Path, *commands: str, error: str = "") -> str:
    log = run_log.RunLog()
    log.begin("up", folder)
    for command in commands:
        log.command(command)
    if error:
        log.end(error)
    log.save()
    path = folder / run_log.NAME
    return path.read_text() if path.exists() else ""


def test_it_is_the_last_run_s_commands_and_for_its_owner_alone(folder: Path) -> None:
    umask = os.umask(0)
    try:
        _kept(folder, "docker pull registry:3")
        said = _kept(folder, "docker ps", "docker rm registry")
    finally:
        os.umask(umask)
    assert (said.splitlines()[1:], mode(folder / run_log.NAME)) == (["docker ps", "docker rm registry"], 0o600)


def test_a_link_in_its_place_is_replaced_and_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (folder / run_log.NAME).symlink_to(tmp_path / "theirs")
    assert "docker ps" in _kept(folder, "docker ps")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_run_without_a_command_leaves_the_one_before(folder: Path) -> None:
    _kept(folder, "docker ps")
    assert "docker ps" in _kept(folder)


@pytest.mark.parametrize(
    "commands", [("sudo usermod --append --groups docker ada",), ("tee a <<'EOF'\n# b\nEOF", "ls")]
)
def test_the_commands_of_a_process_that_another_goes_on_for_are_kept_with_that_one_s(
    commands: tuple[str, ...], folder: Path
) -> None:
    first = run_log.RunLog()
    first.begin("engine", None)
    for command in commands:
        first.command(command)
    log = run_log.RunLog(first.text)
    log.begin("up", folder)
    log.save()
    said = (folder / run_log.NAME).read_text()
    assert said.startswith(first.text)
    assert said.splitlines()[-1].endswith(": up")
    (folder / run_log.NAME).unlink()
    empty = run_log.RunLog("# a time: engine\n")
    empty.begin("up", folder)
    empty.save()
    assert not (folder / run_log.NAME).exists()


@pytest.mark.process
@pytest.mark.parametrize("carried", ["docker ps\n", ""])
def test_a_run_has_the_commands_of_the_process_that_it_goes_on_for(carried: str, invoke: Invoke) -> None:
    assert invoke("cert", INVOKE_REGISTRY_ADDRESS=ADDRESS).returncode == 0
    assert invoke("cert.renew", INVOKE_REGISTRY_ADDRESS=ADDRESS, **{run_log.CARRIED: carried}).returncode == 0
    kept = (invoke.root / "certs" / run_log.NAME).read_text()
    assert kept.startswith(f"{carried}# ")


@pytest.mark.parametrize("there", [(), (".gitignore",), (run_log.NAME,)])
def test_a_folder_that_was_purged_gets_none(there: tuple[str, ...], tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).write_text("")
    assert _kept(tmp_path, "docker ps") == ""
    assert _kept(tmp_path / "absent", "docker ps") == ""


def test_a_folder_that_may_not_be_written_to_is_no_error(read_only: Path) -> None:
    log = run_log.RunLog()
    log.begin("up", read_only)
    log.command("docker ps")
    log.save()
    assert not (read_only / run_log.NAME).exists()


@pytest.mark.parametrize(
    "line",
    [
        "+    auth: {password: hunter2}",
        '+    "proxies": {"http-proxy": "http://ada:hunter2@proxy:3128"}',
        "curl --header 'Authorization: x' https://hunter2@registry.example/v2/",
        "+      token = 'hunter2'",
        '-{"registry": {"password": "a b, hunter2"}, "debug": true}',
        '+    "password": "a \\" hunter2",',
        "+    password: s3cret,with{hunter2",
        "+    password: 'it''s hunter2'",
        '+passphrase="a hunter2"',
        "http-proxy: http://ada:p@ss/hunter2@proxy:3128",
        "curl --header 'Authorization: Bearer hunter2'",
        "tool login --password hunter2 registry.example",
        "tool login --token='a hunter2'",
        "INVOKE_SECRET=hunter2 ./inv up",
        "error: the proxy http://ada:hunter2@proxy refused",
    ],
)
def test_a_password_that_is_on_a_line_of_others_is_left_out(line: str, folder: Path) -> None:
    assert "hunter2" not in _kept(folder, line, error=line)


@pytest.mark.parametrize(
    "line",
    [
        "docker pull 192.168.0.12/app@sha256:00",
        "install -m 0644 certs/ca.crt /etc/ssl/authority",
        "ssh a@b",
        "docker login --username ada --password-stdin 192.168.0.12",
        "docker create --env REGISTRY_AUTH_HTPASSWD_PATH=/etc/registry/users registry:3",
    ],
)
def test_what_is_no_password_stays(line: str, folder: Path) -> None:
    assert line in _kept(folder, line).splitlines()


def test_a_run_in_a_folder_that_is_gone_is_kept_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert _kept(folder, "docker ps").endswith(", in /: up\ndocker ps\n")


def test_an_error_is_a_comment_however_hostile(folder: Path) -> None:
    said = _kept(folder, "docker ps", error="refused\nrm -rf /\x1b[2A\x9b")
    assert [line for line in said.splitlines() if not line.startswith("# ")] == ["docker ps"]
    assert "\x1b" not in said


def test_a_dry_run_keeps_nothing(folder: Path) -> None:
    log = run_log.RunLog()
    log.begin("up", folder)
    Terminal(dry=True, log=log).command(["docker", "ps"])
    log.save()
    assert not (folder / run_log.NAME).exists()


@pytest.mark.process
def test_each_task_keeps_its_commands_and_one_that_fails_its_error(invoke: Invoke) -> None:
    assert "certificate: " in invoke("cert", INVOKE_REGISTRY_ADDRESS=ADDRESS).stdout
    log = invoke.root / "certs" / run_log.NAME
    made = log.read_text()
    assert ("openssl req" in made, mode(log)) == (True, 0o600)
    assert invoke("cert.renew", INVOKE_REGISTRY_ADDRESS=ADDRESS, INVOKE_CERTIFICATE_TOOL="openssl", PATH="/none")
    assert "\n# error: openssl is not installed." in log.read_text()
