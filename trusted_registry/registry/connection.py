"""Reaches the Docker Engine that a person means, and puts its refusals and its silence into words."""

from __future__ import annotations

import contextlib
import http.client
import os
from typing import TYPE_CHECKING

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker.context.config import get_current_context_name

from trusted_registry.errors import RegistryError
from trusted_registry.registry.answers import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOW = 120
"""Seconds that one answer of the engine may take; a push or a pull sends something at least that often."""

SILENCE = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)
"""How the docker package and what it stands on say that an engine went away; none is a kind of another."""


def client() -> docker.DockerClient:
    """Return a client of the engine that DOCKER_HOST or the current context names.

    Raises:
        RegistryError: None answers there, or there is no such context.
    """
    named = _context()
    # The docker package takes a context that does not exist for the default one (docker/context/api.py).
    if not os.environ.get("DOCKER_HOST") and docker.ContextAPI.get_context(named) is None:
        raise RegistryError(
            f"There is no Docker context {named!r}.", cure="docker context ls lists those that there are."
        )
    try:
        return docker.DockerClient.from_env(timeout=_SLOW)
    except (docker.errors.DockerException, ValueError) as error:
        raise _unreachable(error) from error


def socket(client: docker.DockerClient) -> str:
    """Return the socket by which a client reaches its engine; empty where it is none."""
    path = getattr(getattr(client.api, "_custom_adapter", None), "socket_path", "")
    return f"unix://{path}" if path else ""


def absence() -> RegistryError | None:
    """Return why no engine answers, or None where one does."""
    try:
        client().close()
    except RegistryError as error:
        return error
    return None


def is_named() -> bool:
    """Whether a person said which engine is meant, by DOCKER_HOST or by a context other than the default."""
    return bool(os.environ.get("DOCKER_HOST")) or _context() != "default"


def _context() -> str:
    return os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"


def _unreachable(error: Exception) -> RegistryError:
    where = os.environ.get("DOCKER_HOST", "")
    if not where and is_named():
        where = f"the context {_context()}"
    place = f" at {where}" if where else ""
    if "Permission denied" in str(error):
        return AccessDenied(
            f"The Docker Engine{place} does not let this user in.",
            cure="sudo usermod --append --groups docker $USER  # then log in again; or run this as root",
        )
    if where:
        return RegistryError(
            f"No Docker Engine answers{place}.", cure="Name one that does: DOCKER_HOST, or docker context use default."
        )
    return RegistryError("No Docker Engine answers on this machine.", cure="./inv engine installs and starts one.")


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what the engine refuses, or its silence, into one line and a cure."""
    try:
        yield
    except docker.errors.APIError as error:
        raise RegistryError(f"{what}: {_reason(error)}", cure="./inv status shows what is there.") from error
    except SILENCE as error:
        raise RegistryError(
            f"{what}: the Docker Engine stopped answering.",
            cure="./inv engine starts it again; then repeat the command.",
        ) from error


def _reason(error: docker.errors.APIError) -> str:
    return str(error.explanation or error).strip()
