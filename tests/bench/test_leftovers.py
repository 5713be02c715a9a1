"""What a killed bench left: noted before it was made, taken away, and looked for afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from bench import journal, leftovers, processes
from bench.journal import Entry
from bench.namespace import Etc
from bench.timing import BenchError
from tests.disk import mode
from trusted_registry import program

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = "192.0.2.1:8943"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Etc:
    """An /etc that is not this machine's, and no programs."""
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    (tmp_path / "etc").mkdir()
    return Etc(tmp_path / "etc")


def _entry(tmp_path: Path, *made: str, engine: bool = False) -> Entry:
    return Entry(str(tmp_path / "bench"), [REGISTRY], list(made), engine, [])


def _trusted(etc: Etc, registry: str) -> Path:
    folder = etc.certs_d / registry
    folder.mkdir(parents=True)
    (folder / "ca.crt").touch()
    return folder


def test_the_journal_is_its_owner_s_alone_and_goes_when_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "state" / "bench" / "journal.json"
    assert journal.read(file) is None
    entry = _entry(tmp_path, "/etc/docker", str(tmp_path / "state"))
    journal.note(file, entry)
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert journal.read(file) == entry
    journal.forget(file, entry)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"folder": "/etc"}', '{"others": 1}'])
def test_a_journal_that_no_bench_wrote_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "journal.json"
    file.write_text(content)
    with pytest.raises(BenchError, match=str(file)):
        journal.read(file)


def test_trust_and_folders_go_that_the_bench_made(tmp_path: Path, etc: Etc) -> None:
    _trusted(etc, REGISTRY)
    (tmp_path / "bench" / "p256").mkdir(parents=True)
    assert leftovers.take_away(_entry(tmp_path, "/etc/docker/certs.d", "/etc/docker"), etc) == []
    assert list(etc.folder.iterdir()) == []
    assert not (tmp_path / "bench").exists()


def test_another_registry_s_trust_stays_and_the_folder_that_holds_it(tmp_path: Path, etc: Etc) -> None:
    _trusted(etc, REGISTRY)
    other = _trusted(etc, "192.0.2.1:443")
    assert leftovers.take_away(_entry(tmp_path, "/etc/docker/certs.d", "/etc/docker"), etc) == []
    assert list(etc.certs_d.iterdir()) == [other]


def test_a_folder_that_was_there_before_stays_empty(tmp_path: Path, etc: Etc) -> None:
    _trusted(etc, REGISTRY)
    assert leftovers.take_away(_entry(tmp_path), etc) == []
    assert list(etc.certs_d.iterdir()) == []


def test_what_is_still_there_is_named_and_the_rest_is_taken_away_all_the_same(
    tmp_path: Path, etc: Etc, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = _trusted(etc, REGISTRY)
    (tmp_path / "bench").mkdir()
    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda at, **how: None if at == stuck else real(at, **how))
    monkeypatch.setattr(leftovers, "quietly", lambda _argv: None)
    monkeypatch.setattr(program, "sudo", list)
    assert leftovers.take_away(_entry(tmp_path), etc) == [f"/etc/docker/certs.d/{REGISTRY}"]
    assert not (tmp_path / "bench").exists()


@pytest.mark.process
def test_an_engine_that_does_not_answer_is_not_said_to_be_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text("#!/bin/sh\nexit 1\n")
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (left,) = leftovers.take_away(_entry(tmp_path, engine=True), Etc(tmp_path / "etc"))
    assert "does not answer" in left
    assert leftovers.take_away(_entry(tmp_path), Etc(tmp_path / "etc")) == []


@pytest.mark.process
def test_only_processes_of_that_run_are_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print(flush=True); import time; time.sleep(300)"]
    ours, others = (
        subprocess.Popen(argv, env={**os.environ, processes.MARK: str(tmp_path / name)}, stdout=subprocess.PIPE)
        for name in ("bench", "other")
    )
    with ours, others:
        try:
            for process in (ours, others):
                assert process.stdout
                process.stdout.readline()
            assert processes.kill(str(tmp_path / "bench")) == []
            assert not psutil.pid_exists(ours.pid) or ours.wait() < 0
            assert others.poll() is None
        finally:
            ours.kill()
            others.kill()
