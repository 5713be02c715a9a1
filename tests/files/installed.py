"""What tests of installing put into a folder, and what is in it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import files

if TYPE_CHECKING:
    from pathlib import Path


MODES = {"domain.crt": 0o644}
NEW = {"domain.crt": b"new certificate", "domain.key": b"new key"}
OLD = {"domain.crt": b"old certificate", "domain.key": b"old key"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


def put(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def install(folder: Path, contents: dict[str, bytes]) -> None:
    with files.locked(folder), files.staging(folder) as staged:
        put(staged, contents)
        files.install(staged, folder, MODES)
