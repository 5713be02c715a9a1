"""Two engines of which the same is said: the fake one, and that of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import Instance

NAME = "trusted-registry-test-contract"
OTHER, ABSENT, FILES, MADE = f"{NAME}-other", f"{NAME}-absent", f"{NAME}-files", f"{NAME}:1"
MINE, ANOTHER_S = "1" * 32, "2" * 32


@dataclass
class World:
    """An engine, and an image of a registry that it has."""

    engine: Engine
    image: str

    @property
    def image_id(self) -> str:
        """The id of the image."""
        return self.engine.image_id(self.image) or ""


def fake() -> Iterator[World]:
    engine = FakeEngine()
    yield World(engine, IMAGE)
    engine.end()


def real(image: str, client: docker.DockerClient) -> Iterator[World]:
    engine = engines.connect(Recorder())
    _clear(client)
    yield World(engine, image)
    _clear(client)
    engine.close()


def _clear(client: docker.DockerClient) -> None:
    """Take away what a test left, or what one that was killed left."""
    for left in client.containers.list(all=True, filters={"name": NAME}):
        left.remove(force=True)
    for volume in client.volumes.list(filters={"name": NAME}):
        volume.remove()
    for network in client.networks.list(names=[NAME]):
        network.remove()
    for tag in (tag for image in client.api.images(name=NAME) for tag in image["RepoTags"] or []):
        client.images.remove(tag)


def filled(instance: Instance, engine: Engine) -> Instance:
    """Have the files there that an instance reads, and return it."""
    engine.fill(instance.files_volume, MINE, instance.image.id, instance.files)
    return instance
