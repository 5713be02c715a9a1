"""Earlier versions of this project, from the history of the clone that the tests run in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BEFORE_IDS = "436f26f"
"""Last commit whose containers, volumes and ledger carry no id of an installation."""
BEFORE_ROOTS = "8258989"
"""A commit whose clients trust an authority with its key beside it, and no issuer."""


def archive(commit: str = BEFORE_IDS) -> bytes:
    """Return a commit's files as a tar; without the commit, as in a shallow clone, the test fails and says so."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False)
    if done.returncode:
        pytest.fail(
            f"The commit {commit}, of which an installation is to be adopted, is not in this clone: "
            f"git fetch --unshallow ({done.stderr.decode(errors='replace').strip()})"
        )
    return done.stdout
