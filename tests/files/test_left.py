"""What a run that was killed leaves beside the files that matter: the next one clears it away, and nothing else."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.disk import mode
from trusted_registry import files

STAGED = ".staging-0123456789ab"


def _stop(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _part(folder: Path, name: str = "ca.crt") -> Path:
    """Leave in a folder what a write that is killed leaves there."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "replace", _stop)
        patch.setattr(Path, "unlink", _stop)
        files.write(folder / name, b"half")
    (part,) = (path for path in folder.iterdir() if path.name.startswith(f".{name}."))
    return part


@pytest.mark.parametrize("name", ["ca.crt", "hosts.toml"])
def test_what_a_killed_write_left_goes_with_the_next_one_in_its_folder(name: str, tmp_path: Path) -> None:
    _part(tmp_path)
    files.write(tmp_path / name, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_killed_write_left_keeps_no_folder_in_place(tmp_path: Path) -> None:
    part = _part(tmp_path / "certs.d" / "host")
    files.remove(part.with_name("ca.crt"), keep=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_another_run_is_writing_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    seen: list[bytes] = []

    def meanwhile(handle: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        files.write(tmp_path / "hosts.toml", b"another's")
        seen.extend(path.read_bytes() for path in tmp_path.glob(".ca.crt.*"))
        real(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    files.write(tmp_path / "ca.crt", b"text")
    assert (seen, _contents(tmp_path)) == ([b"text"], {"ca.crt": b"text", "hosts.toml": b"another's"})


@pytest.mark.parametrize("name", [".ca.crt.0123456789ab", ".ca.crt.swp", "trusted-registry-0123456789abcdef.crt"])
def test_a_file_that_is_no_killed_write_s_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"another's")
    files.write(tmp_path / "ca.crt", b"text")
    assert _contents(tmp_path) == {name: b"another's", "ca.crt": b"text"}


def test_a_folder_lets_others_look_in_from_the_instant_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o077)
    monkeypatch.setattr(os, "chmod", _stop)  # as if the run were killed there
    with contextlib.suppress(KeyboardInterrupt):
        files.make_folder(tmp_path / "certs.d" / "host")
    assert [mode(path) for path in tmp_path.rglob("*")] == [0o755, 0o755]
    assert os.umask(before) == 0o077, "it is put back"


def _stage(folder: Path) -> None:
    (folder / STAGED).mkdir(mode=0o700)
    (folder / STAGED / "domain.key").write_bytes(b"key")


def test_what_a_killed_run_staged_is_gone_after_the_next_look(tmp_path: Path) -> None:
    _stage(tmp_path)
    files.recover(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_stages_now_is_left_to_it(tmp_path: Path) -> None:
    with files.locked(tmp_path), files.staging(tmp_path) as staged:
        begun = time.monotonic()
        files.recover(tmp_path)
        assert staged.is_dir()
        assert time.monotonic() - begun < 10, "whoever only looks does not wait for it"


def test_a_dry_look_leaves_what_a_killed_run_staged(tmp_path: Path) -> None:
    _stage(tmp_path)
    files.recover(tmp_path, dry=True)
    assert [path.name for path in tmp_path.iterdir()] == [STAGED]
