"""Changes the engine's daemon.json and has the engine take it up without a restart."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, run
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust import apply, insecure, ledger
from trusted_registry.trust.plan import Plan

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings

TAKEN_UP = 5.0
"""Seconds that an engine may take to reload its configuration."""


def allow_plain(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Have the engine accept plain HTTP on this machine's address, and wait until it does.

    Returns:
        True when its configuration was changed.

    Raises:
        RegistryError: daemon.json cannot be understood or written, or the engine does not take it up.
    """
    registry = f"{address.bracketed(settings.address)}:{settings.plain_port}"
    if engine.here and registry in engine.info().insecure:
        return False
    path = insecure.config_file(rootless=engine.here and engine.info().rootless)
    before = _text_of(path)
    writes = [Write(path, insecure.added(before, registry, path).encode())]
    backup = path.with_name(path.name + insecure.BACKUP)
    if before and not backup.exists():
        writes.insert(0, Write(backup, before.encode()))
    backups = (("cp", str(path), str(backup)),) if len(writes) > 1 else ()
    plan = Plan("insecure", tuple(writes), (*backups, _editor(path)))
    if not edge.dry:
        ledger.record(ledger.where(), ledger.entries(Plan(plan.store, tuple(writes[-1:]), ()), registry))
    apply.carry_out(plan, edge)
    reload(engine, edge)
    _await(engine, edge, registry, listed=True)
    return True


def disallow(entry: ledger.Entry, engine: Engine, edge: Edge) -> None:
    """Take one registry out of daemon.json again, keeping whatever else was changed there since."""
    path = Path(entry.path)
    before = _text_of(path)
    after = insecure.removed(before, entry.value, path)
    if after == before:
        return
    backup = path.with_name(path.name + insecure.BACKUP)
    original = _text_of(backup)
    if original and _same(original, after):
        after = original
    operations: list[Write | Remove] = [Write(path, after.encode())] if after else [Remove(path, keep=path.parent)]
    operations += [Remove(backup, keep=path.parent)] if original else []
    apply.carry_out(Plan("insecure", tuple(operations), (_editor(path),)), edge)
    reload(engine, edge)
    _await(engine, edge, entry.value, listed=False)


def _same(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other or "{}"))
    except ValueError:
        return False


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{path} cannot be read: {error}.", cure=f"Look: ls -l {path}") from error


def _editor(path: Path) -> tuple[str, ...]:
    return ("sh", "-c", '"${EDITOR:-vi}" "$0"', str(path))


def reload(engine: Engine, edge: Edge) -> None:
    """Have the engine read daemon.json again; its containers run on (dockerd(8), SIGHUP)."""
    if Path("/run/systemd/system").is_dir():
        rootless = engine.here and engine.info().rootless
        if rootless:
            run.act(["systemctl", "--user", "reload", "docker"], edge)
        else:
            run.act([*run.sudo(), "systemctl", "reload", "docker"], edge)
        return
    pid = _pid() if engine.here else "PID"
    run.act([*run.sudo(), "kill", "-HUP", pid], edge)


def _pid() -> str:
    import psutil

    for process in psutil.process_iter(["name", "pid"]):
        if process.info["name"] == "dockerd":
            return str(process.info["pid"])
    raise RegistryError(
        "The engine runs elsewhere: there is no dockerd process here to tell of the change.",
        cure="Restart it by hand; with Docker Desktop: Settings, Docker Engine, Apply.",
    )


def _await(engine: Engine, edge: Edge, registry: str, *, listed: bool) -> None:
    """Wait until the engine says that it took a change up."""
    if edge.dry:
        return
    end = time.monotonic() + TAKEN_UP
    while (registry in engine.info().insecure) is not listed:
        if time.monotonic() > end:
            raise RegistryError(
                "The engine did not take up its changed configuration.",
                cure="Its log says why; perhaps it was started with another --config-file.",
            )
        time.sleep(0.05)
