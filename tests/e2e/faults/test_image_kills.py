"""A task that changes or carries images is killed at many points: what stays is pulled, the next run ends its work."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import s3
from tests.e2e.faults.test_kills import MOST, PYTHON, Row, _spread, arm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

    Tmp = pytest.TempPathFactory

CHANGES = {"images.remove": 25, "images.clean": 40, "images.undo": 20, "images.check": 15}
TRIALS = {
    "image_trial": CHANGES,
    "bucket_trial": CHANGES,
    "carry_trial": {"images.save": 20, "images.load": 30, "registry.backup": 20, "registry.restore": 30},
}
"""How many of a task's points are tried, spread evenly, by the module that tries them."""


@dataclass
class Tried:
    """Hosts on which the trials of a module run side by side, and the points of each task."""

    hosts: list[Host]
    module: str
    points: dict[str, list[str]] = field(default_factory=dict)

    def ask(self, host: Host, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a module says on a host."""
        return json.loads(host.does(PYTHON, "-m", f"tests.e2e.faults.{self.module}", *words, env=host.settings).out)

    def some(self, host: Host, task: str, points: list[int]) -> list[tuple[int, dict[str, Any]]]:
        """Return the reports of some trials, by their points."""
        return [(at, self.ask(host, task, str(at))) for at in points]


@pytest.fixture(scope="module")
def tried(lab: Lab, suite: Suite, request: pytest.FixtureRequest, tmp_path_factory: Tmp) -> Iterator[Tried]:
    """Two hosts, with the points of each task as one run of each comes to them."""
    found = Tried(lab.start({"image-kills-1": suite.name, "image-kills-2": suite.name}), request.param)
    started = [host.name for host in found.hosts]
    if found.module == "bucket_trial":
        started += _in_bucket(found.hosts, lab, suite, tmp_path_factory)
    arm(found.hosts)
    with ThreadPoolExecutor() as both:
        found.points = next(iter(list(both.map(lambda host: found.ask(host, "prepare"), found.hosts))))
    yield found
    lab.stop(started)


def _in_bucket(hosts: list[Host], lab: Lab, suite: Suite, tmp_path_factory: Tmp) -> list[str]:
    """Have registries keep their images in a bucket, each under a prefix of its own; return the store's host."""
    (away,) = lab.start({"image-kills-store": suite.name})
    server = s3.start(away, tmp_path_factory.mktemp("store"))
    for host in hosts:
        server.is_told_to(host)
        host.does("./inv", "--version")
        host.does(PYTHON, "-m", "pip", "install", "--quiet", "boto3")
        host.does("./inv", "registry.storage", f"s3://{s3.BUCKET}/{host.name}", *server.flags())
    return [away.name]


@pytest.mark.parametrize(
    ("tried", "task"), [(it, task) for it, tasks in TRIALS.items() for task in tasks], indirect=["tried"]
)
def test_a_task_killed_at_any_point_loses_no_image_and_the_next_run_ends_it(task: str, tried: Tried, run: Run) -> None:
    chosen, row = _spread(len(tried.points[task]), TRIALS[tried.module][task]), Row(len(tried.points[task]))
    with ThreadPoolExecutor() as both:
        shares = [chosen[first :: len(tried.hosts)] for first in range(len(tried.hosts))]
        begun = [both.submit(tried.some, host, task, it) for host, it in zip(tried.hosts, shares, strict=True)]
        for at, report in (it for one in begun for it in one.result()):
            row.add(report, tried.points[task][at - 1])
    run.notes.append(f"killed in {task}: {row}")
    assert row.losses == []
    assert row.killed >= MOST * len(chosen), "a task that ends before it is killed proves nothing"
