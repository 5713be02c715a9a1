"""Images in a file: written beside tar of the same bytes, loaded beside skopeo from the same layout."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from bench import images
from bench.report import Compared, Row
from bench.stand import INV, ROOT, output
from bench.timing import Side, in_turn, megabytes, seconds
from trusted_registry import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.deadline import Pace
    from bench.stand import Stand

IMAGES, LAYER = 8, 256 << 20
"""Images, and bytes of the layer of each."""
_BACKUP = 'echo "a passphrase of the bench" | "$1" registry.backup "$2" --yes'
_SKOPEO = """
for number in $(seq "$1"); do
    skopeo copy --quiet --all --dest-cert-dir "$2" "oci:$3:app:$number" "docker://$4/app:$number" || exit
done
"""


def carried(here: Stand, pace: Pace) -> list[Row]:
    """Time `images.save`, `registry.backup` and `images.load` on two gibibytes."""
    here.clear()
    here.inv("up")
    images.fill(here, _files())
    archive, layout = here.folder / "images.tar", here.folder / "layout"
    store = output(["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", here.name])
    plain = [*program.sudo(), "tar", "--create", "--file", str(here.folder / "store.tar"), "--directory", store, "."]
    made = {
        "save": Side([INV, "images.save", str(archive), "--yes"], here.env, ROOT),
        "backup": Side(["sh", "-c", _BACKUP, "sh", INV, str(here.folder / "backup.tar")], here.env, ROOT),
        "tar": Side(plain, here.env, ROOT),
    }
    written = in_turn(made, pace=pace.share(0.4))
    layout.mkdir()
    output(["tar", "--extract", "--file", str(archive), "--directory", str(layout)])
    authority = here.folder / "authority"
    authority.mkdir()
    shutil.copy(here.certificates / "ca.crt", authority / "ca.crt")
    skopeo = ["sh", "-c", _SKOPEO, "sh", str(IMAGES), str(authority), str(layout), here.registry]
    sides = {
        "load": Side([INV, "images.load", str(archive)], here.env, ROOT, before=lambda: _empty(here, store)),
        "skopeo": Side(skopeo, here.env, ROOT, before=lambda: _empty(here, store)),
    }
    read = in_turn(sides, pace=pace)
    save, backup, tar = (seconds(written[it]) for it in ("save", "backup", "tar"))
    size = f"{IMAGES * LAYER >> 30} GiB"
    memory = max((megabytes(it) for it in (written["save"], written["backup"], read["load"])), key=lambda it: it.high)
    rows = {
        "images.save": (save, "tar --create", tar),
        "registry.backup": (backup, "tar --create", tar),
        "images.load": (seconds(read["load"]), "skopeo copy", seconds(read["skopeo"])),
    }
    compared = [
        Row(f"./inv {task}, {size}", by, "s", ours, theirs, Compared.RATIO, 1.25)
        for task, (ours, by, theirs) in rows.items()
    ]
    return [*compared, Row("these three, peak memory", "", "MB", memory, None, Compared.ALONE, 150)]


def _empty(here: Stand, store: str) -> None:
    """Have the registry be without images, and know of none."""
    output([*program.sudo(), "rm", "-rf", f"{store}/docker"])
    output(["docker", "restart", here.name])
    here.inv("up")


def _files() -> Iterator[tuple[str, bytes]]:
    for number in range(IMAGES):
        config = json.dumps({"os": "linux", "architecture": "amd64", "number": number}).encode()
        yield from images.files_of("app", str(number + 1), config, os.urandom(LAYER))
