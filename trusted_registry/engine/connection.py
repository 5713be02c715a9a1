"""Connections to the Docker Engine that a person means; a refusal or silence becomes an error with a cure."""

from __future__ import annotations

import contextlib
import http.client
import os
import platform
import struct
import tarfile
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import docker
import requests
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound, StreamParseError
from urllib3.exceptions import HTTPError

from trusted_registry import address
from trusted_registry.console import Console, pasteable
from trusted_registry.engine import asking, membership
from trusted_registry.errors import AccessDeniedError, RegistryError, RemoteEngineError

_SLOW = 120
"""Seconds for work of the engine; a push sends something at least that often. `asking` has those of questions."""

_OVER_THE_NETWORK = ("tcp", "http", "https", "ssh")
"""Schemes of DOCKER_HOST for the network; others are of this machine, such as Docker Desktop's and rootless sockets."""

_INSTALL = "./inv engine installs and starts one."
_RESTART = "sudo systemctl restart docker"

CONNECTION_ERRORS = (DockerException, StreamParseError, HTTPError, http.client.HTTPException, OSError)
"""Exceptions of the docker package and its dependencies for an engine that went away; no single base covers them.

Those of requests are OSErrors.
"""

_ODD = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    *(struct.error, tarfile.TarError),
)
"""Exceptions of whoever reads an answer, the docker package too, that is not of the form that an engine's has."""

_REASON = 2000
"""Characters of a reason that an engine gives."""

_Answer = TypeVar("_Answer")


class Connection:
    """A client of an engine, or none; `connect_error` may then have the reason."""

    def __init__(
        self, client: docker.DockerClient | None, console: Console, connect_error: RegistryError | None = None
    ) -> None:
        self.connect_error = connect_error
        self._client = client
        self._console = console

    @property
    def available(self) -> bool:
        """True if an engine answers."""
        return self._client is not None

    def close(self) -> None:
        """Close the connections to the engine."""
        if self._client:
            self._client.close()

    def _require_client(self) -> docker.DockerClient:
        if self._client is None:
            raise self.connect_error or RegistryError("No Docker Engine answers.", cure=_INSTALL)
        return self._client

    def _found(self, what: str, get: Callable[[docker.DockerClient], _Answer]) -> _Answer | None:
        """Return an object of the engine; None if the object is absent, or no engine answers."""
        if self._client is None:
            return None
        with errors_explained(f"{what} could not be inspected"), contextlib.suppress(NotFound):
            return get(self._client)
        return None

    def _remove(self, what: str, argv: Sequence[str], remove: Callable[[docker.DockerClient], object]) -> None:
        """Show a command that removes something, and do so unless in a dry run; an absent one is no error."""
        self._console.command(argv)
        if not self._console.dry:
            with errors_explained(f"{what} could not be removed"), contextlib.suppress(NotFound):
                remove(self._require_client())


def client(*, anywhere: bool = False) -> docker.DockerClient:
    """Return a client of the engine that DOCKER_HOST or the context names.

    Args:
        anywhere: Accept another machine's engine: ports published there are not at this machine's address, and files
            here cannot be mounted there.

    Raises:
        RemoteEngineError: The engine is another machine's, and `anywhere` is false.
        RegistryError: No engine answers, or the context does not exist.
    """
    named, host = _context(), os.environ.get("DOCKER_HOST", "")
    if not host:
        context = docker.ContextAPI.get_context(named)
        # The docker package takes a context that does not exist for the default one (docker/context/api.py).
        if context is None:
            raise RegistryError(
                f"There is no Docker context {named!r}.", cure="docker context ls lists those that there are."
            )
        host = str(context.Host or "")
    if not anywhere and _is_remote(host):
        raise RemoteEngineError(
            f"The Docker Engine at {host} is another machine's; the registry needs one of this machine.",
            cure=f"{_back_to_own_engine()}  # or the same command on that machine",
        )
    try:
        made = asking.Client.from_env(timeout=_SLOW)
    except (DockerException, ValueError) as error:
        raise _unreachable(error, host) from error
    # Proxies and passwords of the environment are not for a socket; to look for them takes a fifth of each question.
    made.api.trust_env = not socket(made)
    return made


def _is_remote(url: str) -> bool:
    """Return whether a URL leads to another machine's engine.

    A network URL with an address or a name of this machine does not.
    """
    try:
        parts = urlsplit(url if "://" in url else f"tcp://{url}")
    except ValueError:
        return False  # the docker package refuses it in its own words
    host = parts.hostname
    if parts.scheme not in _OVER_THE_NETWORK or not host or host == "localhost":
        return False
    own = ("::1", platform.node().lower(), address.own_name(), *address.own_addresses())
    return not (host.startswith("127.") or host in own)


def _back_to_own_engine() -> str:
    """Return the command that selects this machine's own engine."""
    variable = next((name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(name)), "")
    return f"unset {variable}" if variable else "docker context use default"


def socket(client: docker.DockerClient) -> str:
    """Return the URL of a client's Unix socket, or "" for another connection."""
    path = getattr(getattr(client.api, "_custom_adapter", None), "socket_path", "")
    return f"unix://{path}" if path else ""


def connect_error() -> RegistryError | None:
    """Return the reason why no engine answers, or None if one does."""
    try:
        client().close()
    except RegistryError as error:
        return error
    return None


def is_chosen() -> bool:
    """Return whether a person chose the engine, by DOCKER_HOST or a context.

    The default context is no choice, and neither is its socket by that variable.
    """
    host = os.environ.get("DOCKER_HOST", "")
    return not membership.is_about(host) if host else _context() != "default"


def _context() -> str:
    return os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"


def _unreachable(error: Exception, at: str = "") -> RegistryError:
    """Return the error with its cure for an engine that cannot be asked; `at` is its URL."""
    host = os.environ.get("DOCKER_HOST") or f"the context {_context()}" if is_chosen() else ""
    place = f" at {host}" if host else ""
    if "Permission denied" in str(error):
        if not host:
            return membership.denied()
        return AccessDeniedError(f"You may not use the Docker Engine{place}.", cure=_see_why(at or host))
    if isinstance(error.__cause__, TimeoutError):  # of the first question, within the SDK's own error
        silent = f"The Docker Engine at {at} does not answer."
        return RegistryError(silent, cure=f"{_RESTART}{'  # or name another one: DOCKER_HOST' if host else ''}")
    cure = "Name one that does: DOCKER_HOST, or docker context use default." if host else _INSTALL
    return RegistryError(f"No Docker Engine answers{place or ' on this machine'}.", cure=cure)


def _see_why(url: str) -> str:
    """Return the cure that shows why the engine at a URL lets this user not in."""
    scheme, _, rest = url.partition("://")
    if scheme in membership.UNIX:
        return f"See who may use it: {pasteable(['ls', '-l', rest])}; id"
    by_ssh = ["ssh", f"ssh://{rest.partition('/')[0]}"] if scheme == "ssh" else []
    return f"See why: {pasteable([*by_ssh, 'docker', 'version'])}"


@contextlib.contextmanager
def errors_explained(what: str) -> Iterator[None]:
    """Turn the engine's refusals, its silence and its odd answers into errors with a cure."""
    try:
        yield
    except APIError as error:
        reason = str(error.explanation or error).strip()[:_REASON]
        raise RegistryError(f"{what}: {reason}", cure="./inv status shows what is there.") from error
    except Exception as error:
        # The docker package raises a bare Exception where an object should be (docker/models/resource.py).
        if not isinstance(error, (*CONNECTION_ERRORS, *_ODD)) and type(error) is not Exception:
            raise
        raise _unanswered(what, error) from error


def _unanswered(what: str, error: Exception) -> RegistryError:
    if isinstance(error, CONNECTION_ERRORS) and not isinstance(error, requests.JSONDecodeError):
        cure = "./inv engine starts it again; then repeat the command."
        return RegistryError(f"{what}: the Docker Engine stopped answering.", cure=cure)
    cure = f"Is that really a Docker Engine? {pasteable(['docker', 'version'])}"
    return RegistryError(f"{what}: the answer is not one of a Docker Engine.", cure=cure)
