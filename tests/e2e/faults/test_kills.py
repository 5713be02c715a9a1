"""A task is killed at each of many points, and the next `up` puts everything right: no key lost, no store half-written.

A trial runs whole on its host (trial.py); Python itself says there what the task is about to do (killer.py).
"""

from __future__ import annotations

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.checkout import HOME
from tests.e2e.report import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

TRIALS = {"up": 80, "cert": 32, "cert.renew": 36, "trust.linux": 50, "trust.remove": 36}
"""How many of a task's points are tried, spread evenly; all of them where it has fewer."""

MOST = 0.9
"""Of the trials, those that must have ended in a kill: a run may come to fewer points than the one that was counted."""

BY_TIME = {"up": (0.2, 1.6), "trust.linux": (0.2, 0.9)}
"""Tasks killed with all that they started when so many seconds are over, run by an ordinary user: root writes there."""

TIMES = 6
"""Trials of each of those."""

TABLE = "faults-kills.json"
"""What a table can be made of, in the folder of reports."""

PYTHON = f"{HOME}/.venv/bin/python"
PLACE = "import site; print(site.getsitepackages()[0])"
"""Asks the tasks' own environment for its packages: `./inv` is isolated, and hears of no PYTHONPATH."""


@dataclass
class Row:
    """What became of one task: points that it has, trials, those in which it was killed, and what was lost."""

    points: int
    trials: int = 0
    killed: int = 0
    losses: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the row as a line."""
        noted = "".join(f"; {count} times {note}" for note, count in self.notes.items())
        points = f"{self.points} points, " if self.points else ""
        return f"{points}{self.trials} trials, {self.killed} killed, {len(self.losses)} losses{noted}"

    def add(self, report: dict[str, Any], point: str) -> None:
        """Take a trial's report in."""
        self.trials += 1
        self.killed += report["killed"]
        self.losses += [f"at {report['at']} ({point}): {loss}" for loss in report["losses"]]
        for note in report["notes"]:
            self.notes[note] = self.notes.get(note, 0) + 1


@pytest.fixture(scope="module")
def table(run: Run) -> Iterator[dict[str, Row]]:
    """The rows of this module, for the summary and for whoever makes a table of them."""
    rows: dict[str, Row] = {}
    yield rows
    run.notes += [f"killed in {task}: {row}" for task, row in rows.items()]
    total = Row(0, sum(row.trials for row in rows.values()), sum(row.killed for row in rows.values()))
    total.losses = [loss for row in rows.values() for loss in row.losses]
    run.notes.append(f"killed in all: {total}")
    FOLDER.mkdir(exist_ok=True)
    said = {"suite": run.suite.name, "tasks": {task: vars(row) for task, row in rows.items()}}
    (FOLDER / TABLE).write_text(f"{json.dumps(said, indent=2)}\n")


def arm(hosts: list[Host]) -> None:
    """Have every Python of hosts load the killer, which ends a task at the point that it is told."""
    for host in hosts:
        place = host.does(PYTHON, "-c", PLACE).out.strip()
        host.does("install", f"{HOME}/tests/e2e/faults/killer.py", f"{place}/killer.py")
        host.write(f"{place}/killer.pth", "import killer\n")


@pytest.fixture(scope="module")
def hosts(lab: Lab, suite: Suite) -> Iterator[list[Host]]:
    """Two hosts, on which trials run side by side."""
    found = lab.start({"kills-1": suite.name, "kills-2": suite.name})
    arm(found)
    yield found
    lab.stop([host.name for host in found])


@pytest.fixture(scope="module")
def points(hosts: list[Host]) -> dict[str, list[str]]:
    """The points of each task, as one run of each on a host comes to them."""
    with ThreadPoolExecutor() as both:
        return next(iter(list(both.map(lambda host: _tried(host, "prepare", "root"), hosts))))


def _tried(host: Host, *words: str) -> dict[str, Any]:
    ended = host.does(PYTHON, "-m", "tests.e2e.faults.trial", *words, env=host.settings)
    said: dict[str, Any] = json.loads(ended.out)
    return said


def _all_tried(hosts: list[Host], calls: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """Make trials on all hosts side by side, one after the other on each, and return their reports in order."""
    workers = [ThreadPoolExecutor(max_workers=1) for _ in hosts]
    try:
        places = itertools.cycle(zip(workers, hosts, strict=True))
        begun = [worker.submit(_tried, host, *call) for (worker, host), call in zip(places, calls, strict=False)]
        return [trial.result() for trial in begun]
    finally:
        for worker in workers:  # after Ctrl-C, only what runs now comes to its end
            worker.shutdown(cancel_futures=True)


def _spread(points: int, trials: int) -> list[int]:
    """Return so many numbers of points, evenly spread from the first to the last; all of them where there are fewer."""
    if points <= trials:
        return list(range(1, points + 1))
    return [1 + round(at * (points - 1) / (trials - 1)) for at in range(trials)]


@pytest.mark.parametrize("task", TRIALS)
def test_a_task_killed_at_any_point_loses_nothing_and_the_next_up_succeeds(
    task: str, hosts: list[Host], points: dict[str, list[str]], table: dict[str, Row]
) -> None:
    of_task = points[task]
    assert of_task, "nobody counted"
    chosen = _spread(len(of_task), TRIALS[task])
    row = table.setdefault(task, Row(len(of_task)))
    for at, report in zip(chosen, _all_tried(hosts, [(task, "root", str(at), "60") for at in chosen]), strict=True):
        row.add(report, of_task[at - 1])
    assert row.losses == []
    assert row.killed >= MOST * len(chosen), "a task that ends before it is killed proves nothing"


def test_a_task_of_a_user_killed_at_any_moment_loses_nothing_and_the_next_up_succeeds(
    hosts: list[Host], table: dict[str, Row]
) -> None:
    with ThreadPoolExecutor() as both:
        list(both.map(lambda host: _tried(host, "prepare", "dev"), hosts))
    moments = random.Random(5)  # noqa: S311 - the same ones in every run
    for task, (first, last) in BY_TIME.items():
        row = table.setdefault(f"{task} by a user with sudo", Row(0))
        calls = [(task, "dev", "0", f"{moments.uniform(first, last):.3f}") for _ in range(TIMES)]
        for call, report in zip(calls, _all_tried(hosts, calls), strict=True):
            row.add(report, f"after {call[-1]} s")
        assert row.losses == []
        assert row.killed, "none of these moments was within the task"
