"""Saved flags: the registry's address, names and port, kept beside its certificate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import SettingError
from trusted_registry.run import Run
from trusted_registry.settings import saved
from trusted_registry.values import STORAGES

FILE = "given.json"
STORAGE_KEY, STORAGE_CA = "storage-credentials.json", "storage-ca.crt"
"""Files beside it: the access key of a bucket, and the authority of its endpoint; the second may be missing."""


def read(folder: Path) -> Mapping[str, str]:
    """Return the saved flags by name, each checked like a typed one.

    Raises:
        SettingError: The file is damaged, or a value is not valid.
        RegistryError: The operating system does not let this user read the file.
    """
    path = folder / FILE
    with files.explained(path, "read"):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return {}
    try:
        return {key: saved(key, value) for key, value in json.loads(content).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise _unusable(path) from error
    except SettingError as error:
        raise _unusable(path, f" {error.message}") from error


def _unusable(path: Path, why: str = "") -> SettingError:
    cure = f"Remove it, then give --address, --names and --port again: {pasteable(['rm', str(path)])}"
    return SettingError(f"{path}, which keeps what flags said, cannot be used.{why}", cure=cure)


def save(run: Run) -> None:
    """Save the flags of a run that succeeded for the next one, and report dropped names."""
    if run.console.dry or run.settings.saved_flags == run.settings.saved_flags_before:
        return
    path = run.settings.folder / FILE
    if run.settings.saved_flags:
        files.write(path, f"{json.dumps(run.settings.saved_flags, indent=2)}\n".encode())
    else:
        files.remove(path, keep=run.settings.folder)
    if run.settings.dropped_names:
        from trusted_registry.certificate import handed  # takes a tenth of a second, in which most tasks save nothing

        again = "./inv trust.linux" if handed.is_handed(run.settings.folder) else "./inv up"
        names, goes = ", ".join(run.settings.dropped_names), f"./inv trust.remove, then {again}"
        run.console.say(f"names: {names} forgotten; to remove this machine's trust for it: {goes}")


def announce(run: Run) -> None:
    """Report the saved flags that no variable or file overrides, and the command that takes them back."""
    settings = run.settings
    now = {"address": settings.address, "port": str(settings.port), "image": settings.image}
    counts = {**settings.saved_flags, **now, "front": "on" if settings.front else "off"}
    same = {
        key: value
        for key, value in run.settings.saved_flags_before.items()
        if key in run.settings.saved_flags and counts[key] == value and value != str(DEFAULTS["registry"].get(key))
        if key not in STORAGES
    }
    if settings.storage:
        run.console.say(f"storage: {settings.storage}")
    if image := same.pop("image", None):
        say = pasteable(["--image", image])
        run.console.say(f'settings: {say}, remembered; to forget it: ./inv registry.upgrade --image ""')
    if same:
        flags = [word for key, value in same.items() for word in (f"--{key}", value)]
        back = " ".join(f'--{key} ""' for key in same)
        run.console.say(f"settings: {pasteable(flags)}, remembered; to forget them: ./inv up {back}")
