"""Processes: the only module that starts other programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from trusted_registry import files
from trusted_registry.console import Console, here_document, pasteable
from trusted_registry.errors import NeedsRootError, RegistryError

PRIVATE = 0o077
"""Umask of started programs: their files are the owner's alone unless they set a mode."""
PUBLIC = 0o022
_STOP_SECONDS = 10
"""Seconds in which an interrupted program may end by itself."""
_ASK = "Ask an administrator; ./inv --dry and the same words show the commands that take root."


@dataclass(frozen=True)
class Result:
    """Exit status and output of a program."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Success of the program: exit status 0."""
        return self.code == 0

    @property
    def last_line(self) -> str:
        """Last line of stderr, or of stdout if stderr is empty: programs name the reason of a failure there."""
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.code}"


def capture(  # noqa: PLR0913 - a process has as many properties
    argv: Sequence[str],
    *,
    text: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = 60,
    umask: int = PRIVATE,
) -> Result:
    """Run a program and return its output; the caller judges a failure.

    Args:
        argv: Program and arguments; never a shell string.
        text: Standard input; empty by default.
        env: Variables added to this process's own.
        cwd: Working directory.
        timeout: Seconds until the program is stopped.
        umask: PRIVATE, or PUBLIC for files that every user may read.

    Raises:
        RegistryError: The program is not installed, cannot be started, or did not end in time.
        KeyboardInterrupt: Ctrl-C ended the program; this process may not have heard of it yet.
    """
    with _explained(argv, timeout):
        done = subprocess.run(
            list(argv),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            timeout=timeout,
            umask=umask,
        )
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    return Result(tuple(argv), done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _explained(argv: Sequence[str], timeout: float | None = None) -> Iterator[None]:
    """Turn the reasons for which a program does not run into errors with a cure."""
    by_hand = f"Try it by hand: {pasteable(argv)}"
    try:
        yield
    except FileNotFoundError as missing:
        raise RegistryError(f"{argv[0]} is not installed.", cure=f"Install the program {argv[0]}.") from missing
    except OSError as error:
        cure = files.MORE_FILES if error.errno in files.TOO_MANY else by_hand
        raise RegistryError(f"{argv[0]} cannot be started: {error.strerror}.", cure=cure) from error
    except subprocess.TimeoutExpired as late:
        raise RegistryError(f"{argv[0]} did not end within {timeout:.0f} seconds.", cure=by_hand) from late


def run(  # noqa: PLR0913 - a process has as many properties
    argv: Sequence[str],
    console: Console,
    *,
    text: str = "",
    cwd: Path | None = None,
    timeout: float | None = 600,
    as_root: bool = False,
) -> Result | None:
    """Show and run a command, and insist on success; with sudo if `as_root`. A dry run only shows the command.

    A program that runs as root works for every user of the machine, so its files are readable by all.

    Returns:
        The program's exit status and output; None in a dry run.

    Raises:
        RegistryError: The program is not installed, did not end in time, or failed; its last line is the reason
            (NeedsRootError if that is sudo's own).
    """
    argv = [*sudo(dry=console.dry), *argv] if as_root else argv
    console.command([*argv, here_document(text)] if text else argv)
    if console.dry:
        return None
    result = capture(argv, text=text, cwd=cwd, timeout=timeout, umask=PUBLIC if as_root else PRIVATE)
    if not result.ok:
        if is_sudo_s(result):
            raise sudo_error(result)
        raise RegistryError(f"{_program(result)} failed: {result.last_line}", cure=f"Try it by hand: {pasteable(argv)}")
    return result


def sudo_error(result: Result) -> NeedsRootError:
    """Return the error of a command that sudo refused: for want of a password, or of the right to use sudo."""
    again = "sudo -v, then the same command" if may_use_sudo() else _ASK
    return NeedsRootError(f"sudo failed: {result.last_line}", cure=again)


def is_sudo_s(result: Result) -> bool:
    """Whether sudo's own words are the reason of a failure."""
    return result.last_line.startswith("sudo") or _is_without_right(result.last_line)


def _program(result: Result) -> str:
    """Return the program that failed: the one behind sudo and env."""
    words = [it for it in result.argv if it not in ("sudo", "env") and "=" not in it and not it.startswith("-")]
    return words[0] if words else result.argv[0]


def interactive(argv: Sequence[str], console: Console, *, cwd: Path | None = None, without: str = "") -> int:
    """Show and run a command on this process's terminal, and return the exit status; 0 in a dry run, which only shows.

    The variable `without` of this process's environment is not handed on.
    """
    console.command(argv)
    if console.dry:
        return 0
    with _explained(argv):
        env = {name: value for name, value in os.environ.items() if name != without}
        process = subprocess.Popen(list(argv), cwd=cwd, env=env)
    with process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal told the program too: it ends by itself, after cleaning up. subprocess.call would kill it.
            process.wait()
            raise


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    text: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Run a long program, pass each line of its output to `on_line`, and return the exit status.

    The lines of stdout and stderr come as one stream. The text, a line at most, is its standard input.

    Raises:
        RegistryError: The program is not installed.
    """
    with _explained(argv):
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
    with process:
        try:
            if process.stdin:
                # Whatever the locale: that is about the output, which may be replaced where it cannot be read.
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    os.write(process.stdin.fileno(), text.encode(errors="surrogateescape"))
            for line in process.stdout or ():
                on_line(line)
        except BaseException as error:
            # The terminal sends Ctrl-C to the program too, and a second signal would disturb its clean-up.
            if isinstance(error, KeyboardInterrupt):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
            process.terminate()
            raise
    return process.returncode


def replace(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Run a program in place of this process, with variables added; no code of this process runs after that.

    Raises:
        RegistryError: The program cannot be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with _explained(argv):
        os.execvpe(argv[0], list(argv), {**os.environ, **env})  # noqa: S606 - a list, so no shell
    raise AssertionError(argv)


def may_use_sudo() -> bool:
    """Whether this user is root or may become so, by a password or without; asks nobody for one.

    Of a user whom no rule knows, sudo says so even if no question is allowed (sudoers(5), verifypw).
    """
    if os.geteuid() == 0:
        return True
    if not shutil.which("sudo"):
        return False
    said = capture(["sudo", "-n", "-v"], env={"LC_ALL": "C"})
    return said.ok or not _is_without_right(said.err)


def _is_without_right(text: str) -> bool:
    """Whether sudo says that no rule gives this user the right; those words do not begin with its name."""
    return any(words in text for words in ("may not run sudo", "not in the sudoers"))


def administrator(command: str) -> str:
    """Return the cure for a user who has no sudo."""
    return f"Ask an administrator to run: {command}"


def sudo(*, dry: bool = False) -> list[str]:
    """Return the sudo prefix of a command that needs root; empty for root itself.

    Without a terminal, sudo fails rather than waits for a password; a dry run shows no more than its name.

    Raises:
        NeedsRootError: This user is not root, and sudo is not installed.
    """
    if os.geteuid() == 0:
        return []
    if not dry and not shutil.which("sudo"):
        raise NeedsRootError("This needs root, and there is no sudo.", cure=_ASK)
    return ["sudo"] if dry or sys.stdin.isatty() else ["sudo", "-n"]
