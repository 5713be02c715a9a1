"""Disk writes, all of the project's: one file by rename, several files together or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import locks, owners
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

PRIVATE_FILE, PUBLIC_FILE = 0o600, 0o644
PRIVATE_FOLDER, PUBLIC_FOLDER = 0o700, 0o755

TOO_MANY = (errno.EMFILE, errno.ENFILE)
MORE_FILES = "Let programs open more files at once: ulimit -n 1024"

_ROOM = 32 * 1024
"""Bytes that must be free on the disk; a staging folder holds fewer."""

_LOCK, _COMMITTED = ".lock", ".ready"
_STAGING, _PART = ".staging-", "trusted-registry-"


@dataclass(frozen=True)
class Write:
    """File to write; missing parent folders are made."""

    path: Path
    content: bytes
    mode: int = PUBLIC_FILE


@dataclass(frozen=True)
class Remove:
    """File to remove, with parent folders left empty; `keep` and the folders above stay."""

    path: Path
    keep: Path


@contextlib.contextmanager
def explained(path: Path, what: str = "written") -> Iterator[None]:
    """Turn errors of the operating system about a path into errors with a cure.

    Args:
        path: The file or folder in use.
        what: The refused operation as a participle for the message: written, read.

    Raises:
        RegistryError: The operating system refused the operation.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        cure = f"Move that file away: {pasteable(['mv', path, f'{path}.old'])}"
        raise RegistryError(f"{path} cannot be a folder: a file stands in its way.", cure=cure) from error
    except OSError as error:
        lasting = Path(*(part for part in path.parts if not part.startswith(_STAGING)))
        raise RegistryError(f"{lasting} cannot be {what}: {error.strerror}.", cure=_cure(error, lasting)) from error


def exists(path: Path) -> bool:
    """Return whether something is at a path; OSError if that cannot be known. Since 3.14 `Path.exists` says no then."""
    try:
        path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EBADF}:
            return False
        raise
    return True


def _cure(error: OSError, path: Path) -> str:
    folder = next((it for it in (path, *path.parents) if os.path.isdir(it)), path)  # noqa: PTH112 - is_dir raises in folders without access
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room on the disk: {pasteable(['df', '-h', folder])}"
    if error.errno == errno.EROFS:
        return f"The file system is mounted read-only; see which it is: {pasteable(['findmnt', '-T', folder])}"
    if error.errno in TOO_MANY:
        return MORE_FILES
    return owners.give_back(path) or f"See who owns it, and who you are: {pasteable(['ls', '-ld', path])}; id"


def check_room(folder: Path) -> None:
    """Insist on room for a few more files on a folder's disk; some programs do not report a full one.

    Raises:
        RegistryError: The disk is full, or the folder cannot be written.
    """
    with explained(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))
        file.flush()


def make_folder(path: Path, mode: int = PUBLIC_FOLDER) -> list[Path]:
    """Make a folder and its missing parents; return the new folders, inmost first. Existing ones keep their mode."""
    with explained(path):
        missing = list(itertools.takewhile(lambda folder: not exists(folder), [path, *path.parents]))
        # The umask would clear bits of the mode, and a client could not read the folder; a run that is killed before a
        # chmod would leave the wrong mode for good.
        umask = os.umask(0)
        try:
            for folder in reversed(missing):
                folder.mkdir(mode=mode if folder == path else PUBLIC_FOLDER, exist_ok=True)
                owners.give_folder(folder)
        finally:
            os.umask(umask)
        if not path.is_dir():
            raise NotADirectoryError(path)
    return missing


def close_to_group(folder: Path) -> None:
    """Take from a folder's group the right to write there."""
    with explained(folder):
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IWGRP)


def write(path: Path, content: bytes, mode: int = PUBLIC_FILE, *, like: Path | None = None) -> None:
    """Write a file atomically: readers see the old file or the new one, complete and with its mode.

    A file that root replaces keeps its owner; a new one gets that of its folder, or of `like`.

    Raises:
        RegistryError: The disk is full, read-only or another user's; the old file is unchanged.
    """
    made = make_folder(path.parent)
    part = path.parent / f".{path.name}.{_PART}{secrets.token_hex(6)}"
    with explained(path):
        clear_parts(path.parent)
        try:
            with _written_new(part, content, mode, like or path):
                part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another run may have put something there
                for folder in made:
                    folder.rmdir()
            raise


@contextlib.contextmanager
def _written_new(path: Path, content: bytes, mode: int, like: Path) -> Iterator[None]:
    handle = locks.new_file(path, mode)
    with os.fdopen(handle, "wb") as file:
        owners.give(handle, like)
        os.fchmod(handle, mode)
        file.write(content)
        file.flush()
        os.fsync(handle)
        yield


def clear_parts(folder: Path) -> None:
    """Remove the partial files of killed writes from a folder; files of running writes are locked and stay."""
    for part in folder.glob(f".*.{_PART}*"):
        with contextlib.suppress(OSError):
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(handle)


def remove(path: Path, *, keep: Path) -> None:
    """Remove a file and the parent folders left empty, up to but not including `keep`."""
    with explained(path):
        path.unlink(missing_ok=True)
        clear_parts(path.parent)
        with contextlib.suppress(OSError):  # one that is not empty, and so those above
            for folder in itertools.takewhile(lambda folder: keep in folder.parents, path.parents):
                with contextlib.suppress(FileNotFoundError):  # a run that was cut short removed this one
                    folder.rmdir()


def remove_folder(path: Path) -> None:
    """Remove a folder of this project's own, with all its content."""
    shutil.rmtree(path, ignore_errors=True)


def carry_out(operations: list[Write | Remove]) -> None:
    """Write and remove the files of a plan, in order."""
    for operation in operations:
        if isinstance(operation, Write):
            write(operation.path, operation.content, operation.mode)
        else:
            remove(operation.path, keep=operation.keep)


@contextlib.contextmanager
def locked(folder: Path, *, name: str = _LOCK, patience: float = 60) -> Iterator[None]:
    """Lock a folder for one run; a second run waits for `patience` seconds. Each name is a lock of its own.

    No file of the lock stays in the folder.

    Raises:
        RegistryError: The folder cannot be made, or another run holds the lock for longer.
    """
    make_folder(folder)
    with explained(folder):
        lock = locks.hold(folder / name, patience)
    try:
        if name == _LOCK:  # the holder of another lock does not exclude a run at work
            _recover(folder)
        yield
    finally:
        locks.let_go(lock, folder / name)


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Make a private staging folder inside `folder`; removed at the end, even after an error."""
    with contextlib.ExitStack() as spare:
        with explained(folder):
            # To empty a folder takes two open files, and at the end this process may have no others left.
            for _ in range(2):
                spare.callback(os.close, os.open(folder, os.O_RDONLY))
            path = folder / f"{_STAGING}{secrets.token_hex(6)}"
            path.mkdir(mode=PRIVATE_FOLDER)
            owners.give_folder(path)
        try:
            yield path
        finally:
            spare.close()
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def temp_folder() -> Iterator[Path]:
    """Make a private temporary folder for other programs; removed at the end, even after an error.

    Raises:
        RegistryError: The disk of temporary files is full or read-only.
    """
    with contextlib.ExitStack() as stack:
        with explained(Path("/tmp")):  # noqa: S108 - the default, unless TMPDIR is set
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=_PART))
        yield Path(folder)


@contextlib.contextmanager
def temp_file(name: str, content: bytes) -> Iterator[Path]:
    """Make a private temporary file for another program to read, in a folder from `temp_folder`."""
    with temp_folder() as folder:
        with explained(folder), _written_new(folder / name, content, PRIVATE_FILE, folder):
            pass
        yield folder / name


def install(staged: Path, folder: Path, modes: Mapping[str, int]) -> None:
    """Move all files of a staging folder into `folder`, all or none, even if this run is killed.

    One rename, of the staging folder, commits the moves. A run killed before the rename changes nothing; the moves of
    a run killed after the rename are finished by the next run that locks the folder.

    Args:
        staged: Folder from `staging`, on the same file system; an empty file removes the file of that name.
        folder: Destination of the files.
        modes: Mode by file name; private by default.
    """
    with explained(folder):
        for file in staged.iterdir():
            with file.open("rb") as written:
                owners.give(written.fileno(), folder)
                os.fchmod(written.fileno(), modes.get(file.name, PRIVATE_FILE))
                os.fsync(written.fileno())
        staged.rename(folder / _COMMITTED)
        _recover(folder)


def is_unfinished(folder: Path) -> bool:
    """Whether a run that was killed left moves into a folder that it had decided on."""
    return exists(folder / _COMMITTED)


def recover(folder: Path, *, dry: bool = False) -> None:
    """Finish the committed moves of a killed run, or remove its uncommitted files.

    Raises:
        RegistryError: Committed moves are left to finish, and this is a dry run.
    """
    with explained(folder, "read"):
        unfinished = is_unfinished(folder)
        left = any(folder.glob(f"{_STAGING}*"))
    if unfinished and dry:
        raise RegistryError(f"A run was cut short in {folder}.", cure="./inv cert.show finishes what it had decided.")
    if unfinished:
        with locked(folder):
            pass
    elif left and not dry:
        with contextlib.suppress(RegistryError), locked(folder, patience=0):  # a run at work keeps its files
            pass


def _recover(folder: Path) -> None:
    """Finish committed moves and remove uncommitted files; the caller holds the lock."""
    with explained(folder):
        ready = folder / _COMMITTED
        if ready.is_dir():
            for file in sorted(ready.iterdir()):
                if file.stat().st_size:
                    file.replace(folder / file.name)
                else:
                    (folder / file.name).unlink(missing_ok=True)
                    file.unlink()
            ready.rmdir()
        for left in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
