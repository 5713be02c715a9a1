"""Contents of an instance's folder: made from the certificates' folder, and carried in a volume of its own.

So a registry that runs needs no checkout: neither its path, nor the disk that it is on, nor the rights of its owner.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from trusted_registry import files, installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.instance import ownership
from trusted_registry.instance.model import (
    FILES_FOLDER,
    FILES_ROLE,
    File,
    Instance,
    Role,
    filler_name,
    predecessor_name,
)
from trusted_registry.registry import users
from trusted_registry.run import Run


def differing(instance: Instance, engine: Engine) -> list[File]:
    """Return the files that an instance which runs reads otherwise than they are here.

    One that a version before the volumes started reads them in place: it is another instance by its digest.
    """
    there = engine.read_files(instance.name, FILES_FOLDER)
    return [it for it in instance.files if there.get(it.name) != it.content]


def share(
    instance: Instance,
    changed: Sequence[File],
    run: Run,
    engine: Engine,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Have an instance find some of its files as they are here; those that are live, as they are by now."""
    image = instance.image.id or instance.image.name
    with _alone(run):
        newest = [it.with_content(it.source.read_bytes()) if it.immediate else it for it in changed]
        engine.fill(instance.files_volume, instance.installation, image, newest, meanwhile)


def share_users(run: Run, engine: Engine) -> None:
    """Have the registry here know the users as they are now, whether it runs or not, and whoever waits to be put back.

    With the last user gone nobody is let in until the registry is replaced by one that asks for no login.
    """
    path = users.users_file(run.settings.folder)
    for name in (run.settings.container, predecessor_name(run.settings.container)):
        container = engine.find(name)
        # A registry of a version before the volumes of files reads them in place.
        if container is None or not container.files_volume or container.role != Role.TLS:
            continue
        own = run.with_settings(container=name).settings
        if not ownership.is_own(container, own, engine):
            continue
        with _alone(run):
            file = File(users.FILE, path, path.read_bytes() if files.exists(path) else b"", secret=True, immediate=True)
            id_, image = installation.known(own.folder).id, container.image_id or container.image
            engine.fill(container.files_volume, id_, image, [file])


def _alone(run: Run) -> AbstractContextManager[None]:
    """Have one run at a time read files here and put them into a volume: the later one has the newer ones."""
    return contextlib.nullcontext() if run.console.dry else files.locked(run.settings.folder)


def sweep(run: Run, engine: Engine) -> None:
    """Remove the volumes of files that no container of this registry has any more.

    A container that fills one was left by a run that was killed: whoever is at work has the lock.
    """
    own = installation.known(run.settings.folder).id
    if run.console.dry or not own:
        return
    with _alone(run):
        prefix = f"{run.settings.container}-{FILES_ROLE}-"
        for name in (it for it in engine.list_files_volumes(own) if it.startswith(prefix)):
            filler, holders = filler_name(name), engine.holders(name)
            if filler in holders:
                engine.remove(filler, at_once=True)
            if set(holders) <= {filler}:
                engine.remove_volume(name)
