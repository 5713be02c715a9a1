"""Pulls that a container's log tells of: kept before that goes with the container."""

from __future__ import annotations

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import Role
from trusted_registry.run import Run


def keep(container: Container | None, run: Run, engine: Engine) -> None:
    """Keep the pulls in the log of a container that is about to go; a failure is told, and stops nothing."""
    if container is None or container.state != "running" or run.console.dry:
        return
    if container.role not in {Role.TLS, Role.PLAIN, Role.MIRROR}:
        return
    from trusted_registry.images import history  # with all that reads images, which a first start does without

    try:
        history.updated(container, run, engine, ends=True)
    except RegistryError as error:
        run.console.warn(f"the last pulls were not noted: {error.message}")
