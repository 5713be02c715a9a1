"""What reaches the disk is whole or absent, and private from the first byte."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import mounted
from tests.disk import mode, snapshot
from tests.files.installed import OLD, contents, put
from tests.marks import by_root
from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def closed_umask() -> Iterator[None]:
    """A umask that leaves others nothing, as program.py sets it for what it starts."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def births(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The mode that each file had in the instant it came to be, by its name on disk then."""
    seen: dict[str, int] = {}
    real = os.open

    def watched(path: str, flags: int, mode: int = 0o777, **rest: int) -> int:
        handle = real(path, flags, mode, **rest)
        if flags & os.O_CREAT:
            seen[Path(path).name] = os.fstat(handle).st_mode & 0o777
        return handle

    monkeypatch.setattr(os, "open", watched)
    return seen


def test_a_written_file_holds_what_was_given(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "b" / "ca.crt", b"text")
    assert (tmp_path / "a" / "b" / "ca.crt").read_bytes() == b"text"


@pytest.mark.usefixtures("open_umask")
def test_a_private_file_is_private_from_the_instant_it_exists(tmp_path: Path, births: dict[str, int]) -> None:
    files.write(tmp_path / "ca.key", b"secret", files.PRIVATE_FILE)
    assert list(births.values()) == [0o600]


@pytest.mark.usefixtures("closed_umask")
def test_a_public_file_is_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    files.write(tmp_path / "ca.crt", b"public")
    assert mode(tmp_path / "ca.crt") == 0o644


@pytest.mark.usefixtures("closed_umask")
def test_every_folder_made_on_the_way_lets_others_look_in_whatever_the_umask(tmp_path: Path) -> None:
    files.write(tmp_path / "docker" / "certs.d" / "192.168.0.12" / "ca.crt", b"public")
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert [mode(path) for path in made] == [0o755, 0o755, 0o755]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    files.write(tmp_path / "mine" / "ca.crt", b"")
    assert mode(tmp_path / "mine") == 0o700


@by_root
def test_what_root_writes_in_a_file_s_place_stays_whose_it_was(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_bytes(b"old")
    os.chown(path, 1234, 1235)
    files.write(path, b"new", 0o640)
    kept = path.stat()
    assert (path.read_bytes(), kept.st_uid, kept.st_gid, mode(path)) == (b"new", 1234, 1235, 0o640)


@by_root
def test_a_link_s_owner_gets_nothing_of_what_root_writes_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.symlink_to(tmp_path / "elsewhere")
    os.chown(path, 1234, 1235, follow_symlinks=False)
    files.write(path, b"new")
    assert (path.lstat().st_uid, path.is_symlink()) == (0, False)


def test_a_file_is_written_beside_its_place_and_then_renamed(tmp_path: Path, births: dict[str, int]) -> None:
    files.write(tmp_path / "ca.crt", b"text")
    assert [name.startswith(".ca.crt.") for name in births] == [True]


def _no_room(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, OLD)
    monkeypatch.setattr(os, "fsync", _no_room)
    with pytest.raises(RegistryError, match="No space left"):
        files.write(tmp_path / "domain.key", b"new key")
    assert contents(tmp_path) == OLD


@pytest.mark.parametrize("interrupted", ["fsync", "fchmod"])
def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(
    interrupted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, OLD)
    monkeypatch.setattr(os, interrupted, _stop)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "domain.key", b"new key")
    assert contents(tmp_path) == OLD


def _stop(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_a_link_in_a_file_s_place_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"another's")
    (tmp_path / "ca.crt").symlink_to(tmp_path / "target")
    files.write(tmp_path / "ca.crt", b"ours")
    assert ((tmp_path / "target").read_bytes(), (tmp_path / "ca.crt").is_symlink()) == (b"another's", False)


@by_root
def test_a_full_disk_is_named_with_a_cure_and_costs_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=16k"):
        put(tmp_path, OLD)
        before = snapshot(tmp_path)
        with pytest.raises(RegistryError, match="No space left") as caught:
            files.write(tmp_path / "domain.key", b"x" * 65536)
        assert (snapshot(tmp_path), caught.value.cure.startswith("Make room")) == (before, True)


def test_a_read_only_folder_is_named_with_a_cure(read_only: Path) -> None:
    with pytest.raises(RegistryError, match=r"cannot be written: (Read-only|Permission)") as caught:
        files.write(read_only / "ca.crt", b"text")
    assert caught.value.cure


def test_a_read_only_folder_cannot_be_locked_and_says_so(read_only: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be written"), files.locked(read_only):
        pytest.fail("it was locked")


@pytest.mark.parametrize("act", [files.make_folder, lambda path: files.write(path / "ca.crt", b"")])
def test_a_file_in_the_folder_s_place_is_named_and_stays(act: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "certs").write_bytes(b"a file")
    with pytest.raises(RegistryError, match="a file stands in its way"):
        act(tmp_path / "certs")
    assert (tmp_path / "certs").read_bytes() == b"a file"


def test_removal_takes_the_file_and_the_folders_that_it_leaves_empty(tmp_path: Path) -> None:
    files.write(tmp_path / "docker" / "certs.d" / "host" / "ca.crt", b"")
    files.remove(tmp_path / "docker" / "certs.d" / "host" / "ca.crt", keep=tmp_path / "docker")
    assert list((tmp_path / "docker").iterdir()) == []


def test_removal_stops_at_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    files.write(tmp_path / "certs.d" / "host" / "ca.crt", b"")
    files.write(tmp_path / "certs.d" / "other" / "ca.crt", b"")
    files.remove(tmp_path / "certs.d" / "host" / "ca.crt", keep=tmp_path)
    assert [path.name for path in (tmp_path / "certs.d").iterdir()] == ["other"]


def test_removal_outside_what_is_kept_takes_no_folder(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "ca.crt", b"")
    files.remove(tmp_path / "a" / "ca.crt", keep=tmp_path / "elsewhere")
    assert (tmp_path / "a").is_dir()


def test_removal_of_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    files.remove(tmp_path / "ca.crt", keep=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_carried_out_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    files.carry_out([Write(path, b"1"), Remove(path, keep=tmp_path), Write(path, b"2", 0o600)])
    assert snapshot(tmp_path) == {"ca.crt": (0o600, b"2")}


@by_root
def test_what_was_made_on_the_way_to_a_write_that_fails_is_taken_away_again(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=16k"):
        (tmp_path / "there").mkdir()
        with pytest.raises(RegistryError, match="No space left"):
            files.write(tmp_path / "there" / "a" / "b" / "ca.crt", b"x" * 65536)
        assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@by_root
def test_the_cure_for_a_full_disk_names_a_folder_that_is_still_there_afterwards(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=16k"):
        with pytest.raises(RegistryError) as caught, files.staging(tmp_path) as staged:
            files.write(staged / "openssl.cnf", b"x" * 65536)
        assert (caught.value.cure, ".staging" in caught.value.message) == (
            f"Make room on the disk: df -h {tmp_path}",
            False,
        )


@by_root
def test_a_disk_without_room_is_told_from_one_with_room_and_nothing_is_left_of_the_asking(tmp_path: Path) -> None:
    files.check_room(tmp_path)
    with mounted(tmp_path, "size=16k"), pytest.raises(RegistryError, match="No space left"):
        files.check_room(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_many_open_files_are_cured_by_allowing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(RegistryError, match="Too many open files") as caught:
        files.write(tmp_path / "ca.crt", b"")
    assert "ulimit -n" in caught.value.cure


def test_what_is_there_is_told_from_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    known = [files.exists(tmp_path / name) for name in ("file", "none", "file/below", "loop")]
    assert known == [True, False, False, False]


def test_what_cannot_be_known_is_not_absent(forbidden: Path) -> None:
    with pytest.raises(PermissionError):
        files.exists(forbidden / "ca.crt")
