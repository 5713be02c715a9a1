"""The journal of what a bench makes outside of its own folder, written before it is made: for the run after a kill."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import BenchError
from trusted_registry import files

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


@dataclass(frozen=True)
class Entry:
    """All that one run makes.

    Args:
        folder: The run's own folder, of a name that no other has: its processes are known by it.
        registries: Addresses and ports of its registries: the names of their folders in certs.d, and of images.
        made: Folders of the machine that were missing before, inmost first, to be removed if they are empty.
        engine: Whether an engine answered.
        images: The registry's images that it had before, each as its id and its name.
    """

    folder: str
    registries: Sequence[str]
    made: Sequence[str]
    engine: bool
    images: Sequence[str]


def path() -> Path:
    """Return where the journal is: with what this user's programs keep, where nobody else can forge it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "trusted-registry-bench" / "journal.json"


def read(file: Path) -> Entry | None:
    """Return what the last run noted; None where it took everything away.

    Raises:
        BenchError: The journal is not one that a bench wrote.
    """
    try:
        return Entry(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise BenchError(
            f"The journal of the last run cannot be read ({error}): look at it and remove it: {file}"
        ) from None


def note(file: Path, entry: Entry) -> None:
    """Write what is about to be made."""
    files.make_folder(file.parent, _PRIVATE_FOLDER)
    files.write(file, json.dumps(asdict(entry), indent=2).encode(), _PRIVATE_FILE)


def forget(file: Path, entry: Entry) -> None:
    """Remove the journal, since nothing is left of that run, and the folders that were made for it."""
    file.unlink(missing_ok=True)
    file.parent.rmdir()
    for folder in file.parent.parents:
        if str(folder) in entry.made:
            with contextlib.suppress(OSError):  # somebody else's files are in it by now
                folder.rmdir()
