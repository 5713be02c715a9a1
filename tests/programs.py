"""Programs that tests start: which of them take a host of the lab, and stand-ins for real ones."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import packages

if TYPE_CHECKING:
    from pathlib import Path


def on_host(*programs: str) -> pytest.MarkDecorator:
    """Mark a test, or one parameter of a test, as one for a host of the lab: a fresh machine lacks these programs."""
    known = {program for names in packages.ON_HOST.values() for program in names.split()}
    assert known.issuperset(programs), f"not of tests/packages.py: {sorted({*programs} - known)}"
    return pytest.mark.on_host(*programs)


def put(name: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script first on PATH under a program's name, and return the folder that has it."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    path = programs / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    if str(programs) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return programs


def real(name: str) -> str:
    """Return the path of a real program."""
    found = shutil.which(name)
    assert found, f"tests/packages.py has no {name}"
    return found
