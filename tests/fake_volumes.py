"""Volumes in memory: the part of the fake engine that knows of containers only which volumes they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_images import FakeImages, refused
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.types import Network, Volume
from trusted_registry.instance.model import FILES_ROLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trusted_registry.instance.model import File


class FakeVolumes(FakeImages):
    """Volumes by their names."""

    def __init__(self, images: Iterable[str] = (), remote: Iterable[str] = ()) -> None:
        super().__init__(images, remote)
        self.volumes: dict[str, str] = {}
        """Ids of the installations that made each volume but those of files, "" where none did."""
        self.files: dict[str, dict[str, File]] = {}
        """Files of each volume of files, by their names."""
        self.owners: dict[str, str] = {}
        """Ids of the installations that made each volume of files."""
        self.networks: dict[str, str] = {}
        """Ids of the installations that made each network."""

    def holders(self, volume: str) -> list[str]:
        raise NotImplementedError

    def volume(self, name: str) -> Volume | None:
        if name in self.files:
            return Volume(name, self.owners[name], FILES_ROLE)
        return Volume(name, self.volumes[name]) if name in self.volumes else None

    def network(self, name: str) -> Network | None:
        return Network(name, self.networks[name]) if name in self.networks else None

    def make_network(self, name: str, installation: str) -> None:
        self._require()
        if self.networks.setdefault(name, installation) != installation:
            raise engine_types.foreign_network(name)

    def remove_network(self, name: str) -> None:
        self._require()
        if self._in_network(name):
            raise refused(f"The network {name} could not be removed", "network has active endpoints")
        self.networks.pop(name, None)

    def _in_network(self, name: str) -> list[str]:
        raise NotImplementedError

    def volumes_of(self, installation: str) -> list[str]:
        return sorted(name for name, made_by in self.volumes.items() if made_by == installation)

    def list_files_volumes(self, installation: str) -> list[str]:
        return sorted(name for name, made_by in self.owners.items() if made_by == installation)

    def make_volume(self, name: str, installation: str) -> Volume | None:
        self._require()
        if name not in self.files:
            self.volumes.setdefault(name, installation)
        return self.volume(name)

    def remove_volume(self, name: str) -> None:
        self._require()
        if self.volume(name) and (holders := self.holders(name)):
            raise refused(f"The volume {name} could not be removed", f"volume is in use - {holders}")
        for volumes in (self.volumes, self.files, self.owners):
            volumes.pop(name, None)

    def make_files_volume(self, name: str, installation: str) -> bool:
        self._require()
        there = self.volume(name)
        if there not in (None, Volume(name, installation, FILES_ROLE)):
            raise engine_types.foreign_volume(name)
        self.owners[name] = installation
        self.files.setdefault(name, {})
        return there is None

    def fill(
        self,
        volume: str,
        installation: str,
        image: str,
        files: Sequence[File],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self.make_files_volume(volume, installation)
        if self.image_id(image) is None:
            raise refused(f"The container {volume}-filler could not be made", f"No such image: {image}")
        self.files[volume].update({file.name: file for file in files})
        meanwhile()
