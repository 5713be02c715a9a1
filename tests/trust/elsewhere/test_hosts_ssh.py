"""The same with the real ansible-playbook, the real ssh, and real sshds on loopback addresses."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sshd
from tests.conftest import ROOT
from tests.programs import real
from tests.recorder import Recorder
from tests.trust.elsewhere import kits
from trusted_registry.chapters import hosts as chapter
from trusted_registry.errors import RegistryError
from trusted_registry.trust.elsewhere.hosts import REFUSED, UNREACHABLE, Errand, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sshd import Farm

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(platform.system() != "Linux", reason="only Linux has all of 127.0.0.0/8 for loopback"),
]

ADDRESSES = [f"127.0.71.{last}" for last in range(2, 7)]
PROGRAMS = (
    *("bash", "cat", "cut", "dirname", "grep", "mkdir", "mktemp", "mv", "rm", "sed", "sh", "sleep", "stat"),
    *("awk", "base64", "chmod", "cmp", "cp", "head", "id", "ln", "ls", "readlink", "rmdir"),
    *("sha256sum", "sort", "sync", "tail", "touch", "tr", "uname", "wc"),
    *("setpriv", "sudo"),
)
"""All that a session on a host can start: in particular no Python."""
STRANGER = "127.0.71.99"
"""An address at which no sshd listens."""

KIT = r"""
set -eu
at=$(echo "$SSH_CONNECTION" | cut -d' ' -f3)
disk=$DISKS/$at
mkdir -p "$disk"
echo "$0 $*" >> "$disk/runs"
stat -c %a "$0" "$(dirname "$0")" >> "$disk/modes"
if [ -e "$disk/foreign" ]; then
    echo "error: $disk holds another's certificate." >&2
    echo "   do: move it away" >&2
    echo 'trusted-registry: failed'
    exit 1
fi
if [ -e "$disk/hang" ]; then sleep 60; fi
if [ -e "$disk/die" ]; then
    rm "$disk/die"
    process=$PPID
    until grep -q '^Name:.*sshd' /proc/$process/status; do
        process=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$process/status)
    done
    kill -9 $process $$
fi
end() { echo "trusted-registry: $1"; exit 0; }
case " $* " in
    *' --remove '*) if [ -e "$disk/trust" ]; then rm "$disk/trust"; end changed; else end absent; fi ;;
esac
if [ -e "$disk/trust" ]; then end 'already trusted'; fi
case " $* " in *' --dry-run '*) end 'would change' ;; esac
echo trusted > "$disk/trust.part"
mv "$disk/trust.part" "$disk/trust"
end changed
"""
"""What keeps a kit's promises, with a folder of its own for each address: all of them are on one disk here."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("sshd")
    (folder / "tmp").mkdir()
    (folder / "disks").mkdir()
    (folder / "programs").mkdir()
    for name in PROGRAMS:
        (folder / "programs" / name).symlink_to(real(name))
    variables = {"PATH": folder / "programs", "TMPDIR": folder / "tmp", "DISKS": folder / "disks"}
    with sshd.farm(folder, ADDRESSES, {name: str(value) for name, value in variables.items()}) as made:
        yield made


class Fleet:
    """Some of the farm's addresses under names, in an inventory, each with an empty disk."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm = farm
        self.inventory = folder / "hosts.ini"
        self.edge = Recorder()
        self.names: dict[str, str] = {}
        for path in farm.folder.glob("disks/*"):
            shutil.rmtree(path)
        farm.know(ADDRESSES)

    def disk(self, name: str) -> Path:
        """Return the folder that stands for a host's disk."""
        folder = self.farm.folder / "disks" / self.names[name].split()[0]
        folder.mkdir(exist_ok=True)
        return folder

    def has(self, **hosts: str) -> None:
        """Have hosts: addresses by name, further variables behind them."""
        self.names |= hosts
        self.farm.inventory(self.inventory, {name: f"ansible_host={at}" for name, at in self.names.items()})

    def trust(self, kit: bytes = KIT.encode(), **errand: str | bool) -> dict[str, Outcome]:
        """Carry the kit to all of them."""
        wanted = Errand(str(self.inventory), **errand)  # type: ignore[arg-type]
        return {it.host: it for it in chapter.carry("kit.sh", kit, self.edge, wanted)}

    def states(self, kit: bytes = KIT.encode(), **errand: str | bool) -> dict[str, str]:
        """Carry the kit to all of them, and return how it ended, in a word each."""
        return {name: it.state for name, it in self.trust(kit, **errand).items()}


@pytest.fixture
def fleet(farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("ANSIBLE_TIMEOUT", "3")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")  # no connection outlives its test
    made = Fleet(farm, tmp_path)
    made.has(one=ADDRESSES[0], two=ADDRESSES[1], three=ADDRESSES[2])
    return made


# What it does


def test_each_host_is_changed_once_then_found_trusted_then_freed(fleet: Fleet) -> None:
    would, now, again, freed, gone = (
        fleet.states(check=True),
        fleet.states(),
        fleet.states(),
        fleet.states(remove=True),
        fleet.states(remove=True),
    )
    assert [set(states.values()) for states in (would, now, again, freed, gone)] == [
        *({"would change"}, {"changed"}, {"already trusted"}, {"changed"}, {"absent"})
    ]
    assert all(list(states) == ["one", "two", "three"] for states in (would, now, again, freed, gone))


def test_a_check_changes_nothing(fleet: Fleet) -> None:
    fleet.states(check=True, remove=True, system=True)
    assert (fleet.disk("one") / "runs").read_text().split()[1:] == ["--remove", "--system", "--dry-run"]
    fleet.states(check=True)
    assert not (fleet.disk("one") / "trust").exists()


def test_one_connection_a_host_and_nothing_of_the_kit_stays(fleet: Fleet) -> None:
    before = fleet.farm.log.count("Accepted publickey")
    assert set(fleet.states().values()) == {"changed"}
    assert fleet.farm.log.count("Accepted publickey") - before == 3
    assert list((fleet.farm.folder / "tmp").iterdir()) == []


def test_the_kit_is_a_private_file_while_it_runs(fleet: Fleet) -> None:
    fleet.states()
    assert (fleet.disk("one") / "modes").read_text().split() == ["600", "700"]
    assert (fleet.disk("one") / "runs").read_text().startswith(str(fleet.farm.folder / "tmp"))


def test_a_limit_leaves_the_others_alone(fleet: Fleet) -> None:
    assert fleet.states(limit="two,three") == {"two": "changed", "three": "changed"}
    assert not (fleet.disk("one") / "trust").exists()


def test_each_host_is_a_line_as_it_ends(fleet: Fleet) -> None:
    fleet.states(forks="1")
    assert fleet.edge.said == ["1 of 3  one: changed", "2 of 3  two: changed", "3 of 3  three: changed"]


# The kit itself

ON_A_DISK = """
folder=$(dirname "$0")
cat > "$folder/the-kit.sh" <<'THE KIT ENDS HERE'
{kit}THE KIT ENDS HERE
exec sh "$folder/the-kit.sh" --root "$DISKS/$(echo "$SSH_CONNECTION" | cut -d' ' -f3)/a disk" "$@"
"""
"""Runs a kit on the folder that stands for a host's disk."""


def _furnished(fleet: Fleet) -> dict[str, kits.Disk]:
    return {name: kits.Disk(fleet.disk(name)).furnish() for name in fleet.names}


def test_the_kit_itself_is_carried_and_writes_what_the_table_says_on_every_disk(fleet: Fleet) -> None:
    disks = _furnished(fleet)
    before = {name: disk.expected() for name, disk in disks.items()}
    kit = ON_A_DISK.format(kit=disks["one"].script.read_text()).encode()
    would = fleet.trust(kit=kit, check=True)
    assert {it.state for it in would.values()} == {"would change"}, would
    assert not any(path.exists() for expected in before.values() for path in expected)
    found = fleet.trust(kit=kit)
    assert {it.state for it in found.values()} == {"changed"}, found
    for expected in before.values():
        assert {path: path.read_bytes() for path in expected} == expected
    assert "systemctl restart k3s" in found["one"].reason
    assert set(fleet.states(kit=kit).values()) == {"already trusted"}
    assert set(fleet.states(kit=kit, remove=True).values()) == {"changed"}
    assert not any(path.exists() for expected in before.values() for path in expected)


def test_the_kit_s_own_reason_reaches_the_table(fleet: Fleet) -> None:
    disks = _furnished(fleet)
    kit = ON_A_DISK.format(kit=disks["one"].script.read_text())
    foreign = disks["three"].put(f"etc/docker/certs.d/{kits.SPELLINGS[0]}/ca.crt", "another's")
    found = fleet.trust(kit=kit.encode())
    assert (found["three"].state, str(foreign) in found["three"].reason) == (REFUSED, True), found["three"]
    assert _others_are_fine(found)
    changed = fleet.trust(kit=kit.replace("registry.local", "registry.l0cal", 1).encode())
    assert {it.state for it in changed.values()} == {REFUSED}
    assert "something in it was changed" in changed["one"].reason


def test_two_runs_of_the_kit_at_once_both_end_well(fleet: Fleet) -> None:
    disks = _furnished(fleet)
    expected = disks["one"].expected()
    kit = ON_A_DISK.format(kit=disks["one"].script.read_text()).encode()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: fleet.states(kit=kit), range(2))
    assert {*first.values(), *second.values()} <= {"changed", "already trusted"}, (first, second)
    assert {path: path.read_bytes() for path in expected} == expected


# What goes wrong on one host, and leaves the others alone


def _others_are_fine(found: dict[str, Outcome]) -> bool:
    return found["one"].state == found["two"].state == "changed"


def test_a_name_that_nobody_knows_is_unreachable(fleet: Fleet) -> None:
    fleet.has(three="nowhere.invalid")
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (UNREACHABLE, True)
    assert found["three"].reason.startswith("Could not resolve hostname nowhere.invalid")


def test_a_host_where_no_sshd_listens_is_unreachable(fleet: Fleet) -> None:
    fleet.has(three=STRANGER)
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (UNREACHABLE, True)
    assert found["three"].reason.endswith("Connection refused")


def test_a_host_that_takes_the_connection_and_never_answers_is_unreachable_in_time(fleet: Fleet) -> None:
    fleet.has(three=STRANGER)
    begun = time.monotonic()
    with socket.create_server((STRANGER, fleet.farm.port)):
        found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (UNREACHABLE, True)
    assert ("timed out" in found["three"].reason, time.monotonic() - begun < 20) == (True, True), found["three"]


def test_a_host_that_hangs_in_the_middle_is_given_up_in_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_TASK_TIMEOUT", "4")
    (fleet.disk("three") / "hang").touch()
    begun = time.monotonic()
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (REFUSED, True)
    assert time.monotonic() - begun < 30
    assert "4" in found["three"].reason, found["three"]


def test_a_host_that_dies_half_way_is_unreachable_and_whole_the_next_time(fleet: Fleet) -> None:
    (fleet.disk("three") / "die").touch()
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (UNREACHABLE, True), found
    assert "closed" in found["three"].reason.lower(), found["three"]
    assert fleet.states() == {"one": "already trusted", "two": "already trusted", "three": "changed"}


def test_a_host_that_holds_another_s_certificate_refuses_in_the_kit_s_words(fleet: Fleet) -> None:
    (fleet.disk("three") / "foreign").touch()
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (REFUSED, True)
    assert found["three"].reason == f"{fleet.disk('three')} holds another's certificate."


def test_a_host_without_sudo_refuses(fleet: Fleet, tmp_path: Path) -> None:
    stand_in = tmp_path / "sudo"
    stand_in.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    # As root, the real one: it refuses a user who is in no sudoers file.
    exe = stand_in if os.geteuid() else "setpriv --reuid 65534 --regid 65534 --clear-groups sudo"
    fleet.has(three=f"{ADDRESSES[2]} ansible_become=true ansible_become_exe='{exe}'")
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (REFUSED, True)
    assert found["three"].reason.startswith("no root there: "), found["three"]
    assert not (fleet.disk("three") / "runs").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's sudo is sure to ask for no password")
def test_with_sudo_the_kit_runs_by_it(fleet: Fleet) -> None:
    fleet.has(three=f"{ADDRESSES[2]} ansible_become=true ansible_become_flags='-H -S -n -E'")
    assert set(fleet.states().values()) == {"changed"}


def test_a_host_whose_key_is_not_known_refuses_and_keeps_refusing(fleet: Fleet) -> None:
    fleet.farm.know(ADDRESSES[:2])
    for _ in range(2):
        found = fleet.trust(limit="three")
        assert found["three"] == Outcome(
            "three", REFUSED, "its host key is not known: ssh to it once, compare, say yes"
        )
    assert not (fleet.disk("three") / "runs").exists()
    fleet.farm.know(ADDRESSES)
    assert fleet.states(limit="three") == {"three": "changed"}


def test_a_host_that_shows_another_key_than_before_refuses(fleet: Fleet) -> None:
    fleet.farm.know(ADDRESSES[2:3], key=" ".join((fleet.farm.folder / "user.pub").read_text().split()[:2]))
    found = fleet.trust(limit="three")["three"]
    assert (found.state, "not the one in known_hosts" in found.reason) == (REFUSED, True)


def test_a_host_that_does_not_let_this_user_in_refuses(fleet: Fleet) -> None:
    fleet.has(three=f"{ADDRESSES[2]} ansible_ssh_private_key_file=/dev/null")
    found = fleet.trust()
    assert (found["three"].state, _others_are_fine(found)) == (REFUSED, True)
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
    assert "nobody" in fleet.edge.warned[-1]


RUN = """
import sys
from pathlib import Path
from trusted_registry.chapters import hosts
from trusted_registry.terminal import Terminal
from trusted_registry.trust.elsewhere.hosts import Errand
hosts.carry("kit.sh", Path(sys.argv[2]).read_bytes(), Terminal(), Errand(sys.argv[1]))
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
