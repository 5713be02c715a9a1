"""Checkouts of this project in folders of a test's own: of an earlier commit, brought up to date, moved."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BEFORE_IDS = "436f26f"
"""Last commit whose containers, volumes and ledger carry no id of an installation."""
CODE = ("trusted_registry", "templates", "tasks.py", "invoke.yaml", "pyproject.toml")


def archive(commit: str = BEFORE_IDS) -> bytes:
    """Return a commit's files as a tar; without the commit, as in a shallow clone, the test fails and says so."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False)
    if done.returncode:
        pytest.fail(
            f"The commit {commit} is not in this clone, and an installation of it is to be adopted: "
            f"git fetch --unshallow ({done.stderr.decode(errors='replace').strip()})"
        )
    return done.stdout


def earlier(folder: Path) -> Path:
    """Return a checkout of the version before ids."""
    with tarfile.open(fileobj=io.BytesIO(archive())) as tar:
        tar.extractall(folder)  # noqa: S202 - our own commit
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
