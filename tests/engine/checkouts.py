"""Checkouts of this project in folders of a test's own: of an earlier commit, brought up to date, moved."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.history import ROOT, archive

if TYPE_CHECKING:
    from pathlib import Path

CODE = ("trusted_registry", "templates", "tasks.py", "invoke.yaml", "pyproject.toml")


def earlier(folder: Path) -> Path:
    """Return a checkout of the version before ids."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive(), check=True)
    return folder


def brought_up_to_date(folder: Path) -> Path:
    """Return a checkout with the code of today, as after a git pull."""
    for name in CODE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, path)
    return folder
