"""The engine that a person means, and that of tasks that can do without one."""

from __future__ import annotations

from trusted_registry.console import Console
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError, RemoteEngineError

# The Docker SDK is imported by the functions: that takes a fifth of a second, which callers have other uses for.


def connect(console: Console, *, anywhere: bool = False) -> Engine:
    """Return the engine that DOCKER_HOST or the current context names.

    In a dry run the engine need not be there.

    Raises:
        RegistryError: No engine answers, or another machine's does and `anywhere` is false.
    """
    from trusted_registry.engine import connection
    from trusted_registry.engine.docker_engine import DockerEngine

    try:
        return DockerEngine(connection.client(anywhere=anywhere), console)
    except RegistryError as error:
        if not console.dry or isinstance(error, RemoteEngineError):
            raise
        return unavailable(console)


def connect_if_available(console: Console, *, quiet: bool = False) -> Engine:
    """Return the engine, or an unavailable one if none answers.

    For tasks that can do part of their work without an engine.
    """
    from trusted_registry.engine import connection
    from trusted_registry.engine.docker_engine import DockerEngine

    try:
        return DockerEngine(connection.client(), console)
    except RegistryError as error:
        if not quiet or isinstance(error, RemoteEngineError):
            console.warn(f"{error.message} What needs one is left out. {error.cure}")
        return unavailable(console, error)


def unavailable(console: Console, connect_error: RegistryError | None = None) -> Engine:
    """Return an engine without containers and images, for the place of one that does not answer."""
    from trusted_registry.engine.docker_engine import DockerEngine

    return DockerEngine(None, console, connect_error)
