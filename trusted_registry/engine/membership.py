"""Membership in the group docker: how a user who has sudo comes to use the engine, within one run."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from trusted_registry import program, run_log
from trusted_registry.console import Console
from trusted_registry.errors import AccessDeniedError

GROUP = "docker"
SOCKET = Path("/var/run/docker.sock")
"""Socket of the engine that nobody chose; the one that the group is about."""
ENTERED = "TRUSTED_REGISTRY_GROUP"
"""Variable of a run that has the group, in a shell that was begun before this user was in it."""


def user() -> str:
    """Return this user's name, or the number of one without."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def add_command() -> tuple[str, ...]:
    """Return the command by which root puts this user into the group."""
    return ("usermod", "--append", "--groups", GROUP, user())


def denied() -> AccessDeniedError:
    """Return the error of a user whom the engine refuses, with the way in: by oneself, or by an administrator."""
    if is_listed():
        shell = f"This shell was begun before {user()} was in the group {GROUP}."
        return AccessDeniedError(f"You may not use Docker yet: {shell}", cure="Log out and in again.")
    away = f"You may not use Docker yet: {user()} is not in the group {GROUP}."
    if program.may_use_sudo():
        return AccessDeniedError(away, cure=f"./inv engine  # adds {user()}, after asking")
    return AccessDeniedError(away, cure=f"Ask an administrator to run: {shlex.join(add_command())}")


def is_listed() -> bool:
    """Whether the database of groups has this user in the group, whatever this process has."""
    try:
        group = grp.getgrnam(GROUP)
        return user() in group.gr_mem or pwd.getpwuid(os.geteuid()).pw_gid == group.gr_gid
    except KeyError:
        return False


def join(console: Console) -> None:
    """Add this user to the group after asking, and go on with the command line there.

    Raises:
        AccessDeniedError: The person said no, or this user can be added by an administrator alone.
        RegistryError: Nobody is there to be asked, or the addition failed.
    """
    if not is_listed():
        if not console.dry and not program.may_use_sudo():
            raise denied()
        question = (
            f"{user()} is not in the group {GROUP}, so may not use Docker. Add {user()}? "
            "Whoever is in that group is as good as root on this machine."
        )
        if not console.ask(question):
            raise denied()
        program.run(add_command(), console, as_root=True)
        if not console.dry:
            console.say(f"docker: {user()} is in the group {GROUP} now, whose members are as good as root")
    enter(console)


def enter(console: Console) -> None:
    """Go on with the command line as a member of the group, in place of this process; a dry run shows how.

    Raises:
        AccessDeniedError: Neither sg nor sudo leads there, or this run is there already.
    """
    line = shlex.join(["./inv", *_words()])
    console.command(["sg", GROUP, "-c", line])
    if console.dry:
        return
    way = None if os.environ.get(ENTERED) else _way()
    if way is None:
        raise denied()
    _go_on(way)


def enter_if_listed() -> None:
    """Go on as a member of the group where this user is one, and only this shell is older than that."""
    if os.geteuid() and not any(os.environ.get(it) for it in ("DOCKER_HOST", "DOCKER_CONTEXT", ENTERED)):
        denies = SOCKET.exists() and not os.access(SOCKET, os.W_OK)
        if denies and is_listed() and (way := _way()):
            _go_on(way)


def _go_on(way: Sequence[str]) -> NoReturn:
    program.replace(way, {ENTERED: "yes", run_log.CARRIED: run_log.current().text})


def _way() -> list[str] | None:
    """Return this process's command line as a member of the group; None where no program leads there.

    `sg` makes the group the first one, and files would be made as that one's: a second `sg` puts this user's own first.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    if shutil.which("sg"):
        own = grp.getgrgid(os.getegid()).gr_name
        return ["sg", GROUP, "-c", f"exec sg {shlex.quote(own)} -c {shlex.quote(f'exec {shlex.join(command)}')}"]
    if program.may_use_sudo():  # it reads the database of groups, for this very user too
        return [*program.sudo(), "--preserve-env", "--user", user(), "--", *command]
    return None


def _words() -> list[str]:
    """Return the words that were typed after `./inv`."""
    words = sys.argv[1:]
    if words[:1] == ["--search-root"]:
        words = words[2:]
    return [it for it in words if it != "--write-pyc"]
