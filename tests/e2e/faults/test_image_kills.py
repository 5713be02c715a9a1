"""A task that changes images is killed at each of many points: what stays is pulled, and the next run ends its work."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.faults.test_kills import MOST, PYTHON, Row, _spread, arm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

TRIALS = {"images.remove": 25, "images.clean": 40, "images.undo": 20, "images.check": 15}
"""How many of a task's points are tried, spread evenly."""


@pytest.fixture(scope="module")
def hosts(lab: Lab, suite: Suite) -> Iterator[list[Host]]:
    """Two hosts, on which trials run side by side."""
    found = lab.start({"image-kills-1": suite.name, "image-kills-2": suite.name})
    arm(found)
    yield found
    lab.stop([host.name for host in found])


def _tried(host: Host, *words: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(host.does(PYTHON, "-m", "tests.e2e.faults.image_trial", *words, env=host.settings).out)


@pytest.fixture(scope="module")
def points(hosts: list[Host]) -> dict[str, list[str]]:
    """The points of each task, as one run of each on a host comes to them."""
    with ThreadPoolExecutor() as both:
        found: dict[str, list[str]] = next(iter(list(both.map(lambda host: _tried(host, "prepare"), hosts))))
    return found


@pytest.mark.parametrize("task", TRIALS)
def test_a_task_killed_at_any_point_loses_no_image_and_the_next_run_ends_it(
    task: str, hosts: list[Host], points: dict[str, list[str]], run: Run
) -> None:
    chosen, row = _spread(len(points[task]), TRIALS[task]), Row(len(points[task]))

    def tried(host: Host, some: list[int]) -> list[tuple[int, dict[str, Any]]]:
        return [(at, _tried(host, task, str(at))) for at in some]

    with ThreadPoolExecutor() as both:
        begun = [both.submit(tried, host, chosen[first :: len(hosts)]) for first, host in enumerate(hosts)]
        for at, report in (it for one in begun for it in one.result()):
            row.add(report, points[task][at - 1])
    run.notes.append(f"killed in {task}: {row}")
    assert row.losses == []
    assert row.killed >= MOST * len(chosen), "a task that ends before it is killed proves nothing"
