"""Folder of keys: its owner, and who else may write there.

Whoever may write in a folder can put other keys in the place of ours, and so may whoever can rename a folder above.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import Console, pasteable
from trusted_registry.errors import RegistryError

_OF_GIT = ".gitignore"
"""The one file of a folder that no run has used yet: git makes it by the umask, group-writable on many systems."""
_NOBODY = 65534
"""Owner of what belongs to no user of a container (user_namespaces(7))."""
_CHECKOUT = Path(__file__).resolve().parent.parent


def check(folder: Path, console: Console) -> None:
    """Insist on a folder of this user's own that nobody else may write to, before a secret is written there.

    A folder that is missing yet is judged by those above. One straight from git, to which its group may write, is
    closed to the group.

    Raises:
        RegistryError: The folder is another user's, or its group or every user may change or rename the folder.
    """
    real = Path(os.path.realpath(folder))
    with files.explained(real, "read"):
        if files.exists(real):
            _check_owner(real)
            _check_mode(real, console)
        for above in {*folder.absolute().parents, *real.parents}:
            _check_above(above, folder)
        _say_owners(real, console)


def _check_owner(folder: Path) -> None:
    owner = folder.stat().st_uid
    if owner in _trusted():
        return
    other = "Use one of your own: INVOKE_CERTIFICATE_FOLDER=…"
    take = pasteable(["sudo", "chown", "--recursive", str(os.geteuid()), str(folder)])
    raise RegistryError(
        f"{folder} is another user's (number {owner}), who could read or replace a key there. Nothing was written.",
        cure=f"{other}; or, where all in it is yours: {take}",
    )


def _trusted() -> set[int]:
    """Return the users whose folder may get this one's keys: root may do all, and whose code runs as root too."""
    return {0, os.geteuid()} | ({_CHECKOUT.stat().st_uid} if os.geteuid() == 0 else set())


def _check_mode(folder: Path, console: Console) -> None:
    mode = folder.stat().st_mode
    if mode & stat.S_IWGRP and not mode & stat.S_IWOTH and _is_fresh(folder):
        console.command(["chmod", "g-w", str(folder)])
        if console.dry:
            return
        files.close_to_group(folder)
        mode = folder.stat().st_mode if _is_fresh(folder) else mode  # nobody put anything there in the meantime
    if who := _who(mode):
        cure = f"See what others put there, then close it: {pasteable(['chmod', 'go-w', str(folder)])}"
        raise RegistryError(f"{folder} may be written to by {who}, so it gets no key. Nothing was written.", cure=cure)


def _is_fresh(folder: Path) -> bool:
    """Whether a folder of this user's holds the one file from git, and nothing else but files of locks."""
    names = {it.name for it in folder.iterdir() if not it.name.endswith(".lock")}
    owners = {it.lstat().st_uid for it in (folder, folder / _OF_GIT)} if names == {_OF_GIT} else set()
    return owners == {os.geteuid()}


def _who(mode: int) -> str:
    if mode & stat.S_IWOTH:
        return "every user"
    return "its group" if mode & stat.S_IWGRP else ""


def _check_above(above: Path, folder: Path) -> None:
    """Insist that no other user may rename a folder above; in a sticky one nobody renames another user's folder."""
    if not files.exists(above) or not above.is_dir():
        return
    mode = above.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise RegistryError(
            f"{above}, in which {folder} lies, may be written to by every user, so no key is put there.",
            cure=f"Close it: {pasteable(['chmod', 'o-w', str(above)])}; or use another: INVOKE_CERTIFICATE_FOLDER=…",
        )


def _say_owners(folder: Path, console: Console) -> None:
    """Warn of another user who owns the nearest folder above, and so may rename this one."""
    above = next(it for it in folder.parents if it.is_dir())
    owner = above.stat().st_uid
    if owner not in {*_trusted(), _NOBODY}:
        console.warn(
            f"{above} is another user's (number {owner}), who could put another folder in the place of {folder.name}. "
            "Use one of your own: INVOKE_CERTIFICATE_FOLDER=…"
        )
