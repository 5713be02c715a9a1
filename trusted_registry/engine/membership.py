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
UNIX = ("unix", "http+unix")
"""Schemes of URLs of sockets in the file system."""
ENTERED = "TRUSTED_REGISTRY_GROUP"
"""Variable of a run that has the group, in a shell that was begun before this user was in it."""


def user() -> str:
    """Return this user's name, or the number of one without."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def is_about(url: str) -> bool:
    """Whether a URL leads to the socket that the group is about, whose folder has two names."""
    scheme, _, path = url.partition("://")
    return scheme in UNIX and path in (str(SOCKET), "/run/docker.sock")


def add_command() -> tuple[str, ...]:
    """Return the command by which root puts this user into the group."""
    return ("usermod", "--append", "--groups", GROUP, user())


def denied() -> AccessDeniedError:
    """Return the error of a user whom the engine refuses, with the way in: by oneself, or by an administrator.

    Sudo is not asked, since any task may end so, and each question of a user without a rule is logged and mailed.
    """
    if is_listed():
        shell = f"This shell was begun before {user()} was in the group {GROUP}."
        return AccessDeniedError(f"You may not use Docker yet: {shell}", cure="Log out and in again.")
    if not shutil.which("sudo"):
        return _denied_without_sudo()
    return AccessDeniedError(_away(), cure=f"./inv engine  # adds {user()}, after asking, or says whom to ask")


def _denied_without_sudo() -> AccessDeniedError:
    return AccessDeniedError(_away(), cure=program.administrator(shlex.join(add_command())))


def _away() -> str:
    return f"You may not use Docker yet: {user()} is not in the group {GROUP}."


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
            raise _denied_without_sudo()
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
    way = None if os.environ.get(ENTERED) else _way() or _way_by_sudo()
    if way is None:
        raise denied()
    _go_on(way)


def enter_if_listed() -> None:
    """Go on as a member of the group where this user is one, and only this shell is older than that."""
    host = os.environ.get("DOCKER_HOST", "")
    other = not is_about(host) if host else os.environ.get("DOCKER_CONTEXT")
    if os.geteuid() and not other and not os.environ.get(ENTERED) and _denies() and is_listed() and (way := _way()):
        _go_on(way)


def _denies() -> bool:
    """Whether there is a socket that this user may not write to; one out of reach, another user's say, is none."""
    try:
        SOCKET.stat()
    except OSError:
        return False
    return not os.access(SOCKET, os.W_OK)


def _go_on(way: Sequence[str]) -> NoReturn:
    program.replace(way, {ENTERED: "yes", run_log.CARRIED: run_log.current().text})


def _way() -> list[str] | None:
    """Return this process's command line as a member of the group by sg; None where that does not lead there.

    `sg` makes the group the first one, and files would be made as that one's: a second `sg` puts this user's own first,
    unless `sg` is util-linux's (Debian 13), which forgets the group again.
    """
    if not shutil.which("sg") or not (own := _own_group()):
        return None
    twice = program.capture(_by_sg(f"exec sg {shlex.quote(own)} -c 'test -w {SOCKET}'")).ok
    command = f"exec {shlex.join(_command())}"
    return _by_sg(f"exec sg {shlex.quote(own)} -c {shlex.quote(command)}" if twice else command)


def _by_sg(line: str) -> list[str]:
    return ["sg", GROUP, "-c", line]


def _way_by_sudo() -> list[str] | None:
    """Return the same by sudo, which reads the database of groups for this very user too; None without the right."""
    if not program.may_use_sudo():
        return None
    return [*program.sudo(), "--preserve-env", "--user", user(), "--", *_command()]


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


def _own_group() -> str:
    """Return the name of this process's first group; "" where there is none, or sg would ask for its password."""
    try:
        group, entry = grp.getgrgid(os.getegid()), pwd.getpwuid(os.geteuid())
    except KeyError:
        return ""
    return group.gr_name if entry.pw_gid == group.gr_gid or entry.pw_name in group.gr_mem else ""


def _words() -> list[str]:
    """Return the words that were typed after `./inv`."""
    words = sys.argv[1:]
    if words[:1] == ["--search-root"]:
        words = words[2:]
    return [it for it in words if it != "--write-pyc"]
