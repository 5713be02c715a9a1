"""Log of the last run: its commands, in a private file beside the certificates, to be read or typed again."""

from __future__ import annotations

import contextlib
import datetime
import re
from contextvars import ContextVar
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import current_folder, visible
from trusted_registry.errors import RegistryError

NAME = "last-run.log"
CARRIED = "TRUSTED_REGISTRY_LOG"
"""Variable with the log so far, for the process that goes on with a run in place of another."""

_NAMES = "password|passwd|passphrase|secret|token|credentials?|api[-_]?key|auth(?:orization)?"
_SECRET = re.compile(
    r"""(?P<url>://)[^\s'"]+(?=@)"""  # user and password in a URL, such as a proxy's
    rf"""|(?i:(?P<line>(?:{_NAMES})(?:["']?\s*:\s*|["']?\s+=\s*)).+)"""  # to the end: any sign may be in a value
    rf"""|(?i:(?P<word>(?:{_NAMES})=|--(?:{_NAMES})\s+)(?:"[^"]*"|'[^']*'|\S)+)"""
)
"""Values that shared files of others may hold on a line that a command changes."""


class RunLog:
    """Commands of one run of `./inv`, with any number of tasks.

    Args:
        carried: The log of the process that this one goes on for.
    """

    def __init__(self, carried: str = "") -> None:
        self._lines = carried.splitlines()
        self._has_commands = any(not line.startswith("#") for line in self._lines)
        self._folder: Path | None = None

    def begin(self, task: str, folder: Path | None) -> None:
        """Note the task that the next commands are of, and the folder of certificates if the task knows one."""
        now = datetime.datetime.now().astimezone()
        self._lines.append(f"# {now:%Y-%m-%d %H:%M:%S %z}, in {current_folder()}: {task}")
        self._folder = folder or self._folder

    def command(self, line: str) -> None:
        """Note a command."""
        self._has_commands = True
        self._lines.append(without_secrets(line))

    def end(self, text: str) -> None:
        """Note the error that ended the run."""
        self._lines += [f"# {line}" for line in without_secrets(visible(text)).split("\n")]

    @property
    def text(self) -> str:
        """The log so far."""
        return "".join(f"{line}\n" for line in self._lines)

    def save(self) -> None:
        """Write the log, unless the run had no commands, or `down --purge` has left no other file in the folder."""
        # A disk that is full, or a folder of another user's, is no reason for a run to fail at its end.
        with contextlib.suppress(RegistryError, OSError):
            if self._folder and self._has_commands and _has_files(self._folder):
                files.write(self._folder / NAME, self.text.encode(), files.PRIVATE_FILE, like=self._folder)


CURRENT: ContextVar[RunLog] = ContextVar("run_log")
"""Log of the run of this process."""


def current() -> RunLog:
    """Return the log of this run; one that nobody saves where no run was begun."""
    return CURRENT.get(RunLog())


def without_secrets(text: str) -> str:
    """Return lines with a sign in the place of each value that may be a password."""
    return _SECRET.sub(lambda it: f"{it['url'] or it['line'] or it['word']}…", text)


def _has_files(folder: Path) -> bool:
    return any(it.name not in (".gitignore", NAME) for it in folder.iterdir())
