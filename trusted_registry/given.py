"""What flags said stays: the registry's address, names and port are kept beside its certificate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trusted_registry import files
from trusted_registry.edge import printable
from trusted_registry.errors import SettingError
from trusted_registry.settings import STAYING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings

FILE = "given.json"


def read(folder: Path) -> Mapping[str, str]:
    """Return what flags said before, by their names.

    Raises:
        SettingError: Something else was written there since.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(found, dict) or any(
        not isinstance(value, str) or key not in STAYING for key, value in found.items()
    ):
        raise _unreadable(path)
    return {key: value for key, value in found.items() if key in STAYING}


def _unreadable(path: Path) -> SettingError:
    cure = f"Take it away, then give --address, --names and --port again: {printable(['rm', str(path)])}"
    return SettingError(f"{path}, which keeps what flags said, cannot be read.", cure=cure)


def keep(settings: Settings, edge: Edge) -> None:
    """Keep what flags said for the next run, once it has proved to work, and say what is theirs no more."""
    if edge.dry or settings.given == settings.given_before:
        return
    path = settings.folder / FILE
    if settings.given:
        files.write(path, f"{json.dumps(settings.given, indent=2)}\n".encode())
    else:
        files.remove(path, keep=settings.folder)
    if settings.dropped:
        names = ", ".join(settings.dropped)
        edge.say(f"names: {names} no more; this machine's trust for that goes with ./inv trust.remove, then ./inv up")


def recall(settings: Settings, edge: Edge) -> None:
    """Say what counts since flags said so before, and how that is taken back."""
    same = {key: value for key, value in settings.given_before.items() if settings.given.get(key) == value}
    if same:
        flags = [word for key, value in same.items() for word in (f"--{key}", value)]
        back = " ".join(f'--{key} ""' for key in same)
        edge.say(f"settings: {printable(flags)}, as given before; to take back: ./inv up {back}")
