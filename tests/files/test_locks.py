"""Runs that meet in one folder: one waits for the other, and afterwards nothing of their locks is left."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import time
from typing import TYPE_CHECKING

import pytest

from trusted_registry import files
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("name", [".lock", ".up.lock"])
def test_after_a_lock_nothing_of_it_is_left(tmp_path: Path, name: str) -> None:
    with files.locked(tmp_path, name=name):
        assert (tmp_path / name).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_a_killed_run_left_is_taken_over_and_goes(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with files.locked(tmp_path, patience=1):
        pass
    assert list(tmp_path.iterdir()) == []


def test_who_waited_for_a_lock_that_was_taken_away_holds_the_one_that_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it held on a file without a name, a third run would make another one and hold that beside it."""
    real = fcntl.flock
    came: list[int] = []

    def late(handle: int, how: int) -> None:
        real(handle, how)
        if not came:
            (tmp_path / ".lock").unlink()
        came.append(handle)

    monkeypatch.setattr(fcntl, "flock", late)
    with files.locked(tmp_path):
        assert (len(came), (tmp_path / ".lock").exists()) == (2, True)
        with pytest.raises(RegistryError, match="Another run"), files.locked(tmp_path, patience=0):
            pytest.fail("two hold it")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_named(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RegistryError, match="has no locks") as caught, files.locked(tmp_path):
        pytest.fail("it was locked")
    assert f"findmnt -T {tmp_path}" in caught.value.cure


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    holder = SPAWN.Process(target=_hold, args=(tmp_path,))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(RegistryError, match="Another run"), files.locked(tmp_path, patience=0.1):
        pytest.fail("two hold it")
    holder.kill()
    with files.locked(tmp_path, patience=10):
        assert (tmp_path / ".lock").exists()
    holder.join()


def _hold(folder: Path) -> None:
    with files.locked(folder):
        (folder / "held").touch()
        time.sleep(60)


def _count(folder: Path, gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.001)
    for _ in range(40):
        with files.locked(folder):
            before = int((gate.parent / "count").read_text())
            (gate.parent / "count").write_text(str(before + 1))


def test_of_many_runs_that_take_the_lock_away_behind_them_never_two_hold_it(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    gate = tmp_path / "gate"
    runs = [SPAWN.Process(target=_count, args=(tmp_path / "certs", gate)) for _ in range(4)]
    for run in runs:
        run.start()
    gate.touch()
    for run in runs:
        run.join(60)
    assert ([run.exitcode for run in runs], (tmp_path / "count").read_text()) == ([0] * 4, "160")
    assert list(tmp_path.rglob(".lock")) == []


def test_a_write_whose_part_another_run_cleared_away_before_it_was_locked_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    taken: list[int] = []

    def late(handle: int, how: int) -> None:
        if not taken:
            taken.append(handle)
            files.clear_parts(tmp_path)
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    files.write(tmp_path / "ca.crt", b"text")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"ca.crt": b"text"}


def _write(folder: Path, gate: Path, name: str) -> None:
    while not gate.exists():
        time.sleep(0.001)
    for number in range(150):
        files.write(folder / name, str(number).encode())


def test_several_runs_write_into_one_folder_and_none_of_them_fails(tmp_path: Path) -> None:
    gate, folder = tmp_path / "gate", tmp_path / "store"
    folder.mkdir()
    runs = [SPAWN.Process(target=_write, args=(folder, gate, f"{it}.crt")) for it in range(4)]
    for run in runs:
        run.start()
    gate.touch()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0] * 4
    assert {path.name: path.read_text() for path in folder.iterdir()} == {f"{it}.crt": "149" for it in range(4)}
