"""Containers that are not this project's: a list of them, and programs run in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry.engine import connection
from trusted_registry.engine import types as engine_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trusted_registry.engine.engine import Engine


def list_containers(engine: Engine) -> tuple[engine_types.ListedContainer, ...]:
    """Return all containers by name, stopped ones included."""
    with connection.errors_explained("The containers could not be listed"):
        listed = engine.api.containers(all=True)
    found = (
        engine_types.ListedContainer(str(it["Names"][0]).lstrip("/"), str(it["State"]), it.get("Labels") or {})
        for it in listed
        if it.get("Names")
    )
    return tuple(sorted(found, key=lambda it: it.name))


def execute(engine: Engine, name: str, argv: Sequence[str]) -> engine_types.ExecResult:
    """Run a program as root in a running container, to its end.

    Raises:
        RegistryError: The container does not run, is paused, or the engine went away.
    """
    with connection.errors_explained(f"Nothing can run in {name}"):
        number = engine.api.exec_create(name, list(argv), user="0")["Id"]
        out, err = engine.api.exec_start(number, demux=True)
        code = engine.api.exec_inspect(number)["ExitCode"]
    return engine_types.ExecResult(code, _text(out), _text(err))


def _text(stream: bytes | None) -> str:
    return (stream or b"").decode(errors="replace")
