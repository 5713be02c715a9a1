"""Upgrade of the registry: another image, which is compared with the one that runs before the change."""

from __future__ import annotations

from trusted_registry import saved_flags, status
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import images, ownership, run_lock, running
from trusted_registry.instance.model import Image, Role
from trusted_registry.registry import faults
from trusted_registry.run import Run


def upgrade(run: Run, *, check: bool) -> None:
    """Have the registry run the image that is set, or only compare it with the one that runs.

    Raises:
        RegistryError: No TLS registry runs here, there is no such image, or it shows an image otherwise.
    """
    engine = engines.connect(run.console)
    with run_lock.held(run):
        container = ownership.claimed(run, engine)
        if run.console.dry:
            _show(run, engine, check=check)
            return
        if container is None or container.role != Role.TLS or container.state != "running":
            raise RegistryError("No TLS registry runs here.", cure="./inv up starts one.")
        _say_faults(run, container, engine)
        image = images.chosen(run, engine)
        if image.id == container.image_id:
            run.console.say(f"image: {image.name} runs already")
        elif check:
            running.try_image(run, container, engine, image)
        elif running.reload(run, container, engine, image):
            run.console.say(f"registry: runs {image.name} now; to go back: {_back(run, container)}")
        if not check:
            saved_flags.save(run)


def _show(run: Run, engine: Engine, *, check: bool) -> None:
    """Show the commands for an image that is not there, and those by which a registry of it runs."""
    run.console.command(["docker", "pull", run.settings.image])
    if not check:
        running.run_tls(run, engine, image=Image(run.settings.image, ""))


def _say_faults(run: Run, container: Container, engine: Engine) -> None:
    version = status.version(run.settings, container, engine)
    for fault in faults.find(version or ""):
        run.console.say(f"version {version} has a known fault (list of {faults.DATE}): {fault.what}; {fault.link}")


def _back(run: Run, container: Container) -> str:
    before: Image = images.named(run.settings, container)
    return run.settings.command(f"registry.upgrade --image {before.name}")
