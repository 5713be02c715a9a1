"""First start of a registry: the engine starts the container, which waits for its files, while these are made."""

from __future__ import annotations

from collections.abc import Callable

from trusted_registry import installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.instance import contents, front, roles
from trusted_registry.instance.model import Instance, predecessor_name
from trusted_registry.run import Run


def is_first(run: Run, engine: Engine) -> bool:
    """Return whether a container is started where none was, by a shell that waits for its files."""
    settings = run.settings
    names = (settings.container, predecessor_name(settings.container))
    if run.console.dry or settings.front or any(map(engine.find, names)) or front.is_traced(settings, engine):
        return False
    id_ = engine.image_id(settings.image)
    return bool(id_ and engine.entrypoint(id_, shell=installation.known(settings.folder).has_shell(id_)))


def start(
    instance: Instance, run: Run, engine: Engine, prepare: Callable[[], None], meanwhile: Callable[[], None]
) -> None:
    """Have the engine start a container, which waits for its files, while these are made and taken."""

    def hand_over() -> None:
        prepare()
        made = [it.with_content(roles.content(it.source)) if it.handed else it for it in instance.files]
        contents.share(instance, made, run, engine, meanwhile)

    engine.make_files_volume(instance.files_volume, instance.installation)
    engine.run(instance, hand_over)
