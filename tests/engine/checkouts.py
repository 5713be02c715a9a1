"""Checkouts of this project in folders of a test's own: of an earlier commit, brought up to date, moved."""

from __future__ import annotations

import io
import shutil
import tarfile
from typing import TYPE_CHECKING

from tests.history import ROOT, archive

if TYPE_CHECKING:
    from pathlib import Path

CODE = ("trusted_registry", "templates", "tasks.py", "invoke.yaml", "pyproject.toml")


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
