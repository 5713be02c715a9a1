"""One trial, run on a host of the lab as root: a task that changes images is killed, and what should stay is pulled.

`prepare` fills the registry, keeps the states that trials begin in, and says which points each task has; every other
call, `TASK POINT`, is a trial. Each answers with JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from tests.e2e.faults.states import CERTS, KEPT, docker, inv
from tests.e2e.faults.trial import Report
from tests.images.storages import MadeStorage
from trusted_registry.errors import AnswerError
from trusted_registry.images import history
from trusted_registry.images.listing import TRASH
from trusted_registry.registry import probe, prove
from trusted_registry.registry.api import RegistryClient

DATA = Path("/var/lib/docker/volumes/trusted-registry/_data")
TASKS = {
    "images.remove": ("images.remove", "app:1,multi:1", "--yes"),
    "images.clean": ("images.clean", "--keep", "2", "--untagged", "--now", "--yes"),
    "images.undo": ("images.undo",),
    "images.check": ("images.check", "--fix", "--yes"),
}
STAYS = (("app", "3"), ("app", "same"), ("other", "1"))
GOES = {"images.remove": (("app", "1"), ("multi", "1")), "images.clean": (("app", "1"), ("app", "2"))}


def fill(folder: Path = DATA) -> None:
    """Fill a storage as pushes do, a day ago: tags of one digest, an index, a signature, an image without a tag."""
    made = MadeStorage(folder)
    one = made.image("app", "1", "one")
    made.image("app", "2", "old")
    made.image("app", "2", "two")
    made.signature("app", one, tagged=True)
    made.index("multi", "1", {it: made.image("multi", "", it, architecture=it) for it in ("amd64", "arm64")})
    made.image("other", "1", "other")
    made.image("app", "same", "same")
    made.image("app", "3", "same")
    end = time.monotonic() + 20
    while (made.root / "repositories" / prove.REPOSITORY).exists() and time.monotonic() < end:
        time.sleep(0.1)  # the proof of `up` is cleared beside it
    for path in made.root.rglob("link"):
        made.age(path, 24 if "/3/" not in str(path) and "/same/" not in str(path) else 2)
    # All pulls are known, and there was none.
    (folder / history.FILE).write_text(json.dumps({"since": 1.0, "until": time.time(), "ended": True}))


def damage(folder: Path = DATA) -> None:
    """Empty links that can be written again."""
    made = MadeStorage(folder)
    for link in (
        made.tag_link("app", "3"),
        made.tag_link("other", "1"),
        *made.repository("multi").rglob("revisions/*/*/link"),
    ):
        link.write_bytes(b"")


class Volume:
    """The registry's volume, which is brought into the states that trials begin in."""

    def fill(self) -> None:
        """Fill the storage."""
        fill()

    def damage(self) -> None:
        """Damage the storage."""
        damage()

    def keep(self, state: str) -> None:
        """Keep the storage as it is."""
        shutil.rmtree(KEPT / state, ignore_errors=True)
        shutil.copytree(DATA, KEPT / state)

    def begin(self, state: str) -> None:
        """Have the storage be as it was kept, of a registry that runs and takes pushes."""
        for path in DATA.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(KEPT / state, DATA, dirs_exist_ok=True)

    def records(self) -> list[str]:
        """Return the records of the removals."""
        return [it.read_text() for it in sorted((DATA / TRASH).glob("*/record.json"))]


def client() -> RegistryClient:
    """Return a client of the registry here, which answers."""
    at = probe.Endpoint(socket.gethostbyname(socket.gethostname()), 443)
    found = RegistryClient(at, probe.context(CERTS / "ca.crt"))
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(*probe.NO_ANSWER):
            if found.ping() in probe.READY_STATUSES:
                break
        time.sleep(0.05)
    return found


def is_whole(registry: RegistryClient, repository: str, name: str) -> bool:
    """Pull an image, with all that it needs."""
    try:
        content = json.loads(registry.manifest(repository, name).content)
        if not all(is_whole(registry, repository, it["digest"]) for it in content.get("manifests", ())):
            return False
        for it in [*([content["config"]] if "config" in content else []), *content.get("layers", ())]:
            for _ in registry.blob(repository, it["digest"], it["size"]):
                pass
    except AnswerError:
        return False
    return True


def check(report: Report, when: str, stays: tuple[tuple[str, str], ...]) -> None:
    """Insist that images can be pulled."""
    registry = client()
    for repository, name in stays:
        report.lost(f"{when}: {repository}:{name} cannot be pulled", when=not is_whole(registry, repository, name))


def trial(task: str, at: int, storage: Volume) -> Report:
    """Kill a task at a point, pull what stays, do the same again, and look at what is left."""
    report = Report(task, str(at))
    storage.begin("removed" if task == "images.undo" else "damaged" if task == "images.check" else "filled")
    code, said = inv(*TASKS[task], more={"KILL_AT": str(at)})
    report.killed = code == -signal.SIGKILL
    report.lost(f"{task} failed by itself ({code}): {said}", when=code not in {0, -signal.SIGKILL})
    check(report, "after the kill", STAYS if task != "images.check" else (("app", "same"),))
    code, said = inv(*TASKS[task])
    ended = code == 0 or "There is no app:1 here" in said or "nothing to bring back" in said
    report.lost(f"the next run failed ({code}): {said}", when=not ended)
    check(report, "after the next run", STAYS)
    registry = client()
    report.lost("the registry takes no pushes", when=registry.is_read_only("app"))
    for repository, name in GOES.get(task, ()):
        report.lost(f"{repository}:{name} did not go", when=is_whole(registry, repository, name))
    wanted = {"images.remove": ["removed"]}.get(task, [])
    states = [json.loads(it)["state"] for it in storage.records()]
    report.lost(f"half a state is left: {states}", when=states != wanted)
    if task == "images.remove":
        code, said = inv("images.undo")
        report.lost(f"nothing came back ({code}): {said}", when=code != 0)
    if task in {"images.remove", "images.undo"}:
        check(report, "after the undo", (("app", "1"), ("multi", "1")))
    code, said = inv("images.check")
    report.lost(f"something is broken: {said}", when="nothing is broken" not in said)
    return report


def prepare(storage: Volume) -> dict[str, list[str]]:
    """Keep the states that trials begin in, and return the points of each task."""
    KEPT.mkdir(exist_ok=True)
    code, said = inv("up")
    if code:
        raise SystemExit(f"up fails though nobody kills anything: {said}")
    storage.fill()
    storage.keep("filled")
    points = {}
    for task, words in TASKS.items():
        if task == "images.check":
            storage.begin("filled")
            storage.damage()
            storage.keep("damaged")
        storage.begin("removed" if task == "images.undo" else "damaged" if task == "images.check" else "filled")
        listing = KEPT / f"{task}.points"
        code, said = inv(*words, more={"KILL_LIST": str(listing)})
        if code:
            raise SystemExit(f"{task} fails though nobody kills it: {said} {docker('logs', 'registry')}")
        points[task] = listing.read_text().splitlines()
        if task == "images.remove":
            storage.keep("removed")
    return points


def main(argv: list[str], storage: Volume) -> int:
    """Answer `prepare`, or `TASK POINT`."""
    prepares = argv[0] == "prepare"
    found: object = prepare(storage) if prepares else dataclasses.asdict(trial(argv[0], int(argv[1]), storage))
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Volume()))
