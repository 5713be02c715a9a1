"""The Docker Engine: typed answers, errors with a cure, and no failure lost in a stream."""

from __future__ import annotations

import contextlib
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import docker.errors
import requests.exceptions
from docker.types import LogConfig

from trusted_registry.engine import archive, connection
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.images import EngineImages
from trusted_registry.errors import AccessDeniedError, RegistryError, RemoteEngineError
from trusted_registry.installation import LABEL
from trusted_registry.instance import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker.models.containers import Container

    from trusted_registry.console import Console
    from trusted_registry.instance.model import File, Instance


def connect(console: Console, *, anywhere: bool = False) -> Engine:
    """Return the engine that DOCKER_HOST or the current context names.

    In a dry run the engine need not be there.

    Raises:
        RegistryError: No engine answers, or another machine's does and `anywhere` is false.
    """
    try:
        client = connection.client(anywhere=anywhere)
    except RegistryError as error:
        if not console.dry or isinstance(error, RemoteEngineError):
            raise
        client = None
    return Engine(client, console)


def connect_if_available(console: Console, *, quiet: bool = False) -> Engine:
    """Return the engine, or an empty stand-in if none answers.

    For tasks that can do part of their work without an engine.
    """
    try:
        return Engine(connection.client(), console)
    except RegistryError as error:
        if not quiet or isinstance(error, RemoteEngineError):
            console.warn(f"{error.message} What needs one is left out. {error.cure}")
        return Engine(None, console, error)


class Engine(EngineImages):
    """An engine, or a stand-in without containers and images; `connect_error` may then have the reason."""

    _info: engine_types.EngineInfo | None = None

    def info(self, *, fresh: bool = False) -> engine_types.EngineInfo:
        """Return the engine's description of itself; asked once unless `fresh`."""
        if fresh or self._info is None:
            self._info = self._ask_info()
        return self._info

    def _ask_info(self) -> engine_types.EngineInfo:
        with connection.errors_explained("The engine did not say what it is"):
            client = self._require_client()
            said: dict[str, Any] = client.info()
        return engine_types.info(
            said, str(client.api.base_url).replace("http+docker://localhost", connection.socket(client))
        )

    def find(self, name: str) -> engine_types.Container | None:
        """Return the container of this name, ours or not, or None.

        Raises:
            AccessDeniedError: The engine does not let this user ask: such a container may well exist.
        """
        if isinstance(self.connect_error, AccessDeniedError) and not self._console.dry:
            raise self.connect_error
        container = self._container(name)
        if container is None:
            return None
        return engine_types.container(container.attrs)

    def _container(self, name: str) -> Container | None:
        if self._client is None:
            return None
        with connection.errors_explained(f"The container {name} could not be looked at"):
            try:
                return self._client.containers.get(name)
            except docker.errors.NotFound:
                return None

    def run(self, instance: Instance, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Create and start a container; one that cannot start is removed.

        Args:
            instance: The container to run.
            meanwhile: Called while the engine starts the container, which takes a fifth of a second.

        Raises:
            PortTakenError: Another program has the port.
            RegistryError: The engine refuses for another reason.
        """
        self._console.command(model.argv(instance))
        if self._console.dry:
            meanwhile()
            return
        self._start(self._create(instance), meanwhile)

    def create(self, instance: Instance) -> None:
        """Create a container and do not start it.

        Raises:
            RegistryError: The engine refuses.
        """
        self._console.command(model.argv(instance, start=False))
        if not self._console.dry:
            self._create(instance)

    def start(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start a container that was created; one that cannot start is removed.

        Raises:
            PortTakenError, RegistryError: As of `run`.
        """
        self._console.command(["docker", "start", name])
        if self._console.dry:
            meanwhile()
        elif container := self._container(name):
            self._start(container, meanwhile)

    def _create(self, instance: Instance) -> Container:
        with connection.errors_explained(f"The container {instance.name} could not be made"):
            log = LogConfig(type=LogConfig.types.JSON, config=dict(instance.log_options))
            made = self._require_client().containers.create(**model.arguments(instance), log_config=log)  # type: ignore[arg-type]
            if instance.image.id not in ("", made.attrs["Image"]):  # the name was moved since
                made.remove(force=True)
                raise RegistryError(
                    f"{instance.image.name} became another image meanwhile.", cure="Repeat the command."
                )
        return made

    def _start(self, container: Container, meanwhile: Callable[[], None]) -> None:
        try:
            what = f"The container {container.name} could not be started"
            with connection.errors_explained(what), ThreadPoolExecutor(max_workers=1) as beside:
                starting = beside.submit(container.start)
                meanwhile()
                starting.result()
        except BaseException as error:
            with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
                container.remove(force=True)
            if isinstance(error, RegistryError):
                raise engine_types.start_error(error, engine_types.container(container.attrs).port or 0) from error
            raise

    def remove(self, name: str, *, at_once: bool = False) -> None:
        """Stop and remove a container, killing it where it need not end well; its volumes stay."""
        if not at_once:
            self._console.command(["docker", "stop", "--time", str(model.STOP_SECONDS), name])
        self._console.command(["docker", "rm", "--force", name])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be removed"):
                if not at_once:
                    container.stop(timeout=model.STOP_SECONDS)
                container.remove(force=True)

    def rename(self, name: str, to: str) -> None:
        """Give a container another name, whether it runs or not; an absent one is no error."""
        self._console.command(["docker", "rename", name, to])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be renamed"):
                container.rename(to)

    def retire(self, name: str) -> None:
        """Stop a container and keep it; the engine starts it no more by itself."""
        self._console.command(["docker", "update", "--restart", "no", name])
        self._console.command(["docker", "stop", "--time", str(model.STOP_SECONDS), name])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be stopped"):
                container.update(restart_policy={"Name": "no"})  # type: ignore[arg-type]  # a mapping will do
                container.stop(timeout=model.STOP_SECONDS)

    def fill(self, volume: str, installation: str, image: str, files: Sequence[File]) -> None:
        """Put files into a volume, made now where there is none, by a container that is created and never started.

        A file that is there already is replaced as a whole: no reader meets it empty or half written.

        Args:
            volume: The volume.
            installation: Id of the installation whose it is.
            image: Any image that the engine has.
            files: The files.
        """
        filler = f"{volume}-filler"
        labels = {LABEL: installation, model.LABEL: model.FILES}
        self._show_filling(volume, filler, labels, image, files)
        if self._console.dry:
            return
        with connection.errors_explained(f"The volume {volume} could not be filled"):
            client = self._require_client()
            client.volumes.create(volume, labels=labels)
            if (left := self._container(filler)) and left.labels.get(LABEL) == installation:
                left.remove(force=True)
            mount = {"Type": "volume", "Source": volume, "Target": model.CONFIG_FOLDER}
            made = client.containers.create(image, [model.FILES], name=filler, mounts=[mount], labels=labels)  # type: ignore[list-item]
            try:
                made.put_archive(model.CONFIG_FOLDER, archive.pack(files))
            finally:
                made.remove(force=True)

    def _show_filling(
        self, volume: str, filler: str, labels: Mapping[str, str], image: str, files: Sequence[File]
    ) -> None:
        labelled = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
        mounted = ["--volume", f"{volume}:{model.CONFIG_FOLDER}"]
        self._console.command(["docker", "volume", "create", *labelled, volume])
        self._console.command(["docker", "create", "--name", filler, *mounted, *labelled, image, model.FILES])
        for file in files:
            self._console.command(["docker", "cp", str(file.source), f"{filler}:{model.CONFIG_FOLDER}/{file.name}"])
        self._console.command(["docker", "rm", filler])

    def read_files(self, name: str, folder: str) -> dict[str, bytes]:
        """Return the files in a folder of a container by their names; none of a container that is not there.

        Raises:
            RegistryError: They cannot be read, or have a megabyte and more.
        """
        if (container := self._container(name)) is None:
            return {}
        with connection.errors_explained(f"{folder} in {name} could not be read"):
            try:
                stream, _ = container.get_archive(folder)
                return archive.unpack(stream)
            except docker.errors.NotFound:
                return {}
            except tarfile.TarError as error:
                raise RegistryError(f"{folder} in {name} could not be read: {error}", cure="./inv up") from error

    def list_files_volumes(self, installation: str) -> list[str]:
        """Return the names of the volumes in which an installation keeps what its instances read."""
        if self._client is None:
            return []
        labels = [f"{LABEL}={installation}", f"{model.LABEL}={model.FILES}"]
        with connection.errors_explained("The volumes could not be listed"):
            return [str(it.name) for it in self._client.volumes.list(filters={"label": labels})]

    def put_back(self, aside: str, name: str) -> None:
        """Start a container that was set aside, or was about to be, under its name."""
        self._console.command(["docker", "rename", aside, name])
        self._console.command(["docker", "update", "--restart", model.RESTART, name])
        self._console.command(["docker", "start", name])
        if not self._console.dry and (container := self._container(aside) or self._container(name)):
            with connection.errors_explained(f"The container {aside} could not be put back"):
                container.stop(timeout=model.STOP_SECONDS)  # an interrupted run may have begun that: it would go on
                if container.name != name:
                    container.rename(name)
                container.update(restart_policy={"Name": model.RESTART})  # type: ignore[arg-type]
                container.start()

    def restart(self, name: str) -> None:
        """Restart a container, so that renewed files are seen.

        The engine resolves the mounts anew at each start.
        """
        self._console.command(["docker", "restart", "--time", str(model.STOP_SECONDS), name])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be restarted"):
                container.restart(timeout=model.STOP_SECONDS)

    def volume(self, name: str) -> engine_types.Volume | None:
        """Return the volume of this name, whoever made it, or None."""
        if self._client is None:
            return None
        with connection.errors_explained(f"The volume {name} could not be looked at"):
            try:
                return engine_types.volume(self._client.volumes.get(name).attrs)
            except docker.errors.NotFound:
                return None

    def volumes_of(self, installation: str) -> list[str]:
        """Return the names of the volumes that an installation made."""
        if self._client is None:
            return []
        with connection.errors_explained("The volumes could not be listed"):
            found = self._client.volumes.list(filters={"label": f"{LABEL}={installation}"})
            return [str(it.name) for it in found if (it.attrs.get("Labels") or {}).get(model.LABEL) != model.FILES]

    def make_volume(self, name: str, installation: str) -> None:
        """Make a volume that carries the id of its installation; one that is there stays as it is."""
        label = f"{LABEL}={installation}"
        self._console.command(["docker", "volume", "create", "--label", label, name])
        if not self._console.dry:
            with connection.errors_explained(f"The volume {name} could not be made"):
                self._require_client().volumes.create(name, labels={LABEL: installation})

    def holders(self, volume: str) -> list[str]:
        """Return the names of the containers, running or not, that a volume is given to."""
        if self._client is None:
            return []
        with connection.errors_explained("The containers could not be listed"):
            listed = self._client.api.containers(all=True, filters={"volume": volume})
        return [str(entry["Names"][0]).lstrip("/") for entry in listed if entry.get("Names")]

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its content; an absent one is no error."""
        self._console.command(["docker", "volume", "rm", name])
        if self._console.dry:
            return
        with (
            connection.errors_explained(f"The volume {name} could not be removed"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            self._require_client().volumes.get(name).remove()

    def has_volume(self, name: str) -> bool:
        """Return whether a volume of this name exists."""
        if self._client is None:
            return False
        with connection.errors_explained(f"The volume {name} could not be looked at"):
            return any(volume.name == name for volume in self._client.volumes.list(filters={"name": name}))

    def log(self, name: str, *, lines: int) -> str:
        """Return the last lines of a container's log."""
        container = self._container(name)
        with connection.errors_explained(f"The log of {name} could not be read"):
            return container.logs(tail=lines).decode(errors="replace") if container else ""

    def follow(self, name: str, *, lines: int) -> Iterator[str]:
        """Yield the last lines of a container's log, then new ones to its end."""
        container = self._container(name)
        if container:
            with connection.errors_explained(f"The log of {name} could not be read"):
                for chunk in container.logs(stream=True, follow=True, tail=lines):
                    yield chunk.decode(errors="replace")

    def publisher_of(self, port: int) -> str | None:
        """Return the name of a running container that publishes this TCP port."""
        if self._client is None:
            return None
        with connection.errors_explained("The containers could not be listed"):
            for entry in self._client.api.containers():
                if any(published.get("PublicPort") == port for published in entry.get("Ports") or []):
                    return str(entry["Names"][0]).lstrip("/")
        return None

    def bind_mounts(self) -> list[tuple[str, str]]:
        """Return container name and host path of each bind mount.

        Containers that do not run are included.
        """
        if self._client is None:
            return []
        with connection.errors_explained("The containers could not be listed"):
            return [
                (str(entry["Names"][0]).lstrip("/"), str(mount.get("Source", "")))
                for entry in self._client.api.containers(all=True)
                for mount in entry.get("Mounts") or []
                if mount.get("Type") == "bind"
            ]
