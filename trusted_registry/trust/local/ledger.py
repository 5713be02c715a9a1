"""Record of every write, so that exactly these writes are undone, even without the certificate of their time."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import pwd
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from trusted_registry import files, owners
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust import machine as machines
from trusted_registry.trust.model import ManagedBlock

_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One write: a file, or one value in a shared file.

    Args:
        store: Key of the store.
        path: The file; for a database its folder, for a keychain the certificate's file.
        sha256: Digest of the written content, in lower-case hex; for a managed block, of its lines.
        value: Name of the value in a shared file; empty for a file that is ours alone.
        by: Folder of the checkout that wrote; tells whose an entry without an installation is.
        time: UTC, in the format of ISO 8601.
        keep: Nearest folder that existed before; those below were made for this write. Empty for a shared file that was
            there before.
        unended: Digest of a shared file's last line, where that had no line end before ours came below it; else empty.
        installation: Id of the installation that wrote, so that none removes an entry that another one needs; empty in
            entries of a version before ids.
    """

    store: str
    path: str
    sha256: str
    value: str
    by: str
    time: str
    keep: str = ""
    installation: str = ""
    unended: str = ""


def is_root_in_foreign_home() -> bool:
    """Return whether this is root in another user's home folder.

    A sudo that keeps HOME leads to this, as macOS's does. Files of root's would be in that user's way.
    """
    return machines.is_another_s(Path.home())


def path() -> Path:
    """Return the path of this user's ledger, one for all checkouts.

    The folder follows the XDG Base Directory specification; root's own if the home folder is another user's.
    """
    if is_root_in_foreign_home():
        state = Path(pwd.getpwuid(0).pw_dir) / ".local" / "state"
    else:
        state = machines.configured("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return state / "trusted-registry" / "ledger.json"


def digest(content: bytes) -> str:
    """Return the digest of a content for an entry: SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> list[Entry]:
    """Return the ledger's entries, oldest first; none if nothing was written.

    Raises:
        RegistryError: The file is no ledger, has a newer version, or cannot be read.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["version"] <= _VERSION:
            return [_entry(it) for it in document["entries"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        who = f"See who owns it, and who you are: {pasteable(['ls', '-l', str(path)])}; id"
        raise RegistryError(f"{path} cannot be read: {error.strerror}.", cure=owners.give_back(path) or who) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryError(
            f"{path} is damaged, so what was written before is not known.",
            cure=f"Move it away: {pasteable(['mv', str(path), f'{path}.damaged'])}",
        ) from error
    raise RegistryError(
        f"{path} was written by a newer version of this project.", cure="Bring this checkout up to date: git pull"
    )


def _entry(document: dict[str, Any]) -> Entry:
    """Return an entry; unknown fields of the document are ignored."""
    known = {field.name: document[field.name] for field in fields(Entry) if field.name in document}
    if not all(isinstance(value, str) for value in known.values()):
        raise TypeError(known)
    return Entry(**known)


def block_key(block: ManagedBlock) -> str:
    """Return the value by which an entry names a managed block."""
    return f"{block.under} {block.registry_host}"


def entry(store: str, path: Path, content: bytes, *, by: Path, value: str = "") -> Entry:
    """Return the entry of one write, made now.

    With a value, only that value was added to the file.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    keep = next((folder for folder in path.parents if os.path.lexists(folder)), Path(path.anchor or "."))
    return Entry(store, str(path), digest(content), value, str(by), f"{now:%Y-%m-%dT%H:%M:%SZ}", str(keep))


def record(path: Path, written: Iterable[Entry], *, installation: str = "") -> None:
    """Add entries of an installation to the ledger, before the files are written.

    Entries of the content before stay, in case the write fails.
    """
    _change(path, add=[replace(entry, installation=installation) for entry in written], drop=[])


def adopt(path: Path, *, by: Path, installation: str) -> None:
    """Put the id of an installation on the entries that a version before ids wrote from its checkout."""
    old = [entry for entry in read(path) if entry.by == str(by) and not entry.installation]
    record(path, old, installation=installation)


def forget(path: Path, freed: Iterable[Entry]) -> None:
    """Drop entries from the ledger, after their writes were undone."""
    _change(path, add=[], drop=list(freed))


def _change(path: Path, *, add: list[Entry], drop: list[Entry]) -> None:
    if not add and not drop:
        return
    with files.locked(path.parent):
        known = read(path)
        gone = {_key(entry) for entry in (*add, *drop)}
        left = [entry for entry in known if _key(entry) not in gone]
        added = [replace(it, keep=_first_keep(it, known), unended=_first_unended(it, known)) for it in add]
        document = {"version": _VERSION, "entries": [asdict(entry) for entry in (*left, *added)]}
        files.write(path, f"{json.dumps(document, indent=2)}\n".encode(), files.PRIVATE_FILE)


def _key(entry: Entry) -> tuple[str, str, str, str]:
    return entry.store, entry.path, entry.value, entry.sha256


def _first_keep(entry: Entry, known: list[Entry]) -> str:
    """Return the nearest folder above an entry that no write of ours made.

    A folder that exists at this write may come from an earlier one.
    """
    first = next((it.keep for it in known if it.path == entry.path), entry.keep)
    made = {folder: Path(it.keep) for it in known if it.keep for folder in _made(it)}
    keep = Path(first)
    while keep in made:
        keep = made[keep]
    return str(keep) if first else ""


def _first_unended(entry: Entry, known: list[Entry]) -> str:
    """Return the digest of an entry's last line as the first of our writes found that line."""
    return next((it.unended for it in known if it.path == entry.path and it.unended), entry.unended)


def _made(entry: Entry) -> list[Path]:
    """Return the folders made for an entry: above its path, below `keep`."""
    return [folder for folder in Path(entry.path).parents if Path(entry.keep) in folder.parents]
