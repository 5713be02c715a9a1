"""Changes of a container that may end by itself at that very moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from docker.errors import APIError

if TYPE_CHECKING:
    from docker.models.containers import Container

_TURNS, _PAUSE = 20, 0.1
"""Turns, and seconds between them, for an engine to know of a container's end."""


def restart_no_more(container: Container) -> None:
    """Have the engine restart a container no more; one that ends at this moment can be changed once that is known."""
    for left in reversed(range(_TURNS)):
        try:
            container.update(restart_policy={"Name": "no"})  # type: ignore[arg-type]  # a mapping will do
        except APIError:
            if not left:
                raise
            time.sleep(_PAUSE)
            container.reload()
        else:
            return


def send(container: Container, signal: str) -> None:
    """Send a signal to a container; one that has ended meanwhile needs none."""
    try:
        container.kill(signal=signal)
    except APIError:
        container.reload()
        if container.status == "running":
            raise
