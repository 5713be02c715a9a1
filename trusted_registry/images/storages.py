"""Storages: the one in which a registry that runs has its images."""

from __future__ import annotations

from dataclasses import replace

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.images.storage import Storage
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.settings import Settings


def of(container: Container, settings: Settings, engine: Engine) -> Storage:
    """Return the storage that a registry has, whichever is set.

    Args:
        container: The registry's container.
        settings: Settings with its name, and the way to its bucket if it has one.
        engine: The container's engine.

    Raises:
        RegistryError: A bucket cannot be opened.
    """
    if container.volume or not container.bucket:
        return VolumeStorage(settings.container, engine)
    # With boto3, which nobody else needs.
    from trusted_registry.bucket import opening
    from trusted_registry.images.objects import Objects

    return Objects(opening.opened(replace(settings, storage=container.bucket)))
