"""The tests that take a program which a fresh machine lacks, on a machine that has them all: a host of the lab."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.checkout import ROOT

if TYPE_CHECKING:
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

PYTEST = ("-m", "pytest", "tests", "--on-host", "--quiet", "-p", "no:cacheprovider")


def test_every_test_that_takes_a_program_of_a_host_passes_on_one(lab: Lab, suite: Suite) -> None:
    (host,) = lab.start({"tester": suite.name})
    wanted = _collected()
    done = host.run("/opt/tests/bin/python", *PYTEST, "--numprocesses=2", user="root", seconds=500)
    assert done.code == 0, f"On a host of {suite.name}:\n{done}"
    assert (_counted("passed", done.out), _counted("skipped", done.out)) == (wanted, 0), (
        f"{wanted} were wanted:\n{done}"
    )
    lab.stop(["tester"])


def _collected() -> int:
    """Count those tests as they are collected here."""
    argv = [sys.executable, *PYTEST, "--collect-only"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return _counted("tests collected", re.sub(r"(\d+)/\d+ tests", r"\1 tests", said))


def _counted(what: str, said: str) -> int:
    found = re.search(rf"(\d+) {what}", said)
    return int(found[1]) if found else 0
