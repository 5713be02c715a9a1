"""Mover: a container with a shell that serves nothing, through which the files of a volume are moved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trusted_registry import installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ownership
from trusted_registry.instance.model import LOOPBACK, Image, Instance, Published, Role, Storage, mover_name
from trusted_registry.run import Run

WAIT = "exec sleep 100000000"
"""It has no task of its own: programs are run in it, until it is removed."""


def sweep(run: Run, engine: Engine) -> None:
    """Remove the mover that a killed run left.

    Raises:
        RegistryError: A container of that name is somebody else's.
    """
    name = mover_name(run.settings.container)
    if ownership.container(run.with_settings(container=name), engine):
        engine.remove(name, at_once=True)


@contextlib.contextmanager
def running(volume: str, container: Container, run: Run, engine: Engine) -> Iterator[str]:
    """Yield the name of a mover that has a volume, until the context ends.

    Args:
        volume: The volume, which is there.
        container: The registry's container, whose image has the shell.
        run: Settings, and the console.
        engine: The engine.

    Raises:
        RegistryError: A container of that name is somebody else's, or the engine does not start one.
    """
    name = mover_name(run.settings.container)
    sweep(run, engine)
    made = Instance(  # noqa: S604 - a shell in the container
        role=Role.MOVER,
        name=name,
        image=Image(container.image_id, container.image_id),
        command=("-c", WAIT),
        published=Published(LOOPBACK, 0),
        storage=Storage(volume),
        files=(),
        shell=True,
        restart="no",
        environment=(),
        files_of=container.files_volume,
        installation=installation.known(run.settings.folder).id,
        network="none",
        behind=True,
    )
    try:
        engine.run(made)
        yield name
    finally:
        with contextlib.suppress(RegistryError):  # the next one removes it, and so does the end of the registry
            engine.remove(name, at_once=True)
