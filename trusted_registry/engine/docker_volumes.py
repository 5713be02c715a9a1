"""Volumes of a Docker Engine: storage, and the files that containers read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from docker.errors import APIError

from trusted_registry import threads
from trusted_registry.engine import archive, asking, responses
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.connection import Connection, errors_explained
from trusted_registry.installation import LABEL
from trusted_registry.instance.model import FILES_FOLDER, FILES_ROLE, File, filler_name
from trusted_registry.instance.model import LABEL as ROLE_LABEL

if TYPE_CHECKING:
    from docker.models.containers import Container


class DockerVolumes(Connection):
    """The volumes of a Docker Engine; none if the engine does not answer."""

    _empty: frozenset[str] = frozenset()
    """Names of the volumes for files that were made here and not filled yet, so that nobody reads anything there."""

    def volume(self, name: str) -> engine_types.Volume | None:
        """Return the volume of this name, whoever made it, or None."""
        found = self._found(f"The volume {name}", lambda client: client.volumes.get(name))
        with errors_explained(f"The volume {name} could not be inspected"):
            return responses.volume(found.attrs) if found else None

    def volumes_of(self, installation: str) -> list[str]:
        """Return the names of the volumes that an installation made, without those of files."""
        return [it.name for it in self._made_by(installation) if it.role != FILES_ROLE]

    def list_files_volumes(self, installation: str) -> list[str]:
        """Return the names of the volumes of files that an installation made."""
        return [it.name for it in self._made_by(installation) if it.role == FILES_ROLE]

    def _made_by(self, installation: str) -> list[engine_types.Volume]:
        if self._client is None:
            return []
        with errors_explained("The volumes could not be listed"):
            listed = self._client.volumes.list(filters={"label": f"{LABEL}={installation}"})
            return sorted((responses.volume(it.attrs) for it in listed), key=lambda it: it.name)

    def make_volume(self, name: str, installation: str) -> engine_types.Volume | None:
        """Make and return a volume that carries the id of its installation; one that is there stays unchanged."""
        return self._make_volume(name, {LABEL: installation})

    def _make_volume(self, name: str, labels: dict[str, str]) -> engine_types.Volume | None:
        options = [word for label, value in labels.items() for word in ("--label", f"{label}={value}")]
        self._console.command(["docker", "volume", "create", *options, name])
        if self._console.dry:
            return None
        with errors_explained(f"The volume {name} could not be made"):
            return responses.volume(self._require_client().volumes.create(name, labels=labels).attrs)

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its content; an absent one is no error."""
        command = ["docker", "volume", "rm", name]
        self._remove(f"The volume {name}", command, lambda client: client.volumes.get(name).remove())

    def make_files_volume(self, name: str, installation: str) -> bool:
        """Make a volume for files that containers read; return False if an installation's own is there."""
        there = self.volume(name)
        if there is None:
            self._make_volume(name, {LABEL: installation, ROLE_LABEL: FILES_ROLE})
            self._empty |= {name}
        elif (there.installation, there.role) != (installation, FILES_ROLE):
            raise engine_types.foreign_volume(name)
        return there is None

    def fill(
        self,
        volume: str,
        installation: str,
        image: str,
        files: Sequence[File],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Write files for containers to read into a volume, which is made if absent.

        The engine takes files for a container that never starts; any image will do for that.
        """
        self.make_files_volume(volume, installation)
        self._show_filling(volume, installation, image, files)
        if self._console.dry:
            meanwhile()
        else:
            threads.beside(lambda: self._fill(volume, installation, image, files), meanwhile)

    def _show_filling(self, volume: str, installation: str, image: str, files: Sequence[File]) -> None:
        name, mount = filler_name(volume), f"{volume}:{FILES_FOLDER}"
        label = ["--label", f"{LABEL}={installation}"]
        self._console.command(["docker", "create", "--name", name, *label, "--volume", mount, image, "files"])
        for file in files:
            self._console.command(["docker", "cp", str(file.source), f"{name}:{FILES_FOLDER}/{file.name}"])
        self._console.command(["docker", "rm", name])

    def _fill(self, volume: str, installation: str, image: str, files: Sequence[File]) -> None:
        name, empty = filler_name(volume), volume in self._empty
        self._empty -= {volume}
        filler = self._make_filler(name, f"{volume}:{FILES_FOLDER}", installation, image)
        try:
            with errors_explained(f"The volume {volume} could not be filled"):
                held = None if empty else _names_in(filler) or None  # nobody reads what is not there yet
                filler.put_archive(FILES_FOLDER, archive.pack(files, held))
        finally:
            with errors_explained(f"The container {name} could not be removed"):
                filler.remove()

    def _make_filler(self, name: str, mount: str, installation: str, image: str) -> Container:
        with errors_explained(f"The container {name} could not be made"):
            client, labels = self._require_client(), {LABEL: installation}
            host_config = client.api.create_host_config(binds=[mount])
            make = functools.partial(client.api.create_container, name=name, host_config=host_config, labels=labels)
            try:
                made = make(image, ["files"])
            except APIError:  # in the way may be what a run that was killed left
                for left in client.containers.list(
                    all=True, filters={"name": f"^/{name}$", "label": f"{LABEL}={installation}"}
                ):
                    left.remove(force=True)
                made = make(image, ["files"])
            return client.containers.prepare_model(made)  # its id is enough, so the engine need not describe it


def _names_in(filler: Container) -> frozenset[str]:
    return asking.within(asking.READ, lambda: archive.names(filler.get_archive(FILES_FOLDER)[0]))
