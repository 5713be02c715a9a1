"""The Docker Engine's trust: `certs.d/REGISTRY/ca.crt`, one directory for each spelling of the registry's name."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust import plan as plans
from trusted_registry.trust.ledger import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trusted_registry.trust.ledger import Entry
    from trusted_registry.trust.plan import Plan

FILE = "ca.crt"
"""Docker reads `*.crt` as authorities and ignores `*.pem`; with a `*.key` in the folder every pull fails
(moby/moby, registry/registry.go)."""


class State(enum.Enum):
    """What stands in a spelling's directory."""

    TRUSTED = "trusted"
    ABSENT = "absent"
    STALE = "stale"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Place:
    """A spelling of the registry's name, the file that trusts it, and what that file is now."""

    spelling: str
    path: Path
    state: State


def folder(*, rootless: bool, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Return where an engine looks: in /etc, or in its user's configuration when it runs without root."""
    if not rootless:
        return Path("/etc/docker/certs.d")
    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if configured.startswith("/") else (home or Path.home()) / ".config"
    return base / "docker" / "certs.d"


def find(certs_d: Path, spellings: Iterable[str], content: bytes, ledger: Iterable[Entry]) -> list[Place]:
    """Return what stands for each spelling.

    Raises:
        RegistryError: A directory on the way is a link or a file; it is not followed.
    """
    ours = {(entry.path, entry.sha256) for entry in ledger}
    places = []
    for spelling in spellings:
        path = certs_d / spelling / FILE
        try:
            places.append(Place(spelling, path, _state(path, content, ours)))
        except OSError as error:
            raise RegistryError(f"{path} cannot be read: {error.strerror}.", cure=f"Look: ls -ld {path}") from error
    return places


def _state(path: Path, content: bytes, ours: set[tuple[str, str]]) -> State:
    for part in (path.parent, path):
        if part.is_symlink():
            target = part.readlink()
            raise RegistryError(f"{part} is a link to {target}; it is not followed.", cure=f"Remove it: rm {part}")
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        return State.ABSENT
    if present == content:
        return State.TRUSTED
    return State.STALE if (str(path), digest(present)) in ours else State.FOREIGN


def plan(store: str, places: Iterable[Place], source: Path, content: bytes) -> Plan:
    """Return what must be written so that every place trusts.

    Raises:
        RegistryError: A place holds a certificate that this project did not write.
    """
    places = list(places)
    for place in places:
        if place.state is State.FOREIGN:
            raise RegistryError(
                f"{place.path} holds a certificate that was not written here; nothing was changed.",
                cure=f"See whose it is: openssl x509 -noout -subject -in {place.path}; or: sudo rm {place.path}",
            )
    missing = [place for place in places if place.state is not State.TRUSTED]
    return plans.install(store, source, tuple(Write(place.path, content) for place in missing))


def removal(store: str, entries: Iterable[Entry]) -> tuple[Plan, list[Path]]:
    """Return what takes entries of the ledger back, and the files that were changed since and therefore stay.

    Raises:
        RegistryError: A file cannot be looked at.
    """
    written: dict[Path, set[str]] = {}
    for entry in entries:
        written.setdefault(Path(entry.path), set()).add(entry.sha256)
    removes, changed = [], []
    for path, digests in written.items():
        try:
            ours = digest(path.read_bytes()) in digests
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RegistryError(f"{path} cannot be read: {error.strerror}.", cure=f"Look: ls -ld {path}") from error
        if ours:
            removes.append(Remove(path, keep=path.parent.parent.parent))
        else:
            changed.append(path)
    return plans.removal(store, tuple(removes)), changed
