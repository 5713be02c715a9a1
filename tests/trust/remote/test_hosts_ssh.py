"""The same with the real ansible-playbook, the real ssh, and real sshds on loopback addresses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.programs import on_host
from tests.trust.remote import kits
from tests.trust.remote.fleets import others_are_fine
from trusted_registry.trust.remote.hosts import REFUSED

if TYPE_CHECKING:
    from tests.trust.remote.fleets import Fleet

pytestmark = [
    pytest.mark.process,
    on_host("sshd", "ssh-keygen", "ssh", "sudo"),
]


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


@pytest.mark.long
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
    assert fleet.console.said == ["1 of 3  one: changed", "2 of 3  two: changed", "3 of 3  three: changed"]


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


@pytest.mark.long
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
    assert others_are_fine(found)
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
