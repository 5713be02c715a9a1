"""What the Docker Engine does here: typed answers, errors with a cure, and no failure lost in a stream."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import docker
import docker.errors
import requests.exceptions
from docker.types import LogConfig

from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.registry import answers, connection
from trusted_registry.registry import spec as specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from docker.models.containers import Container

    from trusted_registry.edge import Edge
    from trusted_registry.registry.spec import Spec
    from trusted_registry.registry.users import Login

ORIGIN_LABEL = "trusted-registry.origin"
"""On an image made here from something other than a pull: says from what."""

INSTEAD_LABEL = "trusted-registry.instead-of"
"""On the same: names the image that could not be pulled."""


def connect(edge: Edge, *, anywhere: bool = False) -> Engine:
    """Return the engine that DOCKER_HOST or the current context names; in a dry run, one that need not be there.

    Raises:
        RegistryError: None answers there, or another machine's does and it may not be `anywhere`.
    """
    try:
        client = connection.client(anywhere=anywhere)
    except RegistryError as error:
        if not edge.dry or isinstance(error, answers.Elsewhere):
            raise
        client = None
    return Engine(client, edge)


def perhaps(edge: Edge, *, quiet: bool = False) -> Engine:
    """Return the engine, or where none answers one that has nothing: for what can be done without."""
    try:
        return Engine(connection.client(), edge)
    except RegistryError as error:
        if not quiet or isinstance(error, answers.Elsewhere):
            edge.warn(f"{error.message} What needs one is left out. {error.cure}")
        return Engine(None, edge, error)


class Engine:
    """An engine, or possibly none: then it has no containers and no images, and `silence` may say why."""

    def __init__(self, client: docker.DockerClient | None, edge: Edge, silence: RegistryError | None = None) -> None:
        self.silence = silence
        self._client = client
        self._edge = edge
        self._info: answers.Info | None = None

    @property
    def here(self) -> bool:
        """Whether an engine answers at all."""
        return self._client is not None

    def close(self) -> None:
        """Let go of the connections."""
        if self._client:
            self._client.close()

    @property
    def api(self) -> docker.APIClient:
        """The engine's API as it is: for `inside`, which runs programs in other people's containers."""
        return self._do().api

    def _do(self) -> docker.DockerClient:
        if self._client is None:
            silence = self.silence
            raise silence or RegistryError("No Docker Engine answers.", cure="./inv engine installs and starts one.")
        return self._client

    def info(self, *, fresh: bool = False) -> answers.Info:
        """Return what the engine says of itself; asked once unless it is to be fresh."""
        if fresh or self._info is None:
            self._info = self._ask_info()
        return self._info

    def _ask_info(self) -> answers.Info:
        with connection.explained("The engine did not say what it is"):
            client = self._do()
            said: dict[str, Any] = client.info()
        return answers.info(
            said, str(client.api.base_url).replace("http+docker://localhost", connection.socket(client))
        )

    def find(self, name: str) -> answers.Running | None:
        """Return the container of this name, whoever made it, or None.

        Raises:
            AccessDenied: The engine does not let this user ask: there may well be one.
        """
        if isinstance(self.silence, answers.AccessDenied) and not self._edge.dry:
            raise self.silence
        container = self._container(name)
        if container is None:
            return None
        return answers.running(container.attrs)

    def _container(self, name: str) -> Container | None:
        if self._client is None:
            return None
        with connection.explained(f"The container {name} could not be looked at"):
            try:
                return self._client.containers.get(name)
            except docker.errors.NotFound:
                return None

    def start(self, spec: Spec, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Create and start a container, and return its id; one that cannot start is not left behind.

        Args:
            spec: What is to run.
            meanwhile: Called while the engine is busy starting it, which takes it a fifth of a second.

        Raises:
            PortTaken: Another program has the port.
            RegistryError: The engine refuses for another reason.
        """
        self._edge.command(specs.argv(spec))
        if self._edge.dry:
            meanwhile()
            return ""
        with connection.explained(f"The container {spec.name} could not be made"):
            log = LogConfig(type=LogConfig.types.JSON, config=dict(spec.log_options))
            container = self._do().containers.create(**specs.arguments(spec), log_config=log)  # type: ignore[arg-type]
        try:
            what = f"The container {spec.name} could not be started"
            with connection.explained(what), ThreadPoolExecutor(max_workers=1) as beside:
                starting = beside.submit(container.start)
                meanwhile()
                starting.result()
        except BaseException as error:
            with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
                container.remove(force=True)
            if isinstance(error, RegistryError):
                raise answers.start_error(error, spec.port) from error
            raise
        return str(container.id)

    def remove(self, name: str) -> None:
        """Stop a container and take it away; its volume stays."""
        self._edge.command(["docker", "rm", "--force", name])
        if not self._edge.dry and (container := self._container(name)):
            with connection.explained(f"The container {name} could not be removed"):
                container.remove(force=True)

    def restart(self, name: str) -> None:
        """Restart a container: what it mounts is looked up anew, so that it sees renewed files."""
        self._edge.command(["docker", "restart", "--time", "5", name])
        if not self._edge.dry and (container := self._container(name)):
            with connection.explained(f"The container {name} could not be restarted"):
                container.restart(timeout=5)

    def remove_volume(self, name: str) -> None:
        """Take a volume and all that is in it away; one that is not there is no error."""
        self._edge.command(["docker", "volume", "rm", name])
        if self._edge.dry:
            return
        with (
            connection.explained(f"The volume {name} could not be removed"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            self._do().volumes.get(name).remove()

    def has_volume(self, name: str) -> bool:
        """Whether there is a volume of this name."""
        if self._client is None:
            return False
        with connection.explained(f"The volume {name} could not be looked at"):
            return any(volume.name == name for volume in self._client.volumes.list(filters={"name": name}))

    def log(self, name: str, *, lines: int) -> str:
        """Return the last lines that a container wrote."""
        container = self._container(name)
        with connection.explained(f"The log of {name} could not be read"):
            return container.logs(tail=lines).decode(errors="replace") if container else ""

    def follow(self, name: str, *, lines: int) -> Iterator[str]:
        """Yield the last lines that a container wrote, then what it writes until it ends."""
        container = self._container(name)
        if container:
            with connection.explained(f"The log of {name} could not be read"):
                for chunk in container.logs(stream=True, follow=True, tail=lines):
                    yield chunk.decode(errors="replace")

    def publisher(self, port: int) -> str | None:
        """Return the name of a running container that publishes this TCP port."""
        if self._client is None:
            return None
        with connection.explained("The containers could not be listed"):
            for entry in self._client.api.containers():
                if any(published.get("PublicPort") == port for published in entry.get("Ports") or []):
                    return str(entry["Names"][0]).lstrip("/")
        return None

    def bound(self) -> list[tuple[str, str]]:
        """Return each container, running or not, with each path of this machine that it was given."""
        if self._client is None:
            return []
        with connection.explained("The containers could not be listed"):
            return [
                (str(entry["Names"][0]).lstrip("/"), str(mount.get("Source", "")))
                for entry in self._client.api.containers(all=True)
                for mount in entry.get("Mounts") or []
                if mount.get("Type") == "bind"
            ]

    def has_image(self, reference: str) -> bool:
        """Whether the engine has an image of this name."""
        if self._client is None:
            return False
        with connection.explained(f"The image {reference} could not be looked at"):
            try:
                self._client.images.get(reference)
            except docker.errors.NotFound:
                return False
            return True

    def made_here(self, instead_of: str) -> tuple[str, str] | None:
        """Return name and origin of an image that was made here since another one could not be had."""
        if self._client is None:
            return None
        with connection.explained("The images could not be listed"):
            for image in self._client.images.list(filters={"label": [ORIGIN_LABEL, f"{INSTEAD_LABEL}={instead_of}"]}):
                if image.tags:
                    return str(image.tags[0]), str(image.labels[ORIGIN_LABEL])
        return None

    def pull(self, reference: str, login: Login | None = None) -> str | None:
        """Pull an image and return the digest that the registry gave it; without a login, by the person's own.

        Raises:
            RegistryError: The pull failed; the engine's own words are the reason.
        """
        return self._move("Pulling", "pull", reference, login)

    def ask(self, reference: str) -> None:
        """Try to pull without showing it, to hear what the engine thinks of a registry.

        Raises:
            RegistryError: The pull failed; for an image that does not exist it always does.
        """
        repository, tag = answers.split(reference)
        with connection.explained(f"Asking for {reference} failed"):
            for event in self._do().api.pull(repository, tag=tag, stream=True, decode=True):
                if isinstance(event, dict) and "error" in event:
                    raise RegistryError(str(event["error"]), cure="")

    def push(self, reference: str, login: Login | None = None) -> str | None:
        """Push an image and return the digest that the registry gave it; without a login, by the person's own.

        Raises:
            RegistryError: The push failed; the engine's own words are the reason.
        """
        return self._move("Pushing", "push", reference, login)

    def _move(self, doing: str, verb: Literal["pull", "push"], reference: str, login: Login | None) -> str | None:
        self._edge.command(["docker", verb, reference])
        if self._edge.dry:
            return None
        repository, tag = answers.split(reference)
        what = f"{doing} {reference}"
        with self._edge.progress(what) as progress, connection.explained(f"{what} failed"):
            api = self._do().api
            move = api.pull if verb == "pull" else api.push
            by = {"username": login.name, "password": login.password} if login else None  # None: ~/.docker/config.json
            events = move(repository, tag=tag, stream=True, decode=True, auth_config=by)
            return answers.follow(events, progress, f"{what} failed")

    def load(self, archive: Path) -> list[str]:
        """Load a `docker save` file and return the names of the images in it."""
        self._edge.command(["docker", "load", "--input", str(archive)])
        if self._edge.dry:
            return []
        with files.explained(archive, "read"):
            content = archive.open("rb")
        with content, connection.explained(f"{archive} could not be loaded"):
            try:
                return [tag for image in self._do().images.load(content) for tag in image.tags]
            except docker.errors.ImageLoadError as error:
                cure = "Make it anew with docker save, and copy it whole."
                raise RegistryError(f"{archive} is no archive of images: {error}", cure=cure) from error

    def import_image(self, reference: str, tar: bytes, changes: Iterable[str] = ()) -> None:
        """Make an image of one layer from a tar archive, with Dockerfile instructions applied to it."""
        repository, tag = answers.split(reference)
        options = [word for change in changes for word in ("--change", change)]
        self._edge.command(["docker", "import", *options, "-", reference])
        if self._edge.dry:
            return
        with connection.explained(f"The image {reference} could not be made"):
            self._do().api.import_image_from_data(tar, repository=repository, tag=tag, changes=list(changes) or None)

    def tag(self, image: str, reference: str) -> None:
        """Give an image another name."""
        self._edge.command(["docker", "tag", image, reference])
        if not self._edge.dry:
            repository, tag = answers.split(reference)
            with connection.explained(f"{image} could not be tagged"):
                self._do().api.tag(image, repository, tag=tag)

    def untag(self, reference: str) -> None:
        """Take a name, and with its last name an image, away; one that is not there is no error."""
        self._edge.command(["docker", "rmi", reference])
        if not self._edge.dry:
            with connection.explained(f"{reference} could not be removed"), contextlib.suppress(docker.errors.NotFound):
                self._do().api.remove_image(reference)
