"""Contents of an instance's folder: made from the certificates' folder, and carried in a volume of its own.

So a registry that runs needs no checkout: neither its path, nor the disk that it is on, nor the rights of its owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import installation
from trusted_registry.instance.model import FILES_FOLDER, FILES_ROLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import File, Instance
    from trusted_registry.instance.predecessor import Predecessor
    from trusted_registry.run import Run


def fill(instance: Instance, before: Predecessor, engine: Engine) -> None:
    """Fill the volume of an instance with the files that it reads; those made for it are written here as well."""
    before.write([it for it in instance.files if it.made])
    engine.fill(instance.files_volume, instance.installation, instance.image.name, instance.files)


def differing(instance: Instance, engine: Engine) -> list[File]:
    """Return the files that an instance which runs reads otherwise than they are here.

    One that a version before the volumes started reads them in place: it is another instance by its digest.
    """
    there = engine.read_files(instance.name, FILES_FOLDER)
    return [it for it in instance.files if there.get(it.name) != it.content]


def share(instance: Instance, files: Sequence[File], engine: Engine) -> None:
    """Have an instance that runs find some of its files as they are here."""
    engine.fill(instance.files_volume, instance.installation, instance.image.name, files)


def sweep(run: Run, engine: Engine) -> None:
    """Remove the volumes of files that no container of this registry has any more."""
    if run.console.dry:
        return
    own = installation.known(run.settings.folder).id
    for name in engine.list_files_volumes(own) if own else []:
        if name.startswith(f"{run.settings.container}-{FILES_ROLE}-") and not engine.holders(name):
            engine.remove_volume(name)
