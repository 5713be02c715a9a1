"""Keeps a run of the tests honest: no program that a fresh machine lacks, no test that is skipped in silence."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packages import BROWSER, ENGINE, FRESH, ON_HOST, link

if TYPE_CHECKING:
    from collections.abc import Mapping

SKIPS: Mapping[str, str] = {
    "takes root": "files given away, disks mounted: run the tests as root",
    "takes IPv6": "::1, which this machine does not have",
    "takes Linux": "all of 127.0.0.0/8, and the process at the other end of a socket",
}
"""Why a test may be skipped; for any other reason the run fails."""

_PATH = pytest.StashKey[str]()
_FOLDER = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guard", "programs of this machine")
    group.addoption("--on-host", action="store_true", help="run what takes a host of the lab, and nothing else")
    group.addoption("--without", metavar="PROGRAM", help="take a program out of those that tests find")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a runner's stop cleans up as Ctrl-C does
    if hasattr(config, "workerinput"):  # of pytest-xdist: its PATH is the guarded one already
        return
    folder = Path(tempfile.mkdtemp(prefix="programs-"))
    folder.chmod(0o755)  # some tests play another user
    config.stash[_FOLDER], config.stash[_PATH] = folder, os.environ.get("PATH", os.defpath)
    missing = link(folder, _packages(on_host=config.getoption("--on-host")), but=config.getoption("--without"))
    if missing and not config.option.collectonly:
        pytest.exit(f"This machine lacks programs that the tests start: {', '.join(missing)}", returncode=1)
    link(folder, [ENGINE, BROWSER])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), str(folder)])


def _packages(*, on_host: bool) -> list[Mapping[str, str]]:
    """Return the packages whose programs a run may start."""
    return [FRESH, ON_HOST] if on_host else [FRESH]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _FOLDER in config.stash:
        os.environ["PATH"] = config.stash[_PATH]
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = bool(config.getoption("--on-host"))
    others = [item for item in items if (item.get_closest_marker("on_host") is not None) is not wanted]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in set(others)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.exitstatus == pytest.ExitCode.OK and _unlisted(reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted = reasons(terminalreporter)
    for reason, count in sorted(counted.items()):
        said = SKIPS.get(reason, "on no list of reasons (tests/guard.py), so this run has failed")
        terminalreporter.line(f"skipped: {count}, {reason}: {said}", red=reason not in SKIPS)


def reasons(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Count the skipped tests of a run by their reasons."""
    skipped = reporter.stats.get("skipped", [])
    return Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)


def _unlisted(counted: Counter[str]) -> list[str]:
    return [reason for reason in counted if reason not in SKIPS]
