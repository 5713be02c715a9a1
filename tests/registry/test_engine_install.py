"""An engine that was killed leaves its process's number behind, and the next one must not stumble over it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trusted_registry.engine import install as engine_install

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["dockerd", "containerd"])
def program(request: pytest.FixtureRequest) -> str:
    """Each program that an engine consists of."""
    return str(request.param)


@pytest.fixture
def pid_file(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in place of the engine's own."""
    path = tmp_path / "number.pid"
    monkeypatch.setattr(engine_install, "PID_FILES", {path: program})
    return path


def test_a_number_that_another_program_has_by_now_is_stale(pid_file: Path) -> None:
    pid_file.write_text(f"{os.getpid()}\n")
    assert engine_install._stale_pid_files() == [pid_file]


@pytest.mark.process
def test_the_number_of_a_dead_engine_that_nobody_buried_is_stale(pid_file: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    pid_file.write_text(str(dead.pid))
    assert engine_install._stale_pid_files() == [pid_file]
    dead.wait()


@pytest.mark.parametrize("text", ["", "no number", "999999999"])
def test_a_number_that_nobody_has_is_left_to_the_engine(pid_file: Path, text: str) -> None:
    assert engine_install._stale_pid_files() == []
    pid_file.write_text(text)
    assert engine_install._stale_pid_files() == []


@pytest.mark.process
def test_the_number_of_an_engine_that_runs_is_left_alone(pid_file: Path, program: str, tmp_path: Path) -> None:
    sleeper = tmp_path / program
    sleeper.symlink_to("/bin/sleep")
    running = subprocess.Popen([sleeper, "60"])
    pid_file.write_text(str(running.pid))
    try:
        assert engine_install._stale_pid_files() == []
    finally:
        running.kill()
        running.wait()
