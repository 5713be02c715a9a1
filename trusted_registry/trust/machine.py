"""This machine for the table of stores: its folders, its programs, and its signs of clients."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trusted_registry import files
from trusted_registry.trust.model import File, ManagedBlock, Signs


@dataclass(frozen=True)
class Machine:
    """Folders and programs of one computer, as the table's templates name them.

    Args:
        home: This user's home folder.
        config: XDG_CONFIG_HOME.
        data: XDG_DATA_HOME.
        run: XDG_RUNTIME_DIR.
        docker: DOCKER_CONFIG.
        programs: Folders that are searched for programs, in order.
        root: Folder that stands for "/", for a machine whose disk is examined from outside.
    """

    home: Path
    config: Path
    data: Path
    run: Path
    docker: Path
    programs: tuple[Path, ...] = ()
    root: Path = Path("/")

    def path(self, template: str) -> Path:
        """Return the path of a template on this machine."""
        path = Path(template.format_map(vars(self)))
        return path if template.startswith("{") else self.root / path.relative_to("/")

    def resolve(self, block: ManagedBlock) -> ManagedBlock:
        """Return a block with this machine's folders filled into its lines.

        The block's readers see those paths as they are, so `root` is not prepended.
        """
        return replace(block, lines=tuple(line.format_map(vars(self)) for line in block.lines))

    def filled(self, file: File) -> File:
        """Return a file with this machine's folders filled into its text, likewise; a certificate unchanged."""
        if not file.path.startswith("{") or file.path.endswith(".crt"):
            return file
        return replace(file, content=file.content.decode().format_map(vars(self)).encode())


def current(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Machine:
    """Return this user's folders and programs, from the environment.

    The folders follow the XDG Base Directory specification and DOCKER_CONFIG.
    """
    home = home or Path.home()

    def folder(variable: str, default: Path) -> Path:
        return configured(variable, environ) or default

    searched = environ.get("PATH", os.defpath).split(os.pathsep)
    return Machine(
        home=home,
        config=folder("XDG_CONFIG_HOME", home / ".config"),
        data=folder("XDG_DATA_HOME", home / ".local" / "share"),
        run=folder("XDG_RUNTIME_DIR", Path(f"/run/user/{os.getuid()}")),
        docker=folder("DOCKER_CONFIG", home / ".docker"),
        # system programs are there, and an ordinary user's PATH seldom has them
        programs=(*(Path(part) for part in searched if part), Path("/usr/sbin"), Path("/sbin")),
    )


def configured(variable: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder that a variable names; None where it names none, or root one that is another user's to change.

    `su` without `-` keeps the variables of the user who types the command, and so may sudo.
    """
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") and not is_another_s(Path(named)) else None


def is_another_s(folder: Path) -> bool:
    """Whether this is root and another user owns, or may change, a folder, a link to that, or a folder above.

    Root's files there would be in that user's way; and files that the user puts there, root would follow or believe.
    """
    if os.geteuid() != 0:
        return False
    absolute = folder.absolute()
    try:
        return not all(map(_is_root_s, (absolute, Path(os.path.realpath(absolute)))))
    except OSError:
        return True


def _is_root_s(folder: Path) -> bool:
    below = True  # of what is missing yet, what is above it decides
    for path in (folder, *folder.parents):
        try:
            found = path.lstat()
        except FileNotFoundError:
            below = False
            continue
        # In a sticky folder nobody renames what is another's, but anybody makes what is not there.
        open_to_others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0)
        sticky = below and path != folder and found.st_mode & stat.S_ISVTX
        if found.st_uid != 0 or (open_to_others and not sticky and not stat.S_ISLNK(found.st_mode)):
            return False
        below = True
    return True


def has_signs(signs: Signs, machine: Machine) -> bool:
    """Return whether any sign of a store's clients is on a machine."""

    def installed(names: tuple[str, ...]) -> bool:
        return any(find_program(name, machine) for name in names)

    if installed(signs.programs) or any(exists(machine.path(path)) for path in signs.paths):
        return True
    return installed(signs.alone) and not installed(signs.unless)


def exists(path: Path) -> bool:
    """Return whether a path exists; False if this user may not read there."""
    try:
        return files.exists(path)
    except PermissionError:  # such as another user's folder
        return False


def find_program(name: str, machine: Machine) -> Path | None:
    """Return the path of a program, or None if not installed."""
    return next((folder / name for folder in machine.programs if os.access(folder / name, os.X_OK)), None)
