"""One trial, run on a host of the lab as root: a task that carries images is killed, and the next run ends its work.

`prepare` fills the registry, makes the archives that trials read, and says which points each task has; every other
call, `TASK POINT`, is a trial. Each answers with JSON.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import sys
from pathlib import Path

from tests.e2e.faults.image_trial import DATA, Volume, check, client, fill
from tests.e2e.faults.states import CERTS, KEPT, docker, inv, keep, nothing
from tests.e2e.faults.trial import Report, check_keys, serves
from trusted_registry.archives import loading, tar
from trusted_registry.errors import RegistryError

WORDS = "four words that nobody guesses\n"
MADE = Path("/srv/made")
"""Folder of the archives that trials make."""
SAVED, BACKUP = KEPT / "images.tar", KEPT / "backup.tar"
TASKS = {
    "images.save": ("images.save", str(MADE / "file.tar"), "--yes"),
    "images.load": ("images.load", str(SAVED), "--yes"),
    "registry.backup": ("registry.backup", str(MADE / "file.tar"), "--yes"),
    "registry.restore": ("registry.restore", str(BACKUP), "--yes"),
}
ALL = (("app", "1"), ("app", "2"), ("app", "3"), ("app", "same"), ("multi", "1"), ("other", "1"))


class Unseen:
    """Progress that nobody sees."""

    def update(self, part: str, done: int, total: int) -> None:
        """Take note of nothing."""


def digests() -> dict[str, str]:
    """Return the digests of all images that the registry has, by their names."""
    code, said = inv("images.list", "--json")
    if code:
        raise SystemExit(f"the images cannot be listed: {said}")
    return {f"{it['repository']}:{it['tag'] or it['digest']}": it["digest"] for it in json.loads(said)}


def restart(state: str) -> None:
    """Have a registry run that never had other images than those that were kept."""
    Volume().begin(state)
    docker("restart", "registry")
    client()


def is_whole(path: Path) -> bool:
    """Whether an archive holds all that its images need, each content what its digest says."""
    try:
        with tar.opened(path) as archive:
            loading.read(archive)
            loading.check(archive, Unseen())
    except RegistryError:
        return False
    return True


def stand(task: str) -> None:
    """Bring the host into the state that a task begins in."""
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    if task == "registry.restore":
        nothing()
    else:
        if not (CERTS / "ca.crt").exists() or (CERTS / "ca.crt").read_bytes() != (KEPT / "ca.crt").read_bytes():
            raise SystemExit("another registry is here than the one of the archives")
        restart("empty" if task == "images.load" else "filled")


def check_file(report: Report, when: str, *, must: bool) -> None:
    """Insist that the archive that was to be made is whole, or not there."""
    path = MADE / "file.tar"
    report.lost(f"{when}: there is no archive", when=must and not path.exists())
    report.lost(f"{when}: the archive is not whole", when=path.exists() and not is_whole(path))


def trial(task: str, at: int) -> Report:
    """Kill a task at a point, look at what is there, do the same again, and look at what is left."""
    report = Report(task, str(at))
    stand(task)
    code, said = inv(*TASKS[task], more={"KILL_AT": str(at)}, typed=WORDS)
    report.killed = code == -signal.SIGKILL
    report.lost(f"{task} failed by itself ({code}): {said}", when=code not in {0, -signal.SIGKILL})
    check_keys(report)
    if task in {"images.save", "registry.backup"}:
        check_file(report, "after the kill", must=False)
        check(report, "after the kill", ALL)
    elif task == "images.load":
        code, said = inv("images.check")
        report.lost(f"after the kill something is broken: {said}", when="nothing is broken" not in said)
    code, said = inv(*TASKS[task], typed=WORDS)
    report.lost(f"the next run failed ({code}): {said}", when=code != 0)
    if task in {"images.save", "registry.backup"}:
        check_file(report, "after the next run", must=True)
        left = sorted(it.name for it in MADE.iterdir())
        report.lost(f"left behind: {left}", when=left != ["file.tar", "file.tar.index"])
    check_registry(report)
    return report


def check_registry(report: Report) -> None:
    """Insist that the registry is the one of the archives, gives all images, and takes pushes."""
    code, said = inv("up")
    report.lost(f"up failed ({code}): {said}", when=code != 0)
    same = (CERTS / "ca.crt").read_bytes() == (KEPT / "ca.crt").read_bytes()
    report.lost("the authority is another one", when=not same)
    report.lost("the registry does not serve domain.crt", when=not serves())
    check(report, "in the end", ALL)
    wanted = json.loads((KEPT / "digests").read_text())
    report.lost("the digests are others", when=digests() != wanted)
    code, said = inv("images.check")
    report.lost(f"something is broken: {said}", when="nothing is broken" not in said)
    check_keys(report)


def prepare() -> dict[str, list[str]]:
    """Make the archives that trials read, and return the points of each task."""
    KEPT.mkdir(exist_ok=True)
    MADE.mkdir(exist_ok=True)
    keep("pristine")
    if inv("up")[0]:
        raise SystemExit("up fails though nobody kills anything")
    fill()
    Volume().keep("filled")
    shutil.copy2(CERTS / "ca.crt", KEPT / "ca.crt")
    restart("filled")
    (KEPT / "digests").write_text(json.dumps(digests()))
    for task, path in (("images.save", SAVED), ("registry.backup", BACKUP)):
        if inv(task, str(path), typed=WORDS)[0]:
            raise SystemExit(f"{task} fails though nobody kills it")
    for path in DATA.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    Volume().keep("empty")
    points = {}
    for task, words in TASKS.items():
        stand(task)
        listing = KEPT / f"{task}.points"
        code, said = inv(*words, more={"KILL_LIST": str(listing)}, typed=WORDS)
        if code:
            raise SystemExit(f"{task} fails though nobody kills it: {said} {docker('logs', 'registry')}")
        points[task] = listing.read_text().splitlines()
    return points


def main(argv: list[str]) -> int:
    """Answer `prepare`, or `TASK POINT`."""
    found: object = prepare() if argv[0] == "prepare" else dataclasses.asdict(trial(argv[0], int(argv[1])))
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
