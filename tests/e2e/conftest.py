"""The lab as fixtures: hosts for each scenario, evidence when one fails, nothing left behind.

Scenarios run only where a suite is asked for (`pytest tests/e2e --suite trixie`, as nox does): a plain `pytest` starts
no host.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import alone
from tests.e2e import images, report, s3
from tests.e2e import upstreams as stand_ins
from tests.e2e.lab import Lab
from tests.e2e.messages import Case, Tally
from tests.e2e.outer import clear, connect, snapshot
from tests.e2e.suites import SUITES
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from docker import DockerClient
    from filelock import FileLock

    from tests.e2e.hosts import Host
    from tests.e2e.s3 import Server
    from tests.e2e.suites import Suite
    from tests.e2e.upstreams import Upstreams

LOG = logging.getLogger("lab")

SCENARIO_SECONDS = 600
"""A scenario that has not ended by then hangs; most take a tenth of it at most."""

HERE = Path(__file__).parent


@dataclass
class Run:
    """What one run of the lab knows from its start to its end."""

    suite: Suite
    engine: DockerClient
    lock: FileLock
    before: dict[str, str]
    begun: float = field(default_factory=time.monotonic)
    lab: Lab | None = None
    ended: list[report.Ended] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "the lab of Docker-in-Docker hosts")
    group.addoption("--suite", choices=[*SUITES], help="run the scenarios on hosts of this Debian suite")
    group.addoption("--rebuild", action="store_true", help="make this suite's host image anew, from the base up")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--suite", None):
        # Each step of a host is a line: as it ends for who watches, and in a log with the scenario that fails.
        shown = "log_cli" if sys.__stdout__ and sys.__stdout__.isatty() else "log"
        setattr(config.option, f"{shown}_level", "INFO")
        setattr(config.option, f"{shown}_format", "%(asctime)s %(message)s")
        setattr(config.option, f"{shown}_date_format", "%H:%M:%S")
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        logging.getLogger("docker").setLevel(logging.WARNING)
        logging.getLogger("filelock").setLevel(logging.WARNING)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(HERE)]
    for item in here:
        item.add_marker(pytest.mark.e2e)
        if not item.get_closest_marker("timeout"):  # of the scenario, or of its file
            item.add_marker(pytest.mark.timeout(SCENARIO_SECONDS))
    asked = config.getoption("--suite", None)
    left_out = [it for it in here if not asked or _once(it) not in {"", asked}]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _once(item: pytest.Item) -> str:
    """Return the only suite by which a scenario is run, since it has hosts of all of them anyway; "" for each suite."""
    marker = item.get_closest_marker("once")
    return str(marker.args[0]) if marker else ""


def pytest_sessionstart(session: pytest.Session) -> None:
    wanted = session.config.getoption("--suite", None)
    if wanted is None or session.config.option.collectonly:
        return
    try:
        session.config.stash[RUN] = _prepare(SUITES[wanted], rebuild=session.config.getoption("--rebuild"))
    except LabError as error:
        pytest.exit(str(error), returncode=1)


def _prepare(suite: Suite, *, rebuild: bool) -> Run:
    engine = connect()
    run = Run(suite, engine, alone.wait("lab"), snapshot(engine))
    if rebuild:
        images.make(suite, engine, rebuild=True, say=LOG.info)
    images.make_all([suite], engine, rebuild=False, say=LOG.info)
    return run


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash.get(RUN, None)
    if run is None:
        return
    left = clear(run.engine)
    run.engine.close()
    run.lock.release()
    LOG.info("removed at the end: %s", ", ".join(left) or "nothing, all was removed before")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    made = yield
    run = item.config.stash.get(RUN, None)
    if run is not None and (made.when == "call" or not made.passed):
        run.ended.append(report.Ended(item.name, made.outcome, made.duration))
        if made.failed and run.lab is not None:
            kept = report.keep(run.suite.name, item.name, run.lab.hosts.values())
            made.sections.append(("evidence", f"kept in {kept}"))
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is not None:
        terminalreporter.section(f"the lab on {run.suite.name}: {time.monotonic() - run.begun:.0f} s in all")
        for line in (*report.table(run.ended), *run.notes):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    return pytestconfig.stash[RUN]


@pytest.fixture(scope="session")
def suite(run: Run) -> Suite:
    """The suite under test."""
    return run.suite


@pytest.fixture(scope="session")
def lab(run: Run) -> Iterator[Lab]:
    """The network, and the hosts that scenarios share."""
    run.lab = Lab(run.engine)
    yield run.lab
    run.lab.close()


@pytest.fixture(scope="session")
def tally(run: Run) -> Iterator[Tally]:
    """What messages were heard and cured in this run, for the summary."""
    counted = Tally()
    yield counted
    if counted.heard:
        run.notes.append(str(counted))


@pytest.fixture
def bystander(lab: Lab, suite: Suite) -> Host:
    """A host that trusts nobody, and that every scenario leaves so."""
    return lab.start({"bystander": suite.name})[0]


@pytest.fixture
def pair(lab: Lab, suite: Suite, bystander: Host) -> Iterator[list[Host]]:
    """A registry host and a client, both new for this scenario; what it starts besides is removed with them."""
    yield lab.pair(suite.name)
    lab.stop([name for name in lab.hosts if name != bystander.name])


@pytest.fixture
def registry(pair: list[Host]) -> Host:
    """The host that is to run the registry."""
    return pair[0]


@pytest.fixture
def client(pair: list[Host]) -> Host:
    """The host that is to trust the registry."""
    return pair[1]


@pytest.fixture
def case(registry: Host, client: Host, tally: Tally) -> Case:
    """A registry and a client that nobody has used, for messages and their cures."""
    return Case(registry, client, tally)


@pytest.fixture(scope="module")
def upstreams(lab: Lab, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    """Stand-ins for the registries that mirrors are of, for all of a file; not beside `pair`, which clears."""
    (host,) = lab.start({"upstreams": suite.name})
    yield stand_ins.start(host, (lab.address(), lab.address()), tmp_path_factory.mktemp("company"))
    lab.stop([host.name])


@pytest.fixture
def server(lab: Lab, suite: Suite, registry: Host, tmp_path: Path) -> Server:
    """A server with an empty bucket, for which the registry's machine has the credentials."""
    (host,) = lab.start({"bucket": suite.name})
    made = s3.start(host, tmp_path)
    made.is_told_to(registry)
    return made
