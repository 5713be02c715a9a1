"""What was written where, so that exactly that can be taken back, even without the certificate it was made from."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import pwd
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.files import Write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.files import Remove
    from trusted_registry.trust.model import ManagedBlock

_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One thing that was written: a whole file, known by the SHA-256 of its content, or one value in a shared file.

    Of a value that stands for lines of ours, the SHA-256 is that of what they say.
    `by` is the checkout that wrote it, so that one does not take back what another one needs. `keep` is the nearest
    folder that was there before: those below it were made for this. A shared file that was there before has none.
    """

    store: str
    path: str
    sha256: str
    value: str
    by: str
    time: str
    keep: str = ""


def is_root_in_foreign_home() -> bool:
    """Whether this is root in another user's home folder, as after a sudo that keeps HOME, which macOS's does.

    What root wrote there would be in that user's way.
    """
    try:
        return os.geteuid() == 0 and Path.home().stat().st_uid != 0
    except OSError:
        return False


def path() -> Path:
    """Return the ledger's path: this user's, for every checkout (XDG Base Directory specification).

    Root's own where the home folder is another user's.
    """
    if is_root_in_foreign_home():
        return _ledger_in(Path(pwd.getpwuid(0).pw_dir) / ".local" / "state")
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return _ledger_in(base)


def _ledger_in(state: Path) -> Path:
    return state / "trusted-registry" / "ledger.json"


def digest(content: bytes) -> str:
    """Return what an entry knows a content by."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> list[Entry]:
    """Return the entries, oldest first; none where nothing was written yet.

    Raises:
        RegistryError: The file is there and is no ledger, or one of a newer version, or cannot be read.
    """
    try:
        document = json.loads(path.read_bytes())
        newer = document["version"] > _VERSION
        found = [_entry(it) for it in document["entries"]] if not newer else []
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be read: {error.strerror}.",
            cure=f"See who owns it, and who you are: {pasteable(['ls', '-l', str(path)])}; id",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryError(
            f"{path} is damaged, so what was written before is not known.",
            cure=f"Move it away: {pasteable(['mv', str(path), f'{path}.damaged'])}",
        ) from error
    if newer:
        raise RegistryError(
            f"{path} was written by a newer version of this project.", cure="Bring this checkout up to date: git pull"
        )
    return found


def _entry(document: dict[str, Any]) -> Entry:
    """Return an entry; what it says that is not known here is passed over."""
    known = {field.name: document[field.name] for field in fields(Entry) if field.name in document}
    if not all(isinstance(value, str) for value in known.values()):
        raise TypeError(known)
    return Entry(**known)


def block_key(block: ManagedBlock) -> str:
    """Return what an entry knows lines in a shared file by."""
    return f"{block.under} {block.registry_host}"


def entry(store: str, path: Path, content: bytes, *, by: Path, value: str = "") -> Entry:
    """Return what to remember of one write, made now; with a value, that only this was added to the file."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return Entry(store, str(path), digest(content), value, str(by), f"{now:%Y-%m-%dT%H:%M:%SZ}", _existing_parent(path))


def _existing_parent(path: Path) -> str:
    """Return the nearest folder above a path that exists."""
    return str(next((folder for folder in path.parents if os.path.lexists(folder)), Path(path.anchor or ".")))


def entries(store: str, operations: Iterable[Write | Remove], *, by: Path, value: str = "") -> list[Entry]:
    """Return an entry for each write among a plan's operations."""
    writes = [operation for operation in operations if isinstance(operation, Write)]
    return [entry(store, write.path, write.content, by=by, value=value) for write in writes]


def record(path: Path, written: Iterable[Entry]) -> None:
    """Add entries. Called before the writing; what a place held before is still known, should that not happen."""
    _change(path, add=list(written), drop=[])


def forget(path: Path, freed: Iterable[Entry]) -> None:
    """Drop entries, after what they stand for was taken back."""
    _change(path, add=[], drop=list(freed))


def _change(path: Path, *, add: list[Entry], drop: list[Entry]) -> None:
    if not add and not drop:
        return
    with files.locked(path.parent):
        known = read(path)
        gone = {_key(entry) for entry in (*add, *drop)}
        left = [entry for entry in known if _key(entry) not in gone]
        added = [replace(entry, keep=_first_keep(entry, known)) for entry in add]
        document = {"version": _VERSION, "entries": [asdict(entry) for entry in (*left, *added)]}
        files.write(path, f"{json.dumps(document, indent=2)}\n".encode(), files.PRIVATE_FILE)


def _key(entry: Entry) -> tuple[str, str, str, str]:
    return entry.store, entry.path, entry.value, entry.sha256


def _first_keep(entry: Entry, known: Iterable[Entry]) -> str:
    """Return what an entry keeps, but for what earlier writes made: what is there may be ours."""
    known = list(known)
    first = next((it.keep for it in known if it.path == entry.path), entry.keep)
    made = {folder: Path(it.keep) for it in known if it.keep for folder in _made(it)}
    keep = Path(first)
    while keep in made:
        keep = made[keep]
    return str(keep) if first else ""


def _made(entry: Entry) -> list[Path]:
    """Return the folders that were made for an entry: those above its path and below what it keeps."""
    return [folder for folder in Path(entry.path).parents if Path(entry.keep) in folder.parents]
