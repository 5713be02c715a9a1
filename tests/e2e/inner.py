"""The tests that need no engine, run on a host: as many must pass there as are collected here, and none be skipped."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.checkout import ROOT

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

PYTEST = ("-m", "pytest", "tests", "--quiet", "-p", "no:cacheprovider")


def passes(host: Host, *words: str, seconds: int = 500) -> None:
    """Run tests on a host as root, chosen by words of pytest, and check that all of them passed."""
    wanted = _collected(words)
    argv = ("/opt/tests/bin/python", *PYTEST, *words, "--numprocesses=4")
    done = host.run(*argv, user="root", env={"PYTHONDONTWRITEBYTECODE": "1"}, seconds=seconds)
    assert done.code == 0, f"On {host.name}:\n{done}"
    passed, skipped = _counted("passed", done.out), _counted("skipped", done.out)
    assert (passed, skipped) == (wanted, 0), f"{wanted} were wanted:\n{done}"


def _collected(words: tuple[str, ...]) -> int:
    """Count those tests as they are collected here."""
    argv = [sys.executable, *PYTEST, *words, "--collect-only"]
    printed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return _counted("tests collected", re.sub(r"(\d+)/\d+ tests", r"\1 tests", printed))


def _counted(kind: str, printed: str) -> int:
    found = re.search(rf"(\d+) {kind}", printed)
    return int(found[1]) if found else 0
