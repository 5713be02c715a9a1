"""Changes of the lists in the engine's daemon.json, which the engine takes up without a restart, and their removal."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from trusted_registry import address, files
from trusted_registry.console import Console, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import PODMAN, EngineInfo
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.mirror.upstream import DOCKER_HUB
from trusted_registry.run import Run
from trusted_registry.trust.local import apply, daemon, ledger, owned, plan
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.plan import Plan
from trusted_registry.trust.model import MACOS, Mirror, Store, TrustAnchor
from trusted_registry.trust.specifics import daemon_json, engine_mirrors
from trusted_registry.trust.specifics.daemon_json import INSECURE, LISTS, MIRRORS, DaemonList

_ROOTLESS = "docker-rootless"
_STORES = ("docker", _ROOTLESS)
"""Keys of the stores of engines that have a daemon.json on this machine."""
FILE_FLAG = "--config-file"
FLAG_FILES = ("/etc/default/docker", "/etc/systemd/system", "/lib/systemd/system")


def allow_plain(run: Run, engine: Engine) -> bool:
    """Make the engine accept plain HTTP at this machine's address.

    Returns:
        True if the configuration was changed.

    Raises:
        RegistryError: As of `add`.
    """
    return add(INSECURE, address.registry_host(run.settings.address, run.settings.plain_port), run, engine)


def use_mirror(anchor: TrustAnchor, run: Run, engine: Engine) -> bool:
    """Have the engine ask the mirror of Docker Hub where there is one, and none that is not used any more.

    Podman reads no daemon.json. That of Docker Desktop is in its settings, so there the line to add is told.

    Returns:
        True if the configuration was changed.

    Raises:
        RegistryError: As of `add`.
    """
    wanted = [f"https://{it.registry_host}" for it in anchor.mirrors if it.upstream == DOCKER_HUB]
    if not has_file(engine):
        _say_desktop(wanted, engine, run.console)
        return False
    if not engine.available and not run.console.dry:
        _say_silent(wanted, run.console)
        return False
    path = config_file(engine)
    outdated = [it for it in _recorded(MIRRORS, path, run) if it.value not in wanted]
    for entry in outdated:
        remove(entry, engine, run.console)
        ledger.forget(ledger.path(), [] if run.console.dry else [entry])
    added = [it for it in wanted if add(MIRRORS, it, run, engine)]
    return bool(added or outdated)


def builds_with_restart(mirrors: Sequence[Mirror], engine: Engine) -> bool:
    """Whether the engine's builds ask the mirror only after a restart, and it was not restarted since it was told."""
    if not engine.available or not has_file(engine):
        return False
    path = config_file(engine)
    if not engine_mirrors.builds_with_restart(engine.info(), mirrors) or not files.exists(path):
        return False
    return 0 < daemon.began(engine) < path.stat().st_mtime


def is_told(mirror: Mirror, store: Store, info: EngineInfo | None) -> bool:
    """Whether the engine of a store has a mirror in its list, which is for that of Docker Hub alone.

    Args:
        mirror: The mirror.
        store: The store.
        info: The engine, if it answers; of another one, its file counts.
    """
    value = f"https://{mirror.registry_host}"
    if mirror.upstream != DOCKER_HUB or store.key not in _STORES:
        return True
    if info:
        return info.product == PODMAN or MIRRORS.is_in_use(info, value)
    return value in (states.text_or_none(daemon_json.config_file(rootless=store.key == _ROOTLESS)) or "")


def has_file(engine: Engine) -> bool:
    """Whether an engine reads a daemon.json of this machine: podman reads none, and Docker Desktop has a machine."""
    if platform.system() == MACOS:
        return False
    return not engine.available or (engine.info().product != PODMAN and not engine.info().desktop)


def _say_silent(wanted: Sequence[str], console: Console) -> None:
    """Warn of an engine that does not answer, and whose flags are not known, which can exclude a list in its file."""
    paths = [daemon_json.config_file(rootless=it) for it in (True, False)]
    for value in wanted:
        if not any(value in (states.text_or_none(it) or "") for it in paths):
            console.warn(f"no engine answers, so none was told to ask {value}. Once it does: ./inv trust.linux")


def _say_desktop(wanted: Sequence[str], engine: Engine, console: Console) -> None:
    for value in wanted:
        if not engine.available or (engine.info().desktop and not MIRRORS.is_in_use(engine.info(), value)):
            line = f'"{MIRRORS.key}": ["{value}"]'
            console.say(f"Docker Desktop: it does not ask the mirror before this is in Settings, Docker Engine: {line}")


def config_file(engine: Engine) -> Path:
    """Return the path of the configuration of the engine that answers, or of root's where none does."""
    return daemon_json.config_file(rootless=engine.available and engine.info().rootless).resolve()


def _recorded(listed: DaemonList, path: Path, run: Run) -> list[ledger.Entry]:
    return [it for it in owned.entries(run.settings) if it.store == listed.store and it.path == str(path)]


def add(listed: DaemonList, value: str, run: Run, engine: Engine) -> bool:
    """Add a value to a list of daemon.json, and return once the engine goes by that.

    Returns:
        True if the configuration was changed.

    Raises:
        RegistryError: daemon.json is not valid, cannot be written, is for its engine's user to write, or is not what
            the engine goes by; or the engine does not take it up, and then it is as it was.
    """
    path = config_file(engine)
    ours = any(it.value == value for it in _recorded(listed, path, run))
    in_use = engine.available and listed.is_in_use(engine.info(), value)
    if in_use and not (ours and not listed.has(text_of(path), value, path)):
        return False
    if engine.available and engine.info().rootless and ledger.is_root_in_foreign_home():
        raise RegistryError(
            f"This is root in another user's home folder, {Path.home()}, where an engine without root is configured.",
            cure="As that user, the same command without sudo.",
        )
    before = text_of(path)
    change = Write(path, listed.added(before, value, path).encode(), plan.mode(path))
    _check_flags(listed, engine, path, value)
    if change.content == before.encode():
        by = "" if ours else ", from somebody else"
        run.console.say(f'{path}: "{listed.key}" has "{value}" already{by}; the engine reads it again')
        _write_config(listed, change, engine, run.console, value, used=True)
    else:
        _add(listed, value, change, run, engine)
    return True


def _add(listed: DaemonList, value: str, change: Write, run: Run, engine: Engine) -> None:
    path, before = change.path, text_of(change.path)
    entry = ledger.entry(listed.store, path, change.content, by=run.settings.root, value=value)
    backup = Write(_backup(path), before.encode(), change.mode)
    undo = [_as_it_is(path), *([] if files.exists(backup.path) else [_as_it_is(backup.path)])]
    owned.record(run, [entry])
    run.console.say(f'{path}: "{listed.key}" gains "{value}"')
    try:
        with _put_back(undo, engine, run.console):
            if files.exists(path) and not files.exists(backup.path) and not _has_others(entry):
                apply.carry_out(Plan(listed.store, (backup,), (("cp", str(path), str(backup.path)),)), run.console)
            _write_config(listed, change, engine, run.console, value, used=True)
    except RegistryError:
        ledger.forget(ledger.path(), [] if run.console.dry else [entry])
        raise


def remove(entry: ledger.Entry, engine: Engine, console: Console) -> None:
    """Remove one value from daemon.json, and keep all other changes.

    An engine of another user's, or another one of this machine, keeps the value until it starts again.

    Raises:
        RegistryError: daemon.json is not valid or cannot be written, or the engine does not take it up, and then it is
            as it was.
    """
    listed = daemon_json.of_store(entry.store)
    if listed is None:
        raise KeyError(entry.store)
    path, backup = Path(entry.path), _backup(Path(entry.path))
    before, original = text_of(path), text_of(backup)
    after = listed.removed(before, entry.value, path)
    has_backup = files.exists(backup)
    if has_backup and files.exists(path):
        after = original if daemon_json.is_same(original, after) else after or "{}\n"
    stays_there = bool(after) or (has_backup and files.exists(path))
    if after != before or (engine.available and listed.is_in_use(engine.info(), entry.value)):
        interim = Write(path, listed.without(before, entry.value, path).encode(), plan.mode(path))
        by_others = listed.has(interim.content.decode(), entry.value, path)
        stays = ", which another entry of it still means" if by_others else ""
        console.say(f'{path}: "{listed.key}" loses "{entry.value}"{stays}')
        with _put_back([_as_it_is(path)], engine, console):
            _write_config(listed, interim, engine, console, entry.value, used=by_others)
    if stays_there:
        apply.carry_out(Plan(listed.store, (Write(path, after.encode(), plan.mode(path)),), ()), console)
    obsolete = [Remove(backup, keep=path.parent)] if has_backup and not _has_others(entry) else []
    obsolete += [] if stays_there else [Remove(path, keep=path.parent)]
    apply.carry_out(plan.removal(listed.store, obsolete), console)


def _has_others(entry: ledger.Entry) -> bool:
    """Whether other values of ours are in the same file, for which the backup stays."""
    stores = {it.store for it in LISTS}
    mine = [it for it in ledger.read(ledger.path()) if it.store in stores and it.path == entry.path]
    return any((it.store, it.value) != (entry.store, entry.value) for it in mine)


def _backup(path: Path) -> Path:
    return path.with_name(path.name + daemon_json.BACKUP)


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
                plan.patch(text_of(it.path), it) if isinstance(it, Write) else ("rm", str(it.path)) for it in undo
            )
            console.say(f"put back as it was: {undo[0].path}")
            apply.carry_out(Plan("daemon.json", tuple(undo), typed), console)
            with contextlib.suppress(RegistryError):  # the error that led here says more
                daemon.reload(engine, console)
        raise


def _write_config(  # noqa: PLR0913 - all that one change is
    listed: DaemonList, change: Write, engine: Engine, console: Console, value: str, *, used: bool
) -> None:
    """Write daemon.json, reload the engine, and wait until the engine goes by the value, or no longer does.

    Raises:
        RegistryError: The file cannot be written, or the engine did not take it up within RELOAD_SECONDS.
    """
    apply.carry_out(Plan(listed.store, (change,), (plan.patch(text_of(change.path), change),)), console)
    reads = not engine.available or change.path == config_file(engine)
    if not console.dry and not (engine.available and reads):
        return  # one that starts later reads it then
    daemon.reload(engine, console)
    end = time.monotonic() + daemon.RELOAD_SECONDS
    while not console.dry and listed.is_in_use(engine.info(fresh=True), value) is not used:
        if time.monotonic() > end:
            raise RegistryError(
                f"The engine did not take up its changed configuration, {change.path}.",
                cure=f"Its log says why: {daemon.log(engine)}",
            )
        time.sleep(0.05)


def _check_flags(listed: DaemonList, engine: Engine, path: Path, value: str) -> None:
    """Refuse a change that the engine's own flags exclude: it would not take that up, and not start again.

    Raises:
        RegistryError: The engine reads another file, or has the list from a flag (dockerd(8)).
    """
    flags = daemon.flags(engine, (FILE_FLAG, listed.flag)) if engine.available else {}
    other = flags.get(FILE_FLAG)
    if other and Path(other).resolve() != path:
        raise RegistryError(
            f"The engine was started with {FILE_FLAG} {other}: it does not read {path}.",
            cure=f'Write there, then restart it: "{listed.key}": ["{value}"]',
        )
    if listed.flag in flags:
        raise RegistryError(
            f"The engine was started with {listed.flag} {flags[listed.flag]}: with that list in {path} too, it would "
            "neither take it up nor start again.",
            cure=f"Add the flag {listed.flag} {value} beside that one, and restart the engine: "
            + pasteable(["grep", "-r", "-e", listed.flag, *FLAG_FILES]),
        )


def text_of(path: Path) -> str:
    """Return a file's text with its own line ends; empty for one that is absent.

    Raises:
        RegistryError: It cannot be read, or is no text.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{path} cannot be read: {error}.", cure=f"Look: {pasteable(['ls', '-l', str(path)])}"
        ) from error
