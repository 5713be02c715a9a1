"""The kit alone: what a machine without Python spends on it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench import stand
from bench.report import Compared, Row
from bench.timing import Side, in_turn, seconds

if TYPE_CHECKING:
    from bench.deadline import Pace
    from bench.stand import Stand

_PROGRAMS = ("podman", "containerd", "nerdctl")
_FOLDERS = ("var/lib/docker", "etc/docker", "etc/containerd/certs.d")
_AT_MOST = 0.3


def alone(here: Stand, pace: Pace) -> list[Row]:
    """Time the kit on a disk with Docker, podman and containerd, when it writes and when there is nothing to do."""
    here.clear()
    here.inv("cert")
    here.inv("trust.kit", "--out", str(here.folder))
    (script,) = here.folder.glob("trust-*.sh")
    disk = here.folder / "disk"
    command = ["sh", str(script), "--root", str(disk)]

    def furnished() -> None:
        shutil.rmtree(disk, ignore_errors=True)
        for folder in (*_FOLDERS, "usr/bin"):
            (disk / folder).mkdir(parents=True)
        for name in _PROGRAMS:
            (disk / "usr/bin" / name).touch(0o755)

    def trusting() -> None:
        furnished()
        stand.output(command)

    sides = {
        "anew": Side(command, stand.environment(), here.folder, before=furnished),
        "again": Side(command, stand.environment(), here.folder, before=trusting),
    }
    taken = {name: seconds(found) for name, found in in_turn(sides, pace=pace).items()}
    what = "the kit alone: Docker, podman, containerd"
    return [
        Row(what, "", "s", taken["anew"], None, Compared.ALONE, _AT_MOST),
        Row(f"{what}, nothing to do", "", "s", taken["again"], None, Compared.ALONE, _AT_MOST),
    ]
