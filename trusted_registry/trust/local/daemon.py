"""Changes of the engine's daemon.json, which the engine reloads without a restart."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from trusted_registry import address, files, program
from trusted_registry.console import Console, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.run import Run
from trusted_registry.trust.local import apply, ledger, owned, plan
from trusted_registry.trust.local.plan import Plan
from trusted_registry.trust.specifics import insecure

STORE = "insecure"
"""Store key of these changes in the ledger."""
RELOAD_SECONDS = 5.0
"""Seconds that an engine may take to reload its configuration."""


def allow_plain(run: Run, engine: Engine) -> bool:
    """Make the engine accept plain HTTP at this machine's address.

    Returns once the engine has reloaded its configuration.

    Returns:
        True if the configuration was changed.

    Raises:
        RegistryError: daemon.json is not valid, cannot be written, is for its engine's user to write, or is not what
            the engine goes by; or the engine does not take it up, and then it is as it was.
    """
    registry_host = address.registry_host(run.settings.address, run.settings.plain_port)
    if engine.available and registry_host in engine.info().insecure:
        return False
    rootless = engine.available and engine.info().rootless
    if rootless and ledger.is_root_in_foreign_home():
        raise RegistryError(
            f"This is root in another user's home folder, {Path.home()}, where an engine without root is configured.",
            cure="As that user, the same command without sudo.",
        )
    path = insecure.config_file(rootless=rootless).resolve()
    before = _text_of(path)
    change = Write(path, insecure.added(before, registry_host, path).encode(), plan.mode(path))
    _check_flags(engine, path, registry_host)
    if change.content == before.encode():
        has = f'has "{registry_host}" already, from somebody else; the engine reads it again'
        run.console.say(f'{path}: "{insecure.KEY}" {has}')
        _write_config(change, engine, run.console, registry_host, listed=True)
        return True
    entry = ledger.entry(STORE, path, change.content, by=run.settings.root, value=registry_host)
    backup = Write(_backup(path), before.encode(), change.mode)
    undo = [_as_it_is(path), *([] if files.exists(backup.path) else [_as_it_is(backup.path)])]
    owned.record(run, [entry])
    run.console.say(f'{path}: "{insecure.KEY}" gains "{registry_host}"')
    try:
        with _put_back(undo, engine, run.console):
            if before and not files.exists(backup.path):
                apply.carry_out(Plan(STORE, (backup,), (("cp", str(path), str(backup.path)),)), run.console)
            _write_config(change, engine, run.console, registry_host, listed=True)
    except RegistryError:
        ledger.forget(ledger.path(), [] if run.console.dry else [entry])
        raise
    return True


def disallow(entry: ledger.Entry, engine: Engine, console: Console) -> None:
    """Remove one registry from daemon.json, and keep all other changes.

    Raises:
        RegistryError: daemon.json is not valid or cannot be written, or the engine does not take it up, and then it is
            as it was.
    """
    path, backup = Path(entry.path), _backup(Path(entry.path))
    before, original = _text_of(path), _text_of(backup)
    after = insecure.removed(before, entry.value, path)
    with contextlib.suppress(ValueError):
        if original and json.loads(original) == json.loads(after or "{}"):
            after = original
    listed = engine.available and entry.value in engine.info().insecure
    if after != before or listed:
        interim = Write(path, insecure.without_registry(before, entry.value, path).encode(), plan.mode(path))
        by_others = insecure.allows(interim.content.decode(), entry.value, path)
        stays = ", which another entry of it still means" if by_others else ""
        console.say(f'{path}: "{insecure.KEY}" loses "{entry.value}"{stays}')
        with _put_back([_as_it_is(path)], engine, console):
            _write_config(interim, engine, console, entry.value, listed=by_others)
    if after:
        apply.carry_out(Plan(STORE, (Write(path, after.encode(), plan.mode(path)),), ()), console)
    # the backup stays for the other registries that we added to the file
    others = any(it.path == entry.path and it.value not in ("", entry.value) for it in ledger.read(ledger.path()))
    obsolete = [Remove(backup, keep=path.parent)] if original and not others else []
    obsolete += [] if after else [Remove(path, keep=path.parent)]
    apply.carry_out(plan.removal(STORE, obsolete), console)


def _backup(path: Path) -> Path:
    return path.with_name(path.name + insecure.BACKUP)


def _as_it_is(path: Path) -> Write | Remove:
    """Return the operation that has a file be again as it is now."""
    if files.exists(path):
        return Write(path, path.read_bytes(), plan.mode(path))
    return Remove(path, keep=next(folder for folder in path.parents if files.exists(folder)))


@contextlib.contextmanager
def _put_back(undo: Sequence[Write | Remove], engine: Engine, console: Console) -> Iterator[None]:
    """Have files be as they were where the body fails, and the engine read them again."""
    try:
        yield
    except RegistryError:
        if not console.dry:
            typed = tuple(
                plan.patch(_text_of(it.path), it) if isinstance(it, Write) else ("rm", str(it.path)) for it in undo
            )
            console.say(f"put back as it was: {undo[0].path}")
            apply.carry_out(Plan(STORE, tuple(undo), typed), console)
            with contextlib.suppress(RegistryError):  # the error that led here says more
                reload(engine, console)
        raise


def _write_config(change: Write, engine: Engine, console: Console, registry_host: str, *, listed: bool) -> None:
    """Write daemon.json, reload the engine, and wait until the engine lists the registry, or no longer does.

    Raises:
        RegistryError: The file cannot be written, or the engine did not list it within RELOAD_SECONDS.
    """
    apply.carry_out(Plan(STORE, (change,), (plan.patch(_text_of(change.path), change),)), console)
    if not engine.available and not console.dry:
        return  # one that starts later reads it then
    reload(engine, console)
    end = time.monotonic() + RELOAD_SECONDS
    while not console.dry and (registry_host in engine.info(fresh=True).insecure) is not listed:
        if time.monotonic() > end:
            raise RegistryError(
                f"The engine did not take up its changed configuration, {change.path}.",
                cure=f"Its log says why: {_log(engine)}",
            )
        time.sleep(0.05)


_FILE_FLAG, _LIST_FLAG = "--config-file", "--insecure-registry"
_FLAG_FILES = ("/etc/default/docker", "/etc/systemd/system", "/lib/systemd/system")


def _check_flags(engine: Engine, path: Path, registry_host: str) -> None:
    """Refuse a change that the engine's own flags exclude: it would not take that up, and not start again.

    Raises:
        RegistryError: The engine reads another file, or has the list from a flag (dockerd(8)).
    """
    flags = _flags(engine) if engine.available else {}
    other = flags.get(_FILE_FLAG)
    if other and Path(other).resolve() != path:
        raise RegistryError(
            f"The engine was started with {_FILE_FLAG} {other}: it does not read {path}.",
            cure=f'Write there, then restart it: "{insecure.KEY}": ["{registry_host}"]',
        )
    if _LIST_FLAG in flags:
        raise RegistryError(
            f"The engine was started with {_LIST_FLAG} {flags[_LIST_FLAG]}: with that list in {path} too, it would "
            "neither take it up nor start again.",
            cure=f"Add the flag {_LIST_FLAG} {registry_host} beside that one, and restart the engine: "
            + pasteable(["grep", "-r", "-e", _LIST_FLAG, *_FLAG_FILES]),
        )


def _flags(engine: Engine) -> dict[str, str]:
    """Return the flags that decide on daemon.json, with their last values, of the dockerd that answers."""
    import psutil

    words: list[str] = []
    with contextlib.suppress(RegistryError, psutil.Error):
        words = psutil.Process(process_of(engine)).cmdline()
    found = {}
    for at, word in enumerate(words):
        flag, joined, value = word.partition("=")
        if flag in (_FILE_FLAG, _LIST_FLAG):
            found[flag] = value if joined else next(iter(words[at + 1 :]), "")
    return found


def _text_of(path: Path) -> str:
    """Return a file's text with its own line ends; empty for one that is absent."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{path} cannot be read: {error}.", cure=f"Look: {pasteable(['ls', '-l', str(path)])}"
        ) from error


def reload(engine: Engine, console: Console) -> None:
    """Make the engine reload daemon.json (dockerd(8), SIGHUP).

    The engine's containers run on.
    """
    if not _systemd():
        pid = str(process_of(engine)) if engine.available else "PID"
        program.run(["kill", "-HUP", pid], console, as_root=True)
    elif engine.available and engine.info().rootless:
        program.run(["systemctl", "--user", "reload", "docker"], console)
    else:
        program.run(["systemctl", "reload", "docker"], console, as_root=True)


def removal_by_hand(*, systemd: bool | None = None) -> str:
    """Return the commands that remove somebody else's entry.

    Args:
        systemd: Whether systemd runs; detected if None.
    """
    known = _systemd() if systemd is None else systemd
    command = "systemctl reload docker" if known else "kill -HUP $(cat /var/run/docker.pid)"
    return f"sudo editor /etc/docker/daemon.json && sudo {command}"


def _systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def process_of(engine: Engine) -> int:
    """Return the PID of the dockerd that answers at the engine's socket, since others may run on this machine.

    Where systemd listens for dockerd, dockerd's own file tells, which is beside the socket (dockerd(8), --pidfile).

    Raises:
        RegistryError: No dockerd of this machine answers there.
    """
    import psutil

    path = engine.info().socket.removeprefix("unix://")
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        number = _listener(path)
        if psutil.Process(number).name() == "systemd":
            number = int(Path(path).with_name("docker.pid").read_text())
        if psutil.Process(number).name() == "dockerd":
            return number
    raise RegistryError(
        f"No dockerd process of this machine answers at {engine.info().socket}: none can be told of the change.",
        cure="Restart the engine by hand; with Docker Desktop: Settings, Docker Engine, Apply.",
    )


def _listener(path: str) -> int:
    """Return the PID of the process that listens at a socket (unix(7)), where the operating system tells.

    Raises:
        OSError: Nothing listens, or nothing is told.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        peer = getattr(socket, "SO_PEERCRED", -1)  # Linux alone has it
        return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, peer, struct.calcsize("3i")))[0])


def _log(engine: Engine) -> str:
    """Return the command that shows an engine's log.

    Without systemd, the log file of Debian's service.
    """
    if not _systemd():
        return "sudo tail /var/log/docker.log"
    return "journalctl --user --unit docker" if engine.info().rootless else "sudo journalctl --unit docker"
