"""Whose modules run: those of Python and of the checkout, and none of the folder that a person stands in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.inv.checkouts import Checkout, assert_ran, hostile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

EMPTY_PART = ":/nowhere"
"""Of a PYTHONPATH, its empty part is the current folder: what `PYTHONPATH=$PYTHONPATH:/nowhere` makes of none."""
PATHS = ["", EMPTY_PART, "."]


@pytest.mark.parametrize(
    "path", [EMPTY_PART, *(pytest.param(path, marks=pytest.mark.long) for path in PATHS if path != EMPTY_PART)]
)
def test_making_the_environment_imports_nothing_from_the_current_folder(
    fresh: Checkout, tmp_path: Path, path: str
) -> None:
    ran = hostile(tmp_path / "theirs")
    done = fresh.inv("--list", cwd=ran.parent, PYTHONPATH=path)
    assert_ran(done, fresh, ["--list"])
    assert not ran.exists()


@pytest.mark.parametrize("path", PATHS)
def test_a_later_run_imports_nothing_from_the_current_folder(made: Checkout, tmp_path: Path, path: str) -> None:
    ran = hostile(tmp_path / "theirs")
    startup = str(ran.parent / "invoke.py")
    assert_ran(made.inv("status", cwd=ran.parent, PYTHONPATH=path, PYTHONSTARTUP=startup), made, ["status"])
    assert not ran.exists()


def test_a_python_that_is_not_isolated_runs_the_modules_of_that_folder(tmp_path: Path) -> None:
    ran = hostile(tmp_path / "theirs")
    subprocess.run([sys.executable, "-c", "import fcntl, venv"], cwd=ran.parent, check=True)
    assert "venv" in ran.read_text()


@pytest.mark.parametrize("path", PATHS)
def test_the_task_test_runs_this_checkout_s_nox_and_no_other(tmp_path: Path, path: str) -> None:
    ran = hostile(tmp_path / "theirs")
    argv = [sys.executable, "-I", "-m", "invoke", "--search-root", str(ROOT), "test", "--sessions", "no-such"]
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(argv, cwd=ran.parent, env=environ, capture_output=True, text=True, check=False)
    assert ("no-such" in done.stderr, ran.exists()) == (True, False)


@pytest.mark.parametrize("cdpath", [".", "..", "/"])
def test_an_exported_cdpath_changes_nothing(made: Checkout, cdpath: str) -> None:
    """With CDPATH, cd prints the folder that it went to: the wrapper took that for a part of its own."""
    parent = made.root.parent
    for argv in (["./check out/inv"], ["sh", "check out/inv"]):
        environ = made.environ(CDPATH=cdpath)
        done = subprocess.run(
            [*argv, "status"], cwd=parent, env=environ, capture_output=True, text=True, check=False, timeout=120
        )
        assert_ran(done, made, ["status"])


def test_every_start_of_python_in_the_wrapper_is_isolated() -> None:
    text = "\n".join(line for line in (ROOT / "inv").read_text().splitlines() if not line.lstrip().startswith("#"))
    shell = re.findall(r'(?m)^ *(?:exec )?"\$(?:python|here/\.venv/bin/python)" (\S+)', text)
    lists = re.findall(r'\[(?:sys\.executable|python), ("[^"]+")', text)
    assert (shell, lists) == (["-I"] * 4, ['"-I"'] * 2)
