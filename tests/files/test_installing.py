"""What is installed together is old or new, never both, and one run at a time is in a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
import resource
import time
from pathlib import Path

import pytest

from tests.disk import mode, snapshot
from tests.files.installed import NEW, OLD, contents, install, put
from tests.mine import Killed, Mine
from trusted_registry import files
from trusted_registry.errors import RegistryError


@pytest.mark.usefixtures("open_umask")
def test_a_staging_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    with files.staging(tmp_path) as staged:
        assert mode(staged) == 0o700


def test_a_staging_folder_is_gone_after_a_failure(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), files.staging(tmp_path) as staged:
        put(staged, NEW)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_staging_folder_that_cannot_be_made_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(it.name for it in Path("/dev/fd").iterdir())
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(RegistryError, match="No space left"), files.staging(tmp_path):
        pass
    assert sorted(it.name for it in Path("/dev/fd").iterdir()) == before


def test_a_staging_folder_is_gone_where_no_file_can_be_opened_any_more(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    try:
        with files.staging(tmp_path) as staged:
            put(staged, NEW)
            highest = max(int(it.name) for it in Path("/dev/fd").iterdir())
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
            with contextlib.suppress(OSError):
                opened.extend(os.dup(0) for _ in iter(int, 1))
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("open_umask")
def test_installed_files_have_their_modes_and_are_private_otherwise(tmp_path: Path) -> None:
    install(tmp_path, NEW)
    assert snapshot(tmp_path) == {"domain.crt": (0o644, b"new certificate"), "domain.key": (0o600, b"new key")}


def test_an_empty_file_in_what_is_installed_takes_the_one_of_its_name_away(tmp_path: Path) -> None:
    put(tmp_path, {"ca.key": b"old", **OLD})
    install(tmp_path, {"ca.key": b"", **NEW})
    assert contents(tmp_path) == NEW


BEFORE = {"ca.key": b"old", **OLD}


def _install_without_authority(folder: Path, *, die_at: int) -> int:
    """Install new files over old ones, dying at a step, and return how many steps were begun."""
    put(folder, BEFORE)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        mine = Mine(patch, die_at)
        install(folder, {"ca.key": b"", **NEW})
    return mine.steps


STEPS = 7


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_an_installation_killed_at_any_step_is_whole_or_undone_after_the_next_lock(step: int, tmp_path: Path) -> None:
    _install_without_authority(tmp_path, die_at=step)
    with files.locked(tmp_path):
        assert contents(tmp_path) == (BEFORE if step == 1 else NEW)


def test_an_installation_has_no_more_steps_than_are_killed_above(tmp_path: Path) -> None:
    assert _install_without_authority(tmp_path, die_at=STEPS + 1) == STEPS


def test_an_installation_killed_half_way_leaves_old_and_new_until_the_next_lock(tmp_path: Path) -> None:
    _install_without_authority(tmp_path, die_at=5)
    assert (contents(tmp_path) == NEW, contents(tmp_path) == BEFORE) == (False, False)


def test_what_a_killed_run_staged_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    put(tmp_path / ".staging-dead", NEW)
    with files.locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def _add_one(folder: Path, gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.001)
    for _ in range(20):
        with files.locked(folder):
            before = int((folder / "count").read_text())
            files.write(folder / "count", str(before + 1).encode())


def test_two_processes_never_hold_a_folder_at_once(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_add_one, args=(tmp_path, tmp_path / "gate")) for _ in range(2)]
    for process in both:
        process.start()
    (tmp_path / "gate").touch()
    for process in both:
        process.join(30)
    assert ([process.exitcode for process in both], (tmp_path / "count").read_text()) == ([0, 0], "40")


def test_a_folder_held_for_too_long_is_named_with_who_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(_handle: int, _how: int) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", held)
    with pytest.raises(RegistryError, match="Another run has held") as caught, files.locked(tmp_path, patience=0.2):
        pytest.fail("it was locked")
    assert "fuser" in caught.value.cure


def test_the_lock_is_private_and_let_go_of(tmp_path: Path) -> None:
    with files.locked(tmp_path):
        pass
    with files.locked(tmp_path):
        assert mode(tmp_path / ".lock") == 0o600
