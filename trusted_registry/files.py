"""The only module that writes to disk: whole files by rename, pairs of files together or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import locks
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
PRIVATE_FOLDER = 0o700
PUBLIC_FOLDER = 0o755

TOO_MANY = (errno.EMFILE, errno.ENFILE)
MORE_FILES = "Let programs open more files at once: ulimit -n 1024"

_ROOM = 32 * 1024
"""Bytes: more than all that is ever staged."""

_LOCK = ".lock"
_COMMITTED = ".ready"
_STAGING = ".staging-"
_PART = "trusted-registry-"


@dataclass(frozen=True)
class Write:
    """A file to be put in place, with its folders."""

    path: Path
    content: bytes
    mode: int = PUBLIC_FILE


@dataclass(frozen=True)
class Remove:
    """A file to be taken away, and its folder too where that leaves it empty, but never `keep` or what is above it."""

    path: Path
    keep: Path


@contextlib.contextmanager
def explained(path: Path, what: str = "written") -> Iterator[None]:
    """Turn the operating system's refusals into errors that say what to do about this path.

    Args:
        path: What is worked on.
        what: What cannot be done to it: written, read.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise RegistryError(
            f"{path} cannot be a folder: a file stands in its way.", cure=f"Move that file away: mv {path} {path}.old"
        ) from error
    except OSError as error:
        lasting = Path(*(part for part in path.parts if not part.startswith(_STAGING)))
        raise RegistryError(f"{lasting} cannot be {what}: {error.strerror}.", cure=_cure(error, lasting)) from error


def _cure(error: OSError, path: Path) -> str:
    folder = next((it for it in (path, *path.parents) if os.path.isdir(it)), path)  # noqa: PTH112 - is_dir raises where one may not look
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room on the disk: df -h {folder}"
    if error.errno == errno.EROFS:
        return f"The file system is mounted read-only; see which it is: findmnt -T {folder}"
    if error.errno in TOO_MANY:
        return MORE_FILES
    return f"See who owns it, and who you are: ls -ld {path}; id"


def check_room(folder: Path) -> None:
    """Insist that a folder's disk takes a few files more: not every program says when it does not.

    Raises:
        RegistryError: It does not.
    """
    with explained(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))
        file.flush()


def make_folder(path: Path, mode: int = PUBLIC_FOLDER) -> list[Path]:
    """Make a folder and those above it that are missing, and return them, inmost first; one there keeps its mode."""
    with explained(path):
        missing = [path, *path.parents]
        missing = missing[: next(at for at, folder in enumerate(missing) if folder.exists())]
        for folder in reversed(missing):
            _make(folder, mode if folder == path else PUBLIC_FOLDER)
        if not path.is_dir():
            raise NotADirectoryError(path)
    return missing


def _make(folder: Path, mode: int) -> None:
    # The umask would take bits from the mode, and a client could not look in; a run that is killed before a chmod
    # would leave that so for good.
    umask = os.umask(0)
    try:
        folder.mkdir(mode=mode, exist_ok=True)
    finally:
        os.umask(umask)


def write(path: Path, content: bytes, mode: int = PUBLIC_FILE, *, like: Path | None = None) -> None:
    """Put a file in place in one step: whoever looks sees the old one or the new one, whole, with its mode.

    As root, what is put in another user's file's place stays that user's; or it gets the owner of `like`.

    Raises:
        RegistryError: The disk is full, read-only or not ours; what was there before still is.
    """
    made = make_folder(path.parent)
    part = path.parent / f".{path.name}.{_PART}{secrets.token_hex(6)}"
    with explained(path):
        _clear_parts(path.parent)
        try:
            with _written_new(part, content, mode, like=like or path):
                part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another run may have put something there
                for folder in made:
                    folder.rmdir()
            raise


@contextlib.contextmanager
def _written_new(path: Path, content: bytes, mode: int, like: Path | None = None) -> Iterator[None]:
    handle = locks.new_file(path, mode)
    with os.fdopen(handle, "wb") as file:
        if like:
            _keep_owner(handle, like)
        os.fchmod(handle, mode)
        file.write(content)
        file.flush()
        os.fsync(handle)
        yield


def _clear_parts(folder: Path) -> None:
    """Take away what writes that were killed have left in a folder; what is being written now is locked."""
    for part in folder.glob(f".*.{_PART}*"):
        with contextlib.suppress(OSError):
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(handle)


def _keep_owner(handle: int, path: Path) -> None:
    """Give what root is to put in a file's place to whom that file belongs."""
    with contextlib.suppress(FileNotFoundError):
        old = path.lstat()
        if os.geteuid() == 0 and (stat.S_ISREG(old.st_mode) or stat.S_ISDIR(old.st_mode)):
            os.fchown(handle, old.st_uid, old.st_gid)


def remove(path: Path, *, keep: Path) -> None:
    """Take a file away, and the folders that this leaves empty, up to but not including `keep`."""
    with explained(path):
        path.unlink(missing_ok=True)
        _clear_parts(path.parent)
        for folder in path.parents:
            if folder == keep or keep not in folder.parents:
                return
            try:
                folder.rmdir()
            except FileNotFoundError:  # a run that was cut short came to it
                continue
            except OSError:
                return


def carry_out(operations: list[Write | Remove]) -> None:
    """Do what a plan says, in order."""
    for operation in operations:
        if isinstance(operation, Write):
            write(operation.path, operation.content, operation.mode)
        else:
            remove(operation.path, keep=operation.keep)


@contextlib.contextmanager
def locked(folder: Path, *, name: str = _LOCK, patience: float = 60) -> Iterator[None]:
    """Hold a folder for one run; a second one waits up to a minute. Another name is another lock.

    Nothing of it stays in the folder.

    Raises:
        RegistryError: The folder cannot be made, or another run holds it for longer.
    """
    make_folder(folder)
    with explained(folder):
        lock = locks.hold(folder / name, patience)
    try:
        if name == _LOCK:  # who holds another one does not know whether somebody works here
            _recover(folder)
        yield
    finally:
        locks.let_go(lock, folder / name)


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Lend a private folder beside the final one; it is gone afterwards whatever happened."""
    with contextlib.ExitStack() as spare:
        with explained(folder):
            # To empty a folder takes two open files, and at the end this process may have no others left.
            for _ in range(2):
                spare.callback(os.close, os.open(folder, os.O_RDONLY))
            path = folder / f"{_STAGING}{secrets.token_hex(6)}"
            path.mkdir(mode=PRIVATE_FOLDER)
        try:
            yield path
        finally:
            spare.close()
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def temp_folder() -> Iterator[Path]:
    """Lend a private folder for other programs to work in; it is gone afterwards whatever happened.

    Raises:
        RegistryError: The disk for what is temporary is full or read-only.
    """
    with contextlib.ExitStack() as stack:
        with explained(Path("/tmp")):  # noqa: S108 - where that is, unless TMPDIR says otherwise
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=_PART))
        yield Path(folder)


@contextlib.contextmanager
def temp_file(name: str, content: bytes) -> Iterator[Path]:
    """Lend a file of one's own for another program to read, in a folder as of `temp_folder`."""
    with temp_folder() as folder:
        with explained(folder), _written_new(folder / name, content, PRIVATE_FILE):
            pass
        yield folder / name


def install(staged: Path, folder: Path, modes: Mapping[str, int]) -> None:
    """Move all files of a staging folder into `folder`: all of them, even if this run dies half way.

    One rename, of the staging folder itself, decides. A run that is killed before it changed nothing; what a run
    killed after it left undone is finished by the next one that takes the folder's lock.

    Args:
        staged: What `staging` lent, on the same file system; an empty file in it means that the one of that name goes.
        folder: Where the files go.
        modes: Mode by file name; private where none is given.
    """
    with explained(folder):
        for file in staged.iterdir():
            with file.open("rb") as written:
                os.fchmod(written.fileno(), modes.get(file.name, PRIVATE_FILE))
                os.fsync(written.fileno())
        staged.rename(folder / _COMMITTED)
        _recover(folder)


def recover(folder: Path, *, dry: bool = False) -> None:
    """Finish what a run that was killed while it moved files into place had decided, or clear away what it had not.

    Raises:
        RegistryError: There is something to finish, and this is a dry run.
    """
    with explained(folder, "read"):
        unfinished = (folder / _COMMITTED).exists()
        left = any(folder.glob(f"{_STAGING}*"))
    if unfinished and dry:
        raise RegistryError(f"A run was cut short in {folder}.", cure="./inv cert.show finishes what it had decided.")
    if unfinished:
        with locked(folder):
            pass
    elif left and not dry:
        with contextlib.suppress(RegistryError), locked(folder, patience=0):  # not what a run makes at this moment
            pass


def _recover(folder: Path) -> None:
    """Finish what a killed run had decided, and clear away what it had not. The caller holds the lock."""
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
