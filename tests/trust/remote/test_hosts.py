"""What Ansible is told, and what is made of what it says; nothing is started here."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorder import Recorder
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_hosts
from trusted_registry.trust.remote import hosts
from trusted_registry.trust.remote.hosts import REFUSED, UNREACHABLE, HostOptions, HostResult

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings


def _told(end: str = "failed", *, out: str = "", err: str = "", message: str = "") -> dict[str, str]:
    return {"host": "web1", "end": end, "stdout": out, "stderr": err, "msg": message}


# What a person may type


def test_an_errand_in_ansible_s_words() -> None:
    asked = HostOptions("web1,web2", limit="web*", user="me", check=True, remove=True, system=True, ask_password=True)
    argv = hosts.command(hosts.checked(asked), "kit.sh")
    assert argv[:-2] == [
        *("ansible-playbook", "--inventory=web1,web2", "--forks=25", "--limit=web*", "--user=me"),
        *("--check", "--ask-become-pass"),
    ]
    values = json.loads(argv[-2].partition("=")[2])
    assert values == {"trust_kit": "kit.sh", "trust_flags": ["--remove", "--system"]}


def test_what_was_not_asked_for_is_left_to_ansible_s_own_configuration() -> None:
    argv = hosts.command(HostOptions("web1,web2"), "kit.sh")
    assert [word for word in argv if word.startswith("--")][:2] == ["--inventory=web1,web2", "--forks=25"]
    assert len(argv) == 5


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("inventory", ""),
        ("inventory", "no-such-file"),
        ("inventory", "a,\x1b[2J"),
        ("forks", "0"),
        ("forks", "many"),
        ("forks", "501"),
        ("user", "-oProxyCommand=id"),
        ("user", 'me"'),
        ("limit", "a\nb"),
    ],
)
def test_a_flag_that_ansible_could_make_nothing_of_is_refused(flag: str, value: str) -> None:
    given: dict[str, Any] = {"inventory": "web1,web2"}
    with pytest.raises(SettingError) as caught:
        hosts.checked(HostOptions(**given | {flag: value}))
    assert caught.value.cure


def test_an_inventory_that_begins_with_a_dash_is_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "--version").touch()
    argv = hosts.command(hosts.checked(HostOptions("--version")), "kit.sh")
    assert argv[1] == "--inventory=--version"


def test_host_keys_are_never_left_unchecked_by_what_we_set() -> None:
    variables = hosts.environment({})
    assert [name for name in variables if "HOST_KEY" in name or "SSH_ARGS" in name] == []
    assert "StrictHostKeyChecking" not in str(variables)


def test_a_longer_step_may_be_allowed() -> None:
    assert hosts.environment({})["ANSIBLE_TASK_TIMEOUT"] == "120"
    assert hosts.environment({"ANSIBLE_TASK_TIMEOUT": "600"})["ANSIBLE_TASK_TIMEOUT"] == "600"


def test_a_dry_run_shows_the_command_and_starts_nothing(console: Recorder) -> None:
    console.dry = True
    assert trust_hosts.run_script("kit.sh", b"", console, HostOptions("web1,")) == ()
    assert "--inventory=web1," in console.typed[0]


def test_a_dry_run_without_a_certificate_says_so_and_a_run_is_refused(make_settings: MakeSettings) -> None:
    console = Recorder(dry=True)
    assert trust_hosts.trust(Run(make_settings(), console), HostOptions("web1,")) == ()
    assert console.commands == []
    assert "no certificate to trust" in console.said[0]
    with pytest.raises(RegistryError, match="no certificate to trust"):
        trust_hosts.trust(Run(make_settings(), Recorder()), HostOptions("web1,"))


def test_without_ansible_the_error_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Recorder
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a folder" / "python"))
    with pytest.raises(RegistryError, match="Ansible is not installed") as caught:
        trust_hosts.run_script("kit.sh", b"", console, HostOptions("web1,"))
    root = trust_hosts.__file__.removesuffix("/trusted_registry/tasks/trust_hosts.py")
    assert caught.value.cure == f"'{tmp_path}/a folder/python' -I -m pip install --editable '{root}[hosts]'"


def test_without_ssh_the_error_says_so_rather_than_every_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Recorder
) -> None:
    (tmp_path / "ansible-playbook").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegistryError, match="ssh is not installed"):
        trust_hosts.run_script("kit.sh", b"", console, HostOptions("web1,"))


# What is made of a host's words


@pytest.mark.parametrize("state", hosts.FINE_STATES)
def test_a_kit_s_last_line_is_the_outcome(state: str) -> None:
    result = hosts.result_of(_told("ok", out=f"docker: now trusted\ntrusted-registry: {state}\n"))
    assert (result, result.fine) == (HostResult("web1", state), True)


def test_what_is_left_to_do_on_a_host_is_passed_on() -> None:
    said = "k3s: it reads registries.yaml when it starts, so: systemctl restart k3s\ntrusted-registry: changed\n"
    result = hosts.result_of(_told("ok", out=said, err="note: /etc/x was left alone\n"))
    assert result.reason == (
        "k3s: it reads registries.yaml when it starts, so: systemctl restart k3s; /etc/x was left alone"
    )


def test_the_proof_on_a_host_is_a_column_of_its_own() -> None:
    said = "docker: now trusted\nproof: R is accepted by docker\nnow: docker pull R/IMAGE\ntrusted-registry: changed\n"
    result = hosts.result_of(_told("ok", out=said, err="note: /etc/x was left alone\n"))
    assert result == HostResult("web1", "changed", "/etc/x was left alone", "R is accepted by docker")
    table = trust_hosts.report([result]).table
    assert table
    assert table.rows == [("web1", "changed", "R is accepted by docker", "/etc/x was left alone")]


LOCKED = "no root there: sudo: a password is required"


@pytest.mark.parametrize(
    ("reasons", "cure"),
    [
        ((LOCKED,), "Their sudo wants a password. The same command with --ask-become-pass --limit a"),
        (("no root there: Missing sudo password", LOCKED), "with --ask-become-pass --limit a,b"),
        ((LOCKED, "nobody answers"), "with --limit a,b; add --ask-become-pass where sudo wants a password"),
        (("nobody answers",), "the same command with --limit a"),
        (("no root there: Incorrect sudo password",), "the same command with --limit a"),
        (("no root there: incorrect sudo password", "nobody answers"), "the same command with --limit a,b"),
        (("no root there: guest is not in the sudoers file.",), "the same command with --limit a"),
    ],
)
def test_a_sudo_that_wants_a_password_is_told_with_the_flag_that_asks_for_it(
    reasons: tuple[str, ...], cure: str
) -> None:
    results = [HostResult(host, REFUSED, reason) for host, reason in zip("abc", reasons, strict=False)]
    failure = trust_hosts.report(results).failure
    assert failure
    assert failure.cure.endswith(cure)


@pytest.mark.parametrize("said", ["", "hello\n", "trusted-registry: failed\n", "trusted-registry: weird\n"])
def test_a_kit_that_says_anything_else_last_did_not_do_its_work(said: str) -> None:
    result = hosts.result_of(_told("ok", out=said))
    assert (result.state, result.fine) == (REFUSED, False)


def test_the_kit_s_own_reason_is_the_one_told() -> None:
    told = _told(
        out="looking\ntrusted-registry: failed\n",
        err="error: /etc/docker/certs.d/r holds another's certificate.\n   do: move it\n",
    )
    assert hosts.result_of(told) == HostResult("web1", REFUSED, "/etc/docker/certs.d/r holds another's certificate.")


@pytest.mark.parametrize(
    "told",
    [
        _told(err="sudo: a password is required\n", message="Task failed: Missing sudo password"),
        _told(message="Task failed: Missing sudo password"),
        _told(err="/bin/sh: 1: sudo: not found\n", message="non-zero return code"),
        _told(err="guest is not in the sudoers file.\n"),
    ],
)
def test_a_host_without_sudo_is_told_from_others(told: dict[str, str]) -> None:
    result = hosts.result_of(told)
    assert (result.state, result.reason.startswith("no root there: ")) == (REFUSED, True)


@pytest.mark.parametrize(
    ("message", "state", "reason"),
    [
        (
            "Task failed: Failed to connect to the host via ssh: ssh: connect to host a port 22: Connection refused",
            UNREACHABLE,
            "connect to host a port 22: Connection refused",
        ),
        (
            "Make sure it can be reached over ssh: ssh: Could not resolve hostname a: Name or service not known\r\n",
            UNREACHABLE,
            "Could not resolve hostname a: Name or service not known",
        ),
        ("via ssh: root@a: Permission denied (publickey).", REFUSED, "ssh does not accept this key: root@a: "),
        ("via ssh: No ED25519 key.\r\nHost key verification failed.", REFUSED, "its host key is not known"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.",
            REFUSED,
            "its host key is not the one in known_hosts",
        ),
        ("", UNREACHABLE, "nobody answers"),
    ],
)
def test_a_host_that_turns_us_away_is_not_one_that_nobody_reached(message: str, state: str, reason: str) -> None:
    result = hosts.result_of(_told("unreachable", message=message))
    assert (result.state, result.reason.startswith(reason)) == (state, True), result


def test_another_machine_s_words_move_no_cursor_and_fill_no_screen() -> None:
    result = hosts.result_of(_told(err=f"\x1b[2J\x1b]0;title\x07{'x' * 5000}\n"))
    assert (result.reason.isprintable(), len(result.reason)) == (True, 200)


# The whole


def _report(*lines: str) -> hosts.Report:
    report = hosts.Report()
    for line in lines:
        report.read_line(f"{line}\n")
    return report


def test_hosts_stand_in_the_inventory_s_order_and_silent_ones_are_not_forgotten() -> None:
    report = _report('{"hosts": ["b", "a", "c"]}', *(json.dumps(_told("ok") | {"host": host}) for host in ("a", "b")))
    assert [it.host for it in report.all_results] == ["b", "a", "c"]
    assert report.all_results[2] == HostResult("c", UNREACHABLE, "there was no result from it")


def test_ansible_s_own_warnings_and_errors_are_put_together_from_their_lines() -> None:
    report = _report("[WARNING]: Could not match supplied", "host pattern: web9", "[ERROR]: It is", "no use", "{broken")
    assert (report.warnings, report.error) == (["Could not match supplied host pattern: web9"], "It is no use {broken")
    assert _report("ERROR! It is no use").error == "It is no use"


@pytest.mark.parametrize("line", ['{"a": 1}', "{", "[1]", '{"host": "a"}', "PLAY [x] ***"])
def test_what_is_not_the_callback_s_is_no_outcome(line: str) -> None:
    report = _report(line)
    assert (report.results, report.hosts) == ({}, [])


def test_in_the_table_what_needs_a_look_stands_last() -> None:
    report = trust_hosts.report(
        [HostResult("a", REFUSED, "x"), HostResult("b", "changed"), HostResult("c", UNREACHABLE, "y")]
    )
    assert report.table
    assert report.table.rows == [("b", "changed", "", ""), ("a", REFUSED, "", "x"), ("c", UNREACHABLE, "", "y")]
    assert all(report.table.columns)


def test_hosts_that_are_not_fine_end_it_with_1_and_the_way_to_go_on_with_them_alone() -> None:
    assert trust_hosts.report((HostResult("a", "changed"), HostResult("b", "already trusted"))).failure is None
    mixed = (HostResult("a", REFUSED), HostResult("b", "changed"), HostResult("c c", UNREACHABLE))
    failure = trust_hosts.report(mixed).failure
    assert failure
    assert failure.message.startswith("2 of 3 hosts")
    assert (failure.code, failure.cure.endswith("--limit 'a,c c'")) == (1, True)
