"""What goes wrong on one host leaves the others alone; what goes wrong for all says so. Real Ansible, ssh and sshds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.marks import by_root
from tests.programs import on_host
from tests.trust.remote.fleets import ADDRESSES, KIT, STRANGER, Fleet, others_are_fine
from trusted_registry.errors import RegistryError
from trusted_registry.trust.remote.hosts import REFUSED, UNREACHABLE, HostResult

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.process,
    pytest.mark.long,
    on_host("sshd", "ssh-keygen", "ssh", "sudo"),
]


# What goes wrong on one host, and leaves the others alone


def test_a_name_that_nobody_knows_is_unreachable(fleet: Fleet) -> None:
    fleet.has(three="nowhere.invalid")
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (UNREACHABLE, True)
    assert found["three"].reason.startswith("Could not resolve hostname nowhere.invalid")


def test_a_host_where_no_sshd_listens_is_unreachable(fleet: Fleet) -> None:
    fleet.has(three=STRANGER)
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (UNREACHABLE, True)
    assert found["three"].reason.endswith("Connection refused")


def test_a_host_that_takes_the_connection_and_never_answers_is_unreachable_in_time(fleet: Fleet) -> None:
    fleet.has(three=STRANGER)
    begun = time.monotonic()
    with socket.create_server((STRANGER, fleet.farm.port)):
        found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (UNREACHABLE, True)
    assert ("timed out" in found["three"].reason, time.monotonic() - begun < 20) == (True, True), found["three"]


def test_a_host_that_hangs_in_the_middle_is_given_up_in_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_TASK_TIMEOUT", "4")
    (fleet.disk("three") / "hang").touch()
    begun = time.monotonic()
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (REFUSED, True)
    assert time.monotonic() - begun < 30
    assert "4" in found["three"].reason, found["three"]


def test_a_host_that_dies_half_way_is_unreachable_and_whole_the_next_time(fleet: Fleet) -> None:
    (fleet.disk("three") / "die").touch()
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (UNREACHABLE, True), found
    assert "closed" in found["three"].reason.lower(), found["three"]
    assert fleet.states() == {"one": "already trusted", "two": "already trusted", "three": "changed"}


def test_a_host_that_holds_another_s_certificate_refuses_in_the_kit_s_words(fleet: Fleet) -> None:
    (fleet.disk("three") / "foreign").touch()
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (REFUSED, True)
    assert found["three"].reason == f"{fleet.disk('three')} holds another's certificate."


def test_a_host_without_sudo_refuses(fleet: Fleet, tmp_path: Path) -> None:
    stand_in = tmp_path / "sudo"
    stand_in.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    # As root, the real one: it refuses a user who is in no sudoers file.
    exe = stand_in if os.geteuid() else "setpriv --reuid 65534 --regid 65534 --clear-groups sudo"
    fleet.has(three=f"{ADDRESSES[2]} ansible_become=true ansible_become_exe='{exe}'")
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (REFUSED, True)
    assert found["three"].reason.startswith("no root there: "), found["three"]
    assert not (fleet.disk("three") / "runs").exists()


@by_root
def test_with_sudo_the_kit_runs_by_it(fleet: Fleet) -> None:
    fleet.has(three=f"{ADDRESSES[2]} ansible_become=true ansible_become_flags='-H -S -n -E'")
    assert set(fleet.states().values()) == {"changed"}


def test_a_host_whose_key_is_not_known_refuses_and_keeps_refusing(fleet: Fleet) -> None:
    fleet.farm.know(ADDRESSES[:2])
    for _ in range(2):
        found = fleet.trust(limit="three")
        assert found["three"] == HostResult(
            "three", REFUSED, "its host key is not known: ssh to it once, compare, say yes"
        )
    assert not (fleet.disk("three") / "runs").exists()
    fleet.farm.know(ADDRESSES)
    assert fleet.states(limit="three") == {"three": "changed"}


def test_a_host_that_shows_another_key_than_before_refuses(fleet: Fleet) -> None:
    fleet.farm.know(ADDRESSES[2:3], key=" ".join((fleet.farm.folder / "user.pub").read_text().split()[:2]))
    result = fleet.trust(limit="three")["three"]
    assert (result.state, "not the one in known_hosts" in result.reason) == (REFUSED, True)


def test_a_host_that_does_not_let_this_user_in_refuses(fleet: Fleet) -> None:
    fleet.has(three=f"{ADDRESSES[2]} ansible_ssh_private_key_file=/dev/null")
    found = fleet.trust()
    assert (found["three"].state, others_are_fine(found)) == (REFUSED, True)
    assert "Permission denied (publickey)" in found["three"].reason


# What goes wrong for all


def _gives_up(fleet: Fleet, limit: str = "") -> RegistryError:
    with pytest.raises(RegistryError, match="Ansible did nothing: ") as caught:
        fleet.trust(limit=limit)
    assert f"ansible-inventory --inventory={fleet.inventory} --list" in caught.value.cure
    assert not (fleet.disk("one") / "runs").exists()
    return caught.value


def test_an_inventory_that_is_none_is_an_error_with_its_cure(fleet: Fleet) -> None:
    fleet.inventory.write_text("[one\nx=\n")
    assert str(fleet.inventory) in _gives_up(fleet).message


def test_an_inventory_without_hosts_is_an_error(fleet: Fleet) -> None:
    fleet.inventory.write_text("# none yet\n")
    assert "host" in _gives_up(fleet).message


def test_a_limit_that_matches_nothing_is_an_error_and_one_that_half_does_a_warning(fleet: Fleet) -> None:
    assert "--limit" in _gives_up(fleet, limit="nobody").message
    assert fleet.states(limit="one,nobody") == {"one": "changed"}
    assert "nobody" in fleet.console.warned[-1]


RUN = """
import sys
from pathlib import Path
from trusted_registry.tasks import trust_hosts
from trusted_registry.terminal import Terminal
from trusted_registry.trust.remote.hosts import HostOptions
trust_hosts.run_script("kit.sh", Path(sys.argv[2]).read_bytes(), Terminal(), HostOptions(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_leaves_no_ansible_and_no_ssh_behind(
    fleet: Fleet, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "kit.sh").write_text(KIT)
    for name in fleet.names:
        (fleet.disk(name) / "hang").touch()
    argv = [sys.executable, "-c", RUN, str(fleet.inventory), str(tmp_path / "kit.sh")]
    with subprocess.Popen(
        argv, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _await(lambda: all((fleet.disk(name) / "runs").exists() for name in fleet.names))
        os.killpg(process.pid, number)
        process.wait(20)
    _await(lambda: _running(str(fleet.inventory)) + _running(f"UserKnownHostsFile={fleet.farm.folder}") == [])


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _running(words: str) -> list[str]:
    """Return the processes with these words in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line:
            found.append(line)
    return found
