"""Programs that stand in for real ones on PATH."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def put(name: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script first on PATH under a program's name, and return the folder that it is in."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    path = programs / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    if str(programs) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return programs


def real(name: str) -> str:
    """Return where the real program is; it must be installed."""
    found = shutil.which(name)
    assert found
    return found


def need(**packages: str) -> None:
    """Skip a test, and say so, where a program is not installed: by its name, the package that has it."""
    for name, package in packages.items():
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed: apt install {package}")
