"""The one door through which other programs are started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from trusted_registry.console import Console

PRIVATE = 0o077
"""The umask of what is started here: what a program leaves behind is its owner's alone unless it says otherwise."""
PUBLIC = 0o022
_STOP_SECONDS = 10
"""Seconds."""


@dataclass(frozen=True)
class Result:
    """What a program left behind: its exit status and its texts."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether the program said it succeeded."""
        return self.code == 0

    @property
    def last_line(self) -> str:
        """The last line it wrote, on stderr by preference: where programs name the reason."""
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.code}"


def capture(  # noqa: PLR0913 - a program has as many sides
    argv: Sequence[str],
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = 60,
    umask: int = PRIVATE,
) -> Result:
    """Run a program whose outcome is only read, or whose failure the caller judges.

    Args:
        argv: Program and arguments; never a shell string.
        text: What it reads from standard input; nothing by default.
        env: Variables set on top of this process's own.
        cwd: Folder it runs in.
        timeout: Seconds after which it is stopped.
        umask: PRIVATE, or PUBLIC for a program whose work every user is to read.

    Raises:
        RegistryError: The program is not installed or did not end in time.
    """
    by_hand = f"Try it by hand: {pasteable(argv)}"
    try:
        done = subprocess.run(
            list(argv),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            timeout=timeout,
            umask=umask,
        )
    except FileNotFoundError as missing:
        raise RegistryError(f"{argv[0]} is not installed.", cure=f"Install the program {argv[0]}.") from missing
    except OSError as error:
        cure = files.MORE_FILES if error.errno in files.TOO_MANY else by_hand
        raise RegistryError(f"{argv[0]} cannot be started: {error.strerror}.", cure=cure) from error
    except subprocess.TimeoutExpired as late:
        raise RegistryError(f"{argv[0]} did not end within {timeout:.0f} seconds.", cure=by_hand) from late
    return Result(tuple(argv), done.returncode, done.stdout, done.stderr)


def run(
    argv: Sequence[str],
    console: Console,
    *,
    cwd: Path | None = None,
    timeout: float | None = 600,
    as_root: bool = False,
) -> Result | None:
    """Show a command, run it unless this is a dry run, and insist that it succeeds; by sudo where it needs root.

    What a program does as root, it does for every user of the machine: they may read it.

    Returns:
        What it left behind; None in a dry run.

    Raises:
        RegistryError: It is not installed, did not end in time, or failed; its last line is the reason.
    """
    argv = [*_sudo_shown(console), *argv] if as_root else argv
    console.command(argv)
    if console.dry:
        return None
    result = capture(argv, cwd=cwd, timeout=timeout, umask=PUBLIC if as_root else PRIVATE)
    if not result.ok:
        raise RegistryError(f"{argv[0]} failed: {result.last_line}", cure=f"Try it by hand: {pasteable(argv)}")
    return result


def interactive(
    argv: Sequence[str], console: Console, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> int:
    """Show a command and run it on the person's own terminal; return its exit status, 0 in a dry run."""
    console.command(argv)
    if console.dry:
        return 0
    try:
        process = subprocess.Popen(list(argv), env={**os.environ, **env} if env else None, cwd=cwd)
    except FileNotFoundError as missing:
        raise RegistryError(f"{argv[0]} is not installed.", cure=f"Install the program {argv[0]}.") from missing
    with process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal told the program too: it ends by itself, after cleaning up. subprocess.call would kill it.
            process.wait()
            raise


def stream(argv: Sequence[str], on_line: Callable[[str], None], *, env: Mapping[str, str] | None = None) -> int:
    """Run a program that works for long, hear each line as it says it, both streams in one; return its exit status.

    Raises:
        RegistryError: It is not installed.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as missing:
        raise RegistryError(f"{argv[0]} is not installed.", cure=f"Install the program {argv[0]}.") from missing
    with process:
        try:
            for line in process.stdout or ():
                on_line(line)
        except BaseException as error:
            _stop(process, got_interrupt=isinstance(error, KeyboardInterrupt))
            raise
    return process.returncode


def _stop(process: subprocess.Popen[str], *, got_interrupt: bool) -> None:
    """Stop a program; one that heard a terminal's Ctrl-C itself is clearing up, which a second signal would disturb."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        if got_interrupt:
            process.wait(_STOP_SECONDS)
    process.terminate()


def _sudo_shown(console: Console) -> list[str]:
    if console.dry:
        return ["sudo"] if os.geteuid() else []
    return sudo()


def sudo() -> list[str]:
    """Return what goes before a command that needs root: nothing for root itself.

    Without a terminal, sudo is told to fail rather than to wait for a password.

    Raises:
        RegistryError: This user is not root, and there is no sudo.
    """
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        raise RegistryError("This needs root, and there is no sudo.", cure="Run the same command as root.")
    return ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
