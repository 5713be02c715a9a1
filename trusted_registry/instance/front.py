"""Front: haproxy before the TLS registry, which leads new connections to whoever is to have them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

from trusted_registry import installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, front_image, ownership, roles
from trusted_registry.instance.model import (
    FILES_FOLDER,
    FRONT_CONFIG,
    LABEL,
    Image,
    Instance,
    Role,
    draining_name,
    front_name,
    predecessor_name,
    short,
    successor_name,
)
from trusted_registry.run import Run
from trusted_registry.settings import Settings

LOGS = "./inv registry.logs --front says why."

_LEADS = re.compile(r"^backend registry\n  server (\S+) ", re.MULTILINE)
_PATIENCE = 15.0
"""Seconds for a front to take another configuration; a tenth of one is usual."""
_AGAIN = 0.5
"""Seconds after which it is told again: haproxy (2.6, tried) misses a HUP that comes while its master starts anew."""
_PAUSE = 0.02


def find(run: Run, engine: Engine) -> Container | None:
    """Return this installation's front, or None if no container has that name.

    Raises:
        RegistryError: The container of that name is somebody else's.
    """
    return ownership.container(_named(run), engine)


def _named(run: Run, name: str = "") -> Run:
    return run.with_settings(container=name or front_name(run.settings.container))


def is_traced(settings: Settings, engine: Engine) -> bool:
    """Whether containers of a front, or of a switch behind one, are here, whoever made them."""
    name, front = settings.container, front_name(settings.container)
    traces = (front, predecessor_name(front), successor_name(name))
    listed = [it.name for it in engine.list_containers()]
    return any(it in traces or it.startswith(draining_name(name)) for it in listed)


def as_met(container: Container, settings: Settings, engine: Engine) -> Container:
    """Return a registry's container as clients meet one: with the front's address and port, if there is a front."""
    front = engine.find(front_name(settings.container)) if container.behind else None
    return replace(container, listen=front.listen, port=front.port) if front else container


def trouble(container: Container, settings: Settings, engine: Engine) -> str:
    """Return why the front leads nobody to the registry; "" if all is well, or none is needed."""
    there = engine.find(front_name(settings.container)) if container.behind else None
    if not container.behind:
        return ""
    if there is None or there.state != "running":
        return f"the front is {there.state if there else 'absent'}, so no client is answered"
    led = leads_to(settings, engine)
    if led == short(container.id):
        return ""
    return f"the front leads to {led}, which is not the registry here" if led else "the front leads nowhere"


def described(container: Container, settings: Settings, engine: Engine) -> str | None:
    """Return image and port of a registry's front, and how many registries finish before this one; None without one."""
    if not container.behind:
        return None
    there, ends = engine.find(front_name(settings.container)), len(_ending(settings, engine))
    others = f"; {ends} {'finishes its' if ends == 1 else 'finish their'} transfers" if ends else ""
    return f"{there.image}, port {there.port}{others}" if there else None


def _ending(settings: Settings, engine: Engine) -> list[str]:
    begin = draining_name(settings.container)
    runs = (it for it in engine.list_containers() if it.name.startswith(begin) and it.state == "running")
    return [it.name for it in runs if it.labels.get(LABEL) == Role.TLS]


def made(run: Run, image: Image, leads: str, trial: str = "") -> Instance:
    """Return the front that leads to a registry, by short ids."""
    id_ = installation.ensure(run.settings.folder, run.console).id
    return replace(roles.front(run.settings, image, leads or "ID", trial), installation=id_)


def image(run: Run, engine: Engine) -> Image:
    """Return the image of haproxy, from the first source that has one."""
    return front_image.ensure(run, engine)


def as_it_runs(run: Run, container: Container, engine: Engine) -> Run:
    """Return a run that leaves a registry's port, address and front as they are; all else is `up`'s to change."""
    met = as_met(container, run.settings, engine)
    if met.port:  # behind a front that is gone, a registry has no way of its own
        run = run.with_settings(port=met.port, listen=met.listen)
    run = run.with_settings(front=container.behind)
    there = find(run, engine) if container.behind else None
    if there is None:
        return run
    same = engine.image_id(there.image) == there.image_id  # its name may stand for another image by now
    return run.with_settings(front_image=there.image if same else there.image_id)


def image_of(container: Container) -> Image:
    """Return the image that a front runs."""
    return Image(container.image, container.image_id)


def leads_to(settings: Settings, engine: Engine) -> str:
    """Return the short id of the registry that the front here leads to by its configuration; "" without one."""
    held = engine.read_files(front_name(settings.container), FILES_FOLDER).get(FRONT_CONFIG, b"")
    found = _LEADS.search(held.decode(errors="replace"))
    return found[1] if found else ""


def take(instance: Instance, run: Run, engine: Engine, holds: Callable[[], bool]) -> None:
    """Have the front take a configuration, and wait for a sign of that.

    Raises:
        RegistryError: No sign comes: the configuration is broken, or the front is.
    """
    # What runs may have been made by other settings, and reads its own volume.
    there = engine.find(instance.name)
    instance = replace(instance, files_of=there.files_volume if there else "")
    contents.share(instance, instance.files, run, engine)
    end = time.monotonic() + _PATIENCE
    while True:
        engine.hand_over(instance.name)
        if run.console.dry or _await(holds):
            return
        if time.monotonic() > end:
            raise RegistryError("The front did not accept its configuration.", cure=LOGS)


def _await(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + _AGAIN
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True


def sweep(run: Run, engine: Engine) -> None:
    """Remove the front's volumes of files that no container has any more."""
    contents.sweep(_named(run), engine)


def remove(run: Run, engine: Engine) -> bool:
    """Remove the front with its network, which no registry is in any more; return whether there was one.

    Raises:
        RegistryError: The container or the network is somebody else's.
    """
    name = front_name(run.settings.container)
    there, left = find(run, engine), ownership.container(_named(run, predecessor_name(name)), engine)
    if there or (run.console.dry and run.settings.front):
        engine.remove(name)
    if left:  # by a run that was killed
        engine.remove(predecessor_name(name))
    if there or left:
        sweep(run, engine)
    network = engine.network(name)
    if network and network.installation == installation.known(run.settings.folder).id:
        engine.remove_network(name)
    return bool(there or left)
