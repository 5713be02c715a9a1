"""The place of one run on this machine: one run at a time, nothing of an earlier one, and nothing of it left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import site
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import journal, leftovers, namespace, processes, stand
from bench.catalogue import Setup
from bench.record import say
from bench.timing import BenchError
from trusted_registry import address, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_LOCK = Path(tempfile.gettempdir()) / "trusted-registry-bench.lock"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SSHD = "/run/sshd"
"""What root's sshd wants, and tests/sshd.py makes."""


class LeftError(BenchError):
    """Something that the bench made is still there."""


@contextlib.contextmanager
def workplace() -> Iterator[Setup]:
    """Lend two registries' places, P-256 and rsa:4096; whatever happens, nothing of them is left.

    Raises:
        BenchError: Another bench runs on this machine.
        LeftError: Something is left nevertheless.
    """
    file, etc = journal.path(), namespace.current()
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # which is what nohup sets
            signal.signal(number, _interrupt)
    with _alone():
        _recover(file, etc)
        try:
            yield _made(file, etc)
        finally:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            _leave(file, etc)
            say("all that it made was taken away again: nothing of it is left")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        # Another user's cannot be opened to be made, in a folder that is everybody's (proc(5), protected_regular).
        lock = os.open(_LOCK, flags) if _LOCK.exists() else os.open(_LOCK, flags | os.O_CREAT, 0o644)
    except OSError as error:
        raise BenchError(f"The lock {_LOCK} cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BenchError("Another bench runs on this machine; two would time each other.") from None
    else:
        yield
    finally:
        os.close(lock)


def _recover(file: Path, etc: namespace.Etc) -> None:
    """Take away what a run left that was killed outright.

    Raises:
        LeftError: Something of it is still there.
    """
    entry = journal.read(file)
    if entry is None:
        return
    say("the last run was killed; taking away what it left …")
    _leave(file, etc)


def _leave(file: Path, etc: namespace.Etc) -> None:
    entry = journal.read(file)
    if entry is None:
        return
    left = leftovers.take_away(entry, etc)
    if left:
        raise LeftError(f"still there: {', '.join(left)}; the next run tries again")
    journal.forget(file, entry)


def _made(file: Path, etc: namespace.Etc) -> Setup:
    """Note what is about to be made, and make it."""
    host = address.own_address()
    registries = [f"{address.bracketed(host)}:{port}" for port in stand.PORTS]
    engine = bool(shutil.which("docker")) and stand.engine_answers()
    folder = Path(tempfile.gettempdir()) / f"trusted-registry-bench-{secrets.token_hex(8)}"
    folders = ("/etc/docker/certs.d", "/etc/docker", _SSHD, *map(str, file.parent.parents))
    missing = [name for name in folders if not etc.machine(name).exists()]
    images = leftovers.registry_images() if engine else []
    journal.note(file, journal.Entry(str(folder), registries, missing, engine, images))
    folder.mkdir(mode=0o700)
    if engine and not etc.refused:
        stand.output([*program.sudo(), "mkdir", "-p", str(etc.certs_d)])
        etc.share_certs_d()
    _use_own_home(folder)
    places = zip(stand.NAMES, stand.PORTS, ("ec:P-256", "rsa:4096"), ("p256", "rsa4096"), strict=True)
    small, large = (
        stand.Stand(name, port, key, host, folder / own, folder / "home", etc, engine)
        for name, port, key, own in places
    )
    for one in (small, large):
        one.clear()  # one that was killed, of another user, may have left something
    return Setup(small, large)


def _use_own_home(folder: Path) -> None:
    """Give this process and what it starts a home folder of the run's own, and the engine that this user has chosen."""
    engine = (
        stand.output(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
        if shutil.which("docker")
        else ""
    )
    os.environ["PYTHONUSERBASE"] = site.getuserbase()
    for name in (
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "DOCKER_CONFIG",
        "DOCKER_CONTEXT",
    ):
        os.environ.pop(name, None)
    if engine:
        os.environ["DOCKER_HOST"] = engine
    os.environ |= {"HOME": str(folder / "home"), processes.MARK: str(folder)}
