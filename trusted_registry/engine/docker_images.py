"""Images of the engine: found, pulled, pushed, loaded and made, with no failure lost in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from docker.errors import ImageLoadError

from trusted_registry import files
from trusted_registry.console import PIPE
from trusted_registry.engine import asking, responses
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.connection import Connection, errors_explained
from trusted_registry.errors import RegistryError
from trusted_registry.instance import model
from trusted_registry.registry.users import Login

_TRY = 45
"""Seconds in which a pull that is tried ends; the engine itself gives a registry fifteen, twice."""


class DockerImages(Connection):
    """The images of a Docker Engine; none if the engine does not answer."""

    _seen: engine_types.FoundImage = engine_types.NO_IMAGE
    """Image that was looked at last."""

    def image_id(self, reference: str) -> str | None:
        """Return the id of an image, by its name or its id, or None."""
        return self._image(reference).id or None

    def has_image(self, reference: str) -> bool:
        """Return whether the engine has an image of this name or id."""
        return self.image_id(reference) is not None

    def image_content(self, reference: str) -> str | None:
        """Return a digest of all that an image can do: its layers and its configuration, labels apart."""
        return self._image(reference).content or None

    def image_digest(self, reference: str) -> str | None:
        """Return repository and digest under which an image was pulled; None of one that was made or loaded here."""
        return next(iter(self._image(reference).digests), None)

    def _image(self, reference: str) -> engine_types.FoundImage:
        """Return an image; an empty one if absent."""
        found = self._found(f"The image {reference}", lambda client: client.images.get(reference))
        with errors_explained(f"The image {reference} could not be inspected"):
            self._seen = responses.image(found.attrs) if found else engine_types.NO_IMAGE
        return self._seen

    def entrypoint(self, reference: str, *, shell: bool = False) -> tuple[str, ...]:
        """Return an image's entrypoint if the image surely has a shell, else ().

        A script as the entrypoint proves the shell. In a dry run an absent image is taken for an official one.

        Args:
            reference: The image.
            shell: Whether the installation noted a shell when the image was made; a label proves nothing.
        """
        found = self._seen if reference == self._seen.id else self._image(reference)  # no image changes under its id
        if not found.id:
            return model.OFFICIAL_ENTRYPOINT if self._console.dry else ()
        own = found.entrypoint
        return own if own and (shell or own[0].endswith(".sh")) else ()

    def pull(self, reference: str, login: Login | None = None) -> str | None:
        """Pull an image and return its digest in the registry.

        Without `login`, the person's own login is used, if any.

        Raises:
            RegistryError: The pull failed; the message has the engine's reason.
        """
        return self._transfer("Pulling", "pull", reference, login)

    def try_pull(self, reference: str) -> None:
        """Pull without showing progress, to learn how the engine sees a registry.

        Raises:
            RegistryError: The pull failed, as always for an image that does not exist.
        """
        repository, tag = engine_types.split_reference(reference)
        with errors_explained(f"Asking for {reference} failed"):
            api = self._require_client().api
            said = asking.within(_TRY, lambda: _refused(api.pull(repository, tag=tag, stream=True, decode=True)))
            if said is not None:
                raise RegistryError(said, cure="")

    def push(self, reference: str, login: Login | None = None) -> str | None:
        """Push an image and return its digest in the registry.

        Without `login`, the person's own login is used, if any.

        Raises:
            RegistryError: The push failed; the message has the engine's reason.
        """
        return self._transfer("Pushing", "push", reference, login)

    def _transfer(self, doing: str, verb: Literal["pull", "push"], reference: str, login: Login | None) -> str | None:
        self._console.command(["docker", verb, reference])
        if self._console.dry:
            return None
        repository, tag = engine_types.split_reference(reference)
        what = f"{doing} {reference}"
        with self._console.progress(what) as progress, errors_explained(f"{what} failed"):
            api = self._require_client().api
            move = api.pull if verb == "pull" else api.push
            by = {"username": login.name, "password": login.password} if login else None  # None: ~/.docker/config.json
            events = move(repository, tag=tag, stream=True, decode=True, auth_config=by)
            return engine_types.follow_transfer(events, progress, f"{what} failed")

    def save(self, reference: str) -> Iterator[bytes]:
        """Yield an image in the format of `docker save`."""
        with errors_explained(f"The image {reference} could not be saved"):
            yield from self._require_client().api.get_image(reference)

    def load(self, archive: Path) -> list[str]:
        """Load a `docker save` file and return the names of its images."""
        self._console.command(["docker", "load", "--input", str(archive)])
        if self._console.dry:
            return []
        with files.explained(archive, "read"):
            content = archive.open("rb")
        loading = self._console.progress(f"Loading {archive}")
        with content, loading, errors_explained(f"{archive} could not be loaded"):
            try:
                return [tag for image in self._require_client().images.load(content) for tag in image.tags]
            except ImageLoadError as error:
                cure = "Make it again with docker save, and copy all of it."
                raise RegistryError(f"{archive} is not an archive of images: {error}", cure=cure) from error

    def import_image(
        self, reference: str, tar: bytes, changes: Iterable[str] = (), *, typed: Sequence[str] = ()
    ) -> str:
        """Make an image of one layer from a tar archive, and return its id.

        `changes` are Dockerfile instructions applied to the image, `typed` is the command that makes such an archive.
        """
        repository, tag = engine_types.split_reference(reference)
        options = [word for change in changes for word in ("--change", change)]
        self._console.command([*(typed or ("cat", "image.tar")), PIPE, "docker", "import", *options, "-", reference])
        if self._console.dry:
            return ""
        with errors_explained(f"The image {reference} could not be made"):
            api = self._require_client().api
            said = api.import_image_from_data(tar, repository=repository, tag=tag, changes=list(changes) or None)
        return engine_types.imported(str(said))

    def tag(self, image: str, reference: str) -> None:
        """Give an image another name."""
        self._console.command(["docker", "tag", image, reference])
        if not self._console.dry:
            repository, tag = engine_types.split_reference(reference)
            with errors_explained(f"{image} could not be tagged"):
                self._require_client().api.tag(image, repository, tag=tag)

    def untag(self, reference: str) -> None:
        """Remove a name of an image; an absent one is no error.

        The image goes with its last name.
        """
        self._remove(reference, ["docker", "rmi", reference], lambda client: client.api.remove_image(reference))


def _refused(events: Iterable[object]) -> str | None:
    """Return the first error of a stream, or None if the stream ends without one."""
    return next((str(it["error"]) for it in events if isinstance(it, dict) and "error" in it), None)
