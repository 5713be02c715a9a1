"""Folder that an engine itself reads as its configuration's: in a snap or a namespace, not this machine's own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import daemon

CONFIG = Path("/etc/docker")
_SNAP = "/var/snap/docker/"
_SNAP_CONFIG = Path("/var/snap/docker/current/etc/docker")
"""Folder that the snap mounts over its own /etc/docker (github.com/canonical/docker-snap, snapcraft.yaml, layout)."""
_PROC = Path("/proc")


@dataclass(frozen=True)
class EngineFolder:
    """Folder of an engine's configuration.

    Args:
        own: Folder that an engine of this machine reads.
        read: Folder that this engine reads, as this machine's programs name it; None if unknown.
        process: PID of the engine; 0 for an engine that is no process of this machine.
    """

    own: Path
    read: Path | None
    process: int

    @property
    def is_another(self) -> bool:
        """Whether the engine surely reads another folder."""
        return self.read is not None and self.read != self.own


def find(engine: Engine, proc: Path = _PROC, own: Path = CONFIG) -> EngineFolder:
    """Return the folder that the answering engine reads, as far as this user may see."""
    rootless = engine.info().rootless
    own = machines.current().config / "docker" if rootless else own
    try:
        process = daemon.process_of(engine)
    except RegistryError:
        return EngineFolder(own, None, 0)
    seen = proc / str(process)
    if rootless:
        return EngineFolder(own, _of_user(seen), process)
    through_process = seen / "root" / own.relative_to("/")
    try:
        same = _identity(through_process) == _identity(own)
        return EngineFolder(own, own if same else _outside(seen, own, through_process), process)
    except PermissionError:  # root's processes show their folders to root alone
        snap = engine.info().folder.startswith(_SNAP)
        return EngineFolder(own, _SNAP_CONFIG if snap else None, process)


def _of_user(seen: Path) -> Path | None:
    """Return the folder that an engine without root finds by its own environment."""
    try:
        words = dict(it.split("=", 1) for it in (seen / "environ").read_text().split("\0") if "=" in it)
    except (OSError, UnicodeError):
        return None
    above = words.get("XDG_CONFIG_HOME") or (f"{words['HOME']}/.config" if "HOME" in words else "")
    return Path(above) / "docker" if above else None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and the inode that tell a folder from all others; None if the folder does not exist.

    Raises:
        PermissionError: This user may not look.
    """
    try:
        found = path.stat()
    except PermissionError:
        raise
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _outside(seen: Path, own: Path, through_process: Path) -> Path:
    """Return the path by which this machine's programs reach an engine's folder: its own one, or that of the kernel."""
    for line in reversed(_mounts(seen)):
        root, point = (_decoded(word) for word in line.split()[3:5])
        if point == str(own) or str(own).startswith(f"{point.rstrip('/')}/"):
            path = Path(os.path.normpath(f"{root}/{os.path.relpath(own, point)}"))
            return path if _identity(path) == _identity(through_process) is not None else through_process
    return through_process


def _mounts(seen: Path) -> list[str]:
    """Return the lines about an engine's mounts (proc(5), mountinfo); the last of several at a place counts."""
    try:
        return (seen / "mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []


def _decoded(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda it: chr(int(it[1], 8)), word)
