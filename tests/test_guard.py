"""A run of the tests finds no program that a fresh machine lacks, and fails for a test that is skipped in silence."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import guard
from tests.packages import FRESH, ON_HOST, link

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.process


def run(*words: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as a session does, and return what it left behind."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environ.pop(name, None)
    with tempfile.TemporaryDirectory() as scratch:
        # In the usual place, its end removes what earlier runs of pytest left there, which may take minutes.
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={scratch}/base", "--quiet"]
        argv += words
        return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)


def alone(folder: Path, body: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one test of its own under the guard."""
    (folder / "test_it.py").write_text(f"import os, shutil, pytest\n\n\ndef test_it():\n    {body}\n")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    on_host\n")
    return run("-p", "tests.guard", "test_it.py", *words, folder=folder, **variables)


def test_a_run_fails_where_a_program_of_the_list_is_taken_out_though_the_machine_has_it() -> None:
    needs_openssl = "tests/certificate/test_make.py::test_auto_takes_openssl_where_it_is_installed"
    assert run(needs_openssl).returncode == 0
    without = run(needs_openssl, "--without", "openssl")
    assert (without.returncode, "1 failed" in without.stdout) == (1, True), without.stdout


def test_a_program_that_somebody_installed_by_hand_is_found_by_no_test(tmp_path: Path) -> None:
    programs = tmp_path / "by-hand"
    programs.mkdir()
    (programs / "handy").write_text("#!/bin/sh\n")
    (programs / "handy").chmod(0o755)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    assert alone(tmp_path, "assert shutil.which('handy') is None", **path).returncode == 0
    assert alone(tmp_path, "assert shutil.which('sh')", **path).returncode == 0


def test_a_test_that_is_skipped_for_a_reason_of_its_own_fails_the_run(tmp_path: Path) -> None:
    done = alone(tmp_path, "pytest.skip('handy is not installed')")
    assert (done.returncode, "skipped: 1, handy is not installed: on no list" in done.stdout) == (1, True), done.stdout


@pytest.mark.parametrize("words", [(), ("--numprocesses=1",)], ids=["alone", "side by side"])
def test_a_test_that_is_skipped_for_a_listed_reason_is_counted(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = alone(tmp_path, "pytest.skip('takes root')", *words)
    assert (done.returncode, "skipped: 1, takes root: files given away" in done.stdout) == (0, True), done.stdout


def test_a_test_for_a_host_of_the_lab_runs_there_alone(tmp_path: Path) -> None:
    body = "pass\n\n\n@pytest.mark.on_host\ndef test_there():\n    pass"
    assert "1 passed, 1 deselected" in alone(tmp_path, body).stdout
    assert "1/2 tests collected" in alone(tmp_path, body, "--on-host", "--collect-only").stdout


def test_a_program_that_this_machine_lacks_is_named_with_its_package(tmp_path: Path) -> None:
    assert link(tmp_path, [{"somebody-s-package": "no-such-program", "dash": "sh"}]) == [
        "somebody-s-package (no-such-program)"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["sh"]


def test_no_program_is_said_to_be_both_on_a_fresh_machine_and_only_on_a_host() -> None:
    fresh, on_host = ({name for names in group.values() for name in names.split()} for group in (FRESH, ON_HOST))
    assert fresh.isdisjoint(on_host)


def test_each_reason_for_a_skip_is_one_that_a_test_gives() -> None:
    said = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "guard.py")
    assert [reason for reason in guard.SKIPS if f'reason="{reason}"' not in said] == []
