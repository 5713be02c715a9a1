"""Checks of this checkout."""

from __future__ import annotations

import sys

from trusted_registry import program
from trusted_registry.console import Console
from trusted_registry.defaults import ROOT
from trusted_registry.engine import membership


def test(console: Console, *, sessions: tuple[str, ...]) -> None:
    """Run nox's sessions, by default those of the test command; exit with their status."""
    # From here: a file of the folder that a person stands in is no module of these.
    nox = ["-I", "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), "--session", *sessions]
    argv = [sys.executable, *(nox if sessions else ["-m", "tests.sessions"])]
    # The tests stand in for shells of their own, whatever this one was begun before.
    code = program.interactive(argv, console, cwd=ROOT, without=membership.ENTERED)
    if code:
        raise SystemExit(code)
