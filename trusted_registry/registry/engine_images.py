"""What an engine's shelf of images holds, and how it is filled: typed answers, and no failure lost in a stream."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

import docker.errors

from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.registry import connection, engine_types
from trusted_registry.registry import spec as specs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from docker import DockerClient

    from trusted_registry.console import Console
    from trusted_registry.registry.users import Login

ORIGIN_LABEL = "trusted-registry.origin"
"""On an image made here from something other than a pull: says from what, to people. It proves nothing: anybody can
set a label, so what was made here is known by the id that the installation noted."""

INSTEAD_LABEL = "trusted-registry.instead-of"
"""On the same: names the image that could not be pulled."""

SHELL_LABEL = "trusted-registry.shell"
"""On the same: names its shell."""


class EngineImages:
    """The images of an engine, or of none: then it has none."""

    def __init__(
        self, client: DockerClient | None, console: Console, connect_error: RegistryError | None = None
    ) -> None:
        self.connect_error = connect_error
        self._client = client
        self._console = console

    @property
    def available(self) -> bool:
        """Whether an engine answers at all."""
        return self._client is not None

    def close(self) -> None:
        """Let go of the connections."""
        if self._client:
            self._client.close()

    @property
    def api(self) -> docker.APIClient:
        """The engine's API as it is: for `inside`, which runs programs in other people's containers."""
        return self._require_client().api

    def _require_client(self) -> DockerClient:
        if self._client is None:
            connect_error = self.connect_error
            raise connect_error or RegistryError(
                "No Docker Engine answers.", cure="./inv engine installs and starts one."
            )
        return self._client

    def has_image(self, reference: str) -> bool:
        """Whether the engine has an image of this name."""
        if self._client is None:
            return False
        with connection.errors_explained(f"The image {reference} could not be looked at"):
            try:
                self._client.images.get(reference)
            except docker.errors.NotFound:
                return False
            return True

    def entrypoint(self, reference: str, *, shell: bool = False) -> tuple[str, ...]:
        """Return what an image starts, where there surely is a shell: it is a script, or was made here; else nothing.

        In a dry run an image that is not there yet is taken for an official one.

        Args:
            reference: The image.
            shell: Whether the installation noted a shell when it made the image: a label of it proves nothing.
        """
        if self._client is None or not self.has_image(reference):
            return specs.OFFICIAL_ENTRYPOINT if self._console.dry else ()
        with connection.errors_explained(f"The image {reference} could not be looked at"):
            image = self._client.images.get(reference)
        own = tuple(map(str, image.attrs["Config"].get("Entrypoint") or ()))
        return own if own and (shell or own[0].endswith(".sh")) else ()

    def pull(self, reference: str, login: Login | None = None) -> str | None:
        """Pull an image and return the digest that the registry gave it; without a login, by the person's own.

        Raises:
            RegistryError: The pull failed; the engine's own words are the reason.
        """
        return self._transfer("Pulling", "pull", reference, login)

    def try_pull(self, reference: str) -> None:
        """Try to pull without showing it, to hear what the engine thinks of a registry.

        Raises:
            RegistryError: The pull failed; for an image that does not exist it always does.
        """
        repository, tag = engine_types.split_reference(reference)
        with connection.errors_explained(f"Asking for {reference} failed"):
            for event in self._require_client().api.pull(repository, tag=tag, stream=True, decode=True):
                if isinstance(event, dict) and "error" in event:
                    raise RegistryError(str(event["error"]), cure="")

    def push(self, reference: str, login: Login | None = None) -> str | None:
        """Push an image and return the digest that the registry gave it; without a login, by the person's own.

        Raises:
            RegistryError: The push failed; the engine's own words are the reason.
        """
        return self._transfer("Pushing", "push", reference, login)

    def _transfer(self, doing: str, verb: Literal["pull", "push"], reference: str, login: Login | None) -> str | None:
        self._console.command(["docker", verb, reference])
        if self._console.dry:
            return None
        repository, tag = engine_types.split_reference(reference)
        what = f"{doing} {reference}"
        with self._console.progress(what) as progress, connection.errors_explained(f"{what} failed"):
            api = self._require_client().api
            move = api.pull if verb == "pull" else api.push
            by = {"username": login.name, "password": login.password} if login else None  # None: ~/.docker/config.json
            events = move(repository, tag=tag, stream=True, decode=True, auth_config=by)
            return engine_types.follow_transfer(events, progress, f"{what} failed")

    def load(self, archive: Path) -> list[str]:
        """Load a `docker save` file and return the names of the images in it."""
        self._console.command(["docker", "load", "--input", str(archive)])
        if self._console.dry:
            return []
        with files.explained(archive, "read"):
            content = archive.open("rb")
        with content, connection.errors_explained(f"{archive} could not be loaded"):
            try:
                return [tag for image in self._require_client().images.load(content) for tag in image.tags]
            except docker.errors.ImageLoadError as error:
                cure = "Make it anew with docker save, and copy it whole."
                raise RegistryError(f"{archive} is no archive of images: {error}", cure=cure) from error

    def import_image(self, reference: str, tar: bytes, changes: Iterable[str] = ()) -> str:
        """Make an image of one layer from a tar archive, with Dockerfile instructions applied, and return its id."""
        repository, tag = engine_types.split_reference(reference)
        options = [word for change in changes for word in ("--change", change)]
        self._console.command(["docker", "import", *options, "-", reference])
        if self._console.dry:
            return ""
        with connection.errors_explained(f"The image {reference} could not be made"):
            api = self._require_client().api
            said = api.import_image_from_data(tar, repository=repository, tag=tag, changes=list(changes) or None)
        return engine_types.imported(str(said))

    def tag(self, image: str, reference: str) -> None:
        """Give an image another name."""
        self._console.command(["docker", "tag", image, reference])
        if not self._console.dry:
            repository, tag = engine_types.split_reference(reference)
            with connection.errors_explained(f"{image} could not be tagged"):
                self._require_client().api.tag(image, repository, tag=tag)

    def untag(self, reference: str) -> None:
        """Take a name, and with its last name an image, away; one that is not there is no error."""
        self._console.command(["docker", "rmi", reference])
        if not self._console.dry:
            with (
                connection.errors_explained(f"{reference} could not be removed"),
                contextlib.suppress(docker.errors.NotFound),
            ):
                self._require_client().api.remove_image(reference)
