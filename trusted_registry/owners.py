"""Owners of files: root leaves nothing of its own in another user's folder, and former leftovers are given back."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from trusted_registry.console import pasteable
from trusted_registry.defaults import ROOT


def give(handle: int, path: Path) -> None:
    """Give a file that root made to the owner of the file in its place or, if there is none, of its folder.

    A file of root's would be in that user's way. The owner of a link is given nothing: anybody could have put that
    there.
    """
    if os.geteuid():
        return
    owner = path.lstat() if os.path.lexists(path) else path.parent.stat()
    if stat.S_ISREG(owner.st_mode) or stat.S_ISDIR(owner.st_mode):
        os.fchown(handle, owner.st_uid, owner.st_gid)


def give_folder(folder: Path) -> None:
    """Give a folder that root made to the owner of the folder above."""
    if os.geteuid():
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        give(handle, folder.parent.resolve())
    finally:
        os.close(handle)


def give_back(path: Path) -> str:
    """Return the command that gives back to this user root's files in the checkout or the home folder, or ""."""
    user = os.geteuid()
    for top in (ROOT, Path.home()):
        within = [it for it in (path, *path.parents) if top in it.parents]
        if within and user and _owner(top) == user and (made := [it for it in within if _owner(it) == 0]):
            # Of a checkout all at once: where one file is root's, others are.
            taken, deep = (top, True) if top == ROOT else _lowest(path, made)
            owner = f"{user}:{os.getegid()}"  # GNU's chown refuses a number with no group behind the colon
            return pasteable(["sudo", "chown", *(["-R"] if deep else []), owner, str(taken)])
    return ""


def _lowest(path: Path, made: Sequence[Path]) -> tuple[Path, bool]:
    """Return the lowest folder that stands in the way, and whether all its content is given back too.

    A higher one of root's, and one in which there is no such path yet, may hold files that are none of this project's.
    """
    if made[0] == path:
        folder = path.parent if path.parent in made and not stat.S_ISDIR(path.lstat().st_mode) else path
        return folder, True
    try:
        path.lstat()
    except FileNotFoundError:
        return made[0], False
    except OSError:  # root's folder shows this user nothing
        pass
    return made[0], made[0] == path.parent


def _owner(path: Path) -> int | None:
    """Return the number of the user who owns a path; None where nothing is, or this user may not ask."""
    with contextlib.suppress(OSError):
        return path.lstat().st_uid
    return None
