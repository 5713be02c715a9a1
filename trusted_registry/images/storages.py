"""Storages: the one in which a registry that runs has its images."""

from __future__ import annotations

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.images.storage import Storage
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.settings import Settings


def of(container: Container, settings: Settings, engine: Engine) -> Storage:
    """Return the storage of a registry.

    Args:
        container: The registry's container.
        settings: Settings with its name, and its bucket if there is one.
        engine: The container's engine.

    Raises:
        RegistryError: A bucket cannot be opened.
    """
    if not settings.storage or container.volume:
        return VolumeStorage(settings.container, engine)
    # With boto3, which nobody else needs.
    from trusted_registry.bucket import opening
    from trusted_registry.images.objects import Objects

    return Objects(opening.opened(settings))
