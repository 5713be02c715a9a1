"""How long `trust.hosts` takes over many hosts: sshds on loopback addresses, each as a machine of its own to ssh.

The kit only looks (`--check`), since all these hosts are on one disk: this machine's. Every connection is a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from bench.deadline import Pace
from bench.plot import Line, plot
from bench.report import Compared, Row
from bench.stand import INV, ROOT, Stand
from bench.timing import Side, Spread, in_turn, seconds
from tests import sshd
from trusted_registry.trust.remote import hosts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

COUNTS = (10, 50, 200)
FEW, TARGET_COUNT, MANY = COUNTS
FORKS = 25
"""What `trust.hosts` takes by itself."""

_SHARE = 0.5
"""The part of the time for the fifty, one at a time: they take five times as long as anything else here."""

PICTURE = ROOT / "docs" / "hosts.svg"
MODULES = ROOT / "bench" / "hosts-modules.yml"

_ADDRESSES = [f"127.0.{72 + number // 250}.{number % 250 + 2}" for number in range(max(COUNTS))]


def many(here: Stand, pace: Pace, *, picture: bool = False) -> Iterator[Row]:
    """Time `inv trust.hosts` over many hosts, several at a time against one at a time; with more of them, draw it.

    Raises:
        RegistryError: Ansible is not installed.
    """
    ansible = hosts.program()
    here.clear()
    here.inv("cert")
    with _inventories(here.folder / "ssh", COUNTS if picture else (FEW, TARGET_COUNT)) as inventories:
        env = here.env | {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no", "ANSIBLE_HOME": str(here.folder / "ansible")}
        yield _rate(inventories[TARGET_COUNT], env, pace.share(_SHARE))
        yield _modules(here, inventories[FEW], env, ansible, pace)
        if picture:
            curve = []
            for count, inventory in inventories.items():
                curve.append(_curve(count, inventory, env))
                yield curve[-1]
            _draw(curve)


@contextlib.contextmanager
def _inventories(folder: Path, counts: Sequence[int]) -> Iterator[Mapping[int, Path]]:
    """Lend an inventory for each number of hosts, and the hosts."""
    folder.mkdir()
    with sshd.farm(folder, _ADDRESSES[: max(counts)]) as farm:
        yield {
            count: farm.inventory(
                folder / f"{count}.ini", dict.fromkeys(_ADDRESSES[:count], ""), root=os.geteuid() != 0
            )
            for count in counts
        }


def _side(inventory: Path, env: Mapping[str, str], forks: int) -> Side:
    argv = [INV, "trust.hosts", "--inventory", str(inventory), "--check", "--forks", str(forks)]
    return Side(argv, env, ROOT)


def _rate(inventory: Path, env: Mapping[str, str], pace: Pace) -> Row:
    sides = {"many": _side(inventory, env, FORKS), "one": _side(inventory, env, 1)}
    taken = {name: _hosts_a_second(seconds(found)) for name, found in in_turn(sides, pace=pace, warm=False).items()}
    what = f"./inv trust.hosts, {TARGET_COUNT} hosts, {FORKS} at a time"
    many, one = taken["many"], taken["one"]
    return Row(what, "one at a time", "hosts/s", many, one, Compared.RATIO, 1.7, at_least=True)


def _hosts_a_second(taken: Spread) -> Spread:
    return Spread(tuple(TARGET_COUNT / figure for figure in taken.figures))


def _curve(count: int, inventory: Path, env: Mapping[str, str]) -> Row:
    """Time one run of each side: for the picture, where a second more or less is not seen."""
    sides = {"many": _side(inventory, env, FORKS), "one": _side(inventory, env, 1)}
    taken = {name: seconds(found) for name, found in in_turn(sides, pace=Pace(1), warm=False).items()}
    what = f"./inv trust.hosts, {count} hosts, one run"
    return Row(what, "one at a time", "s", taken["many"], taken["one"], Compared.RATIO)


def _modules(here: Stand, inventory: Path, env: Mapping[str, str], ansible: str, pace: Pace) -> Row:
    """Time the same step against one of a copy, a command and a removal, Ansible's own modules, by Python there."""
    here.inv("trust.kit", "--out", str(here.folder / "kit"))
    (kit,) = (here.folder / "kit").glob("*.sh")
    values = json.dumps({"kit": str(kit)})
    argv = [ansible, f"--inventory={inventory}", f"--forks={FORKS}", f"--extra-vars={values}", str(MODULES)]
    sides = {"ours": _side(inventory, env, FORKS), "modules": Side(argv, env, ROOT)}
    taken = {name: seconds(found) for name, found in in_turn(sides, pace=pace, warm=False).items()}
    what = f"./inv trust.hosts, {FEW} hosts, {FORKS} at a time"
    return Row(what, "Ansible's copy, command and file", "s", taken["ours"], taken["modules"], Compared.RATIO)


def _draw(curve: list[Row]) -> None:
    together, alone = [], []
    for count, row in zip(COUNTS, curve, strict=True):
        together.append((count, row.ours.median))
        if row.theirs:
            alone.append((count, row.theirs.median))
    lines = (Line("one at a time", alone), Line(f"{FORKS} at a time", together))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot("trust.hosts: seconds for so many hosts", "hosts", lines))
