"""The Docker Engine: typed answers, errors with a cure, and no failure lost in a stream."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import docker.errors
import requests.exceptions
from docker.types import LogConfig

from trusted_registry.engine import connection
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.images import EngineImages
from trusted_registry.errors import AccessDeniedError, RegistryError, RemoteEngineError
from trusted_registry.installation import LABEL
from trusted_registry.instance import spec as specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.models.containers import Container

    from trusted_registry.console import Console
    from trusted_registry.instance.spec import Spec


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

    def start(self, spec: Spec, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Create and start a container, and return its id.

        A container that cannot start is removed.

        Args:
            spec: The container to run.
            meanwhile: Called while the engine starts the container, which takes a fifth of a second.

        Raises:
            PortTakenError: Another program has the port.
            RegistryError: The engine refuses for another reason.
        """
        self._console.command(specs.argv(spec))
        if self._console.dry:
            meanwhile()
            return ""
        with connection.errors_explained(f"The container {spec.name} could not be made"):
            log = LogConfig(type=LogConfig.types.JSON, config=dict(spec.log_options))
            container = self._require_client().containers.create(**specs.arguments(spec), log_config=log)  # type: ignore[arg-type]
        try:
            what = f"The container {spec.name} could not be started"
            with connection.errors_explained(what), ThreadPoolExecutor(max_workers=1) as beside:
                starting = beside.submit(container.start)
                meanwhile()
                starting.result()
        except BaseException as error:
            with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
                container.remove(force=True)
            if isinstance(error, RegistryError):
                raise engine_types.start_error(error, spec.port) from error
            raise
        return str(container.id)

    def remove(self, name: str) -> None:
        """Stop and remove a container; its volume stays."""
        self._console.command(["docker", "stop", "--time", str(specs.STOP_SECONDS), name])
        self._console.command(["docker", "rm", "--force", name])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be removed"):
                container.stop(timeout=specs.STOP_SECONDS)
                container.remove(force=True)

    def set_aside(self, name: str, aside: str) -> None:
        """Stop a container and keep it under another name; the engine starts it no more by itself."""
        self._console.command(["docker", "stop", "--time", str(specs.STOP_SECONDS), name])
        self._console.command(["docker", "update", "--restart", "no", name])
        self._console.command(["docker", "rename", name, aside])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be set aside"):
                container.stop(timeout=specs.STOP_SECONDS)
                container.update(restart_policy={"Name": "no"})  # type: ignore[arg-type]  # a mapping will do
                container.rename(aside)

    def put_back(self, aside: str, name: str) -> None:
        """Start a container that was set aside, or was about to be, under its name."""
        self._console.command(["docker", "rename", aside, name])
        self._console.command(["docker", "update", "--restart", specs.RESTART, name])
        self._console.command(["docker", "start", name])
        if not self._console.dry and (container := self._container(aside) or self._container(name)):
            with connection.errors_explained(f"The container {aside} could not be put back"):
                container.stop(timeout=specs.STOP_SECONDS)  # an interrupted run may have begun that: it would go on
                if container.name != name:
                    container.rename(name)
                container.update(restart_policy={"Name": specs.RESTART})  # type: ignore[arg-type]
                container.start()

    def restart(self, name: str) -> None:
        """Restart a container, so that renewed files are seen.

        The engine resolves the mounts anew at each start.
        """
        self._console.command(["docker", "restart", "--time", str(specs.STOP_SECONDS), name])
        if not self._console.dry and (container := self._container(name)):
            with connection.errors_explained(f"The container {name} could not be restarted"):
                container.restart(timeout=specs.STOP_SECONDS)

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
            return [str(it.name) for it in self._client.volumes.list(filters={"label": f"{LABEL}={installation}"})]

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
