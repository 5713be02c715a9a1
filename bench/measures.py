"""What is compared: each function times this project and the other side in turn, and returns rows of the table."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from bench import connections, stand
from bench.report import Compared, Row
from bench.stand import INV, ROOT, Stand
from bench.timing import Side, Spread, in_turn, megabytes, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.deadline import Pace

DOCUMENT = str(ROOT / "bench" / "document.sh")
LISTINGS = 3
"""Times the runs of everything else: starting Invoke takes a tenth of a second, and wavers as much as the rest."""

_KEYS = {"ec:P-256": "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "rsa:4096": "-newkey rsa:4096"}


def listing(here: Stand, pace: Pace) -> list[Row]:
    """Time `inv --list` against bare Invoke with an empty tasks.py, in the same interpreter and through ./inv."""
    empty = here.folder / "empty"
    empty.mkdir(parents=True)
    (empty / "tasks.py").touch()
    invoke = [stand.python(), "-m", "invoke"]
    sides = {
        # It has no tasks to list, says so, and ends with 1.
        "bare": Side([*invoke, "--list"], stand.environment(), empty, statuses=(1,)),
        "python": Side([*invoke, "--search-root", str(ROOT), "--list"], stand.environment(), ROOT),
        "inv": Side([INV, "--list"], stand.environment(), ROOT),
    }
    taken = {name: seconds(found) for name, found in in_turn(sides, pace=pace.times(LISTINGS)).items()}
    bare = ("bare Invoke, empty tasks.py", "s")
    return [
        Row("python -m invoke --list", *bare, taken["python"], taken["bare"], Compared.RATIO, 1.15),
        Row("./inv --list", *bare, taken["inv"], taken["bare"], Compared.RATIO, 1.15),
    ]


def up(here: Stand, image: str, pace: Pace) -> list[Row]:
    """Time `inv up`, from nothing but the image to a push and a pull, against the document's commands for the same."""
    sides = {
        # By its name or id: one that is made of a package is an installation's own, and each run here is a new one.
        "inv": Side([INV, "up"], here.env | {"INVOKE_REGISTRY_IMAGE": image}, ROOT, before=here.clear),
        "document": _document(here, image, "ec:P-256"),
        "document's rsa": _document(here, image, "rsa:4096"),
    }
    taken = in_turn(sides, pace=pace, warm=True)
    ours = seconds(taken["inv"])
    script = "the document's commands as a script"
    return [
        Row("./inv up", f"{script}, P-256", "s", ours, seconds(taken["document"]), Compared.RATIO, 1.4),
        Row("./inv up", f"{script}, rsa:4096", "s", ours, seconds(taken["document's rsa"]), Compared.RATIO),
        Row("./inv up, peak memory", "", "MB", megabytes(taken["inv"]), None, Compared.ALONE, 100),
    ]


def _document(here: Stand, image: str, key: str) -> Side:
    env = stand.environment(
        BENCH_ADDRESS=here.host,
        BENCH_REGISTRY=here.registry,
        BENCH_PORT=str(here.port),
        BENCH_FOLDER=str(here.folder),
        BENCH_CONTAINER=here.name,
        BENCH_VOLUME=here.name,
        BENCH_IMAGE=image,
        BENCH_KEY=_KEYS[key],
    )
    return Side([DOCUMENT], env, ROOT, before=here.clear)


def again(here: Stand, pace: Pace) -> list[Row]:
    """Time the second `inv up`, which has nothing to do, against the bare start-up."""
    here.clear()
    here.inv("up")
    sides = {"up": Side([INV, "up"], here.env, ROOT), "list": Side([INV, "--list"], here.env, ROOT)}
    taken = in_turn(sides, pace=pace)
    return [
        Row(
            "./inv up again, nothing to do",
            "./inv --list",
            "s",
            seconds(taken["up"]),
            seconds(taken["list"]),
            Compared.DIFFERENCE,
            1.0,
        )
    ]


def cert(here: Stand, pace: Pace) -> list[Row]:
    """Time `inv cert` against the very openssl commands that it shows, run by a shell."""
    here.clear()
    script = _raw_commands(here)
    folder = here.certificates

    def emptied() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def without_keys() -> None:
        emptied()
        folder.mkdir()
        shutil.copy(here.folder / "openssl.cnf", folder)

    sides = {
        "inv": Side([INV, "cert"], here.env, ROOT, before=emptied),
        "openssl": Side(["sh", "-eu", str(script)], here.env, ROOT, before=without_keys),
    }
    taken = in_turn(sides, pace=pace)
    ours, theirs = seconds(taken["inv"]), seconds(taken["openssl"])
    return [Row("./inv cert", "the same openssl commands", "s", ours, theirs, Compared.DIFFERENCE, 0.5)]


def _raw_commands(here: Stand) -> Path:
    """Write the commands that `--dry` shows to a script; the configuration they read is kept beside it."""
    here.inv("cert.config")
    shutil.copy(here.certificates / "openssl.cnf", here.folder)
    shown = [line[2:] for line in here.inv("--dry", "cert").splitlines() if line.startswith(("$ openssl ", "$ cat "))]
    script = here.folder / "raw.sh"
    script.write_text("\n".join(shown))
    return script


def trust(here: Stand, pace: Pace) -> list[Row]:
    """Time `inv trust.linux` where every client seems to be installed, on an /etc of its own, against the start-up.

    Anew, it writes for all of them; again, it only looks. No registry runs, so no proof by a pull is in it.
    """
    here.clear()
    here.inv("cert")
    home, disk = here.folder / "home", here.folder / "disk"
    env = {name: value for name, value in here.env.items() if not name.startswith(("XDG_", "DOCKER_CONFIG"))}
    env |= {"HOME": str(home), "XDG_STATE_HOME": str(here.folder / "state")}
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]

    def command(name: str, *task: str) -> list[str]:
        return [*apart, "sh", str(ROOT / "bench" / "everywhere.sh"), str(disk / name), INV, *task]

    def emptied() -> None:
        for folder in (home, disk / "anew", here.folder / "state"):
            shutil.rmtree(folder, ignore_errors=True)
        home.mkdir()
        (disk / "anew").mkdir(parents=True)

    def in_place() -> None:
        emptied()
        stand.output(command("anew", "trust.linux"), env=env)

    sides = {
        "anew": Side(command("anew", "trust.linux"), env, ROOT, before=emptied),
        "again": Side(command("anew", "trust.linux"), env, ROOT, before=in_place),
        "list": Side(command("anew", "--list"), env, ROOT, before=emptied),
    }
    taken = {name: seconds(found) for name, found in in_turn(sides, pace=pace).items()}
    bare = ("./inv --list", "s")
    return [
        Row(f"./inv trust.linux, {said}", *bare, taken[name], taken["list"], Compared.DIFFERENCE, 0.6)
        for name, said in (("anew", "every client, anew"), ("again", "every client, again"))
    ]


def handshakes(stands: Sequence[Stand], pace: Pace) -> list[Row]:
    """Count new TLS connections a second, P-256 against rsa:4096, on two running registries in turn."""
    for one in stands:
        one.clear()
        one.inv("cert", "registry.tls")
        connections.rate(one)
    found: list[list[float]] = [[] for _ in stands]
    took: list[float] = []
    while not pace.enough(took):
        begun = time.monotonic()
        for figures, one in zip(found, stands, strict=True):
            figures.append(connections.rate(one))
        took.append(time.monotonic() - begun)
    small, large = (Spread(tuple(figures)) for figures in found)
    unit = "connections/s"
    return [Row("new TLS connections, P-256", "rsa:4096", unit, small, large, Compared.RATIO, 5, at_least=True)]
