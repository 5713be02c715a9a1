"""Containers of a Docker Engine: started, stopped, replaced and looked at."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound
from docker.types import LogConfig

from trusted_registry import threads
from trusted_registry.engine import archive, asking, ending, exec_output, responses
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.connection import CONNECTION_ERRORS, Connection, errors_explained
from trusted_registry.errors import AccessDeniedError, RegistryError
from trusted_registry.instance import creation, model
from trusted_registry.instance.model import File, Instance

if TYPE_CHECKING:
    from docker.models.containers import Container

_NEW = ".new"
"""Ending of a file that waits to take its name."""


class DockerContainers(Connection):
    """The containers of a Docker Engine; none if the engine does not answer."""

    def find(self, name: str) -> engine_types.Container | None:
        """Return the container of this name, ours or not, or None."""
        if isinstance(self.connect_error, AccessDeniedError) and not self._console.dry:
            raise self.connect_error
        container = self._container(name)
        with errors_explained(f"The container {name} could not be inspected"):
            return None if container is None else responses.container(container.attrs)

    def _container(self, name: str) -> Container | None:
        return self._found(f"The container {name}", lambda client: client.containers.get(name))

    def list_containers(self) -> tuple[engine_types.ListedContainer, ...]:
        """Return all containers by name, stopped ones included."""
        return self._listed()

    def _listed(self, **filters: str) -> tuple[engine_types.ListedContainer, ...]:
        with errors_explained("The containers could not be listed"):
            return responses.listed(self._list(all=True, filters=filters))

    def _list(self, **options: object) -> list[Mapping[str, Any]]:
        """Return the engine's own list, which takes one question whatever the number of containers."""
        if self._client is None:
            return []
        with errors_explained("The containers could not be listed"):
            listed: list[Mapping[str, Any]] = self._client.api.containers(**options)  # type: ignore[arg-type]
        return listed

    def run(self, instance: Instance, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Create and start a container; one that cannot start is removed."""
        self._console.command(model.argv(instance))
        if self._console.dry:
            meanwhile()
            return
        container = self._create(instance)
        try:
            _start(container, meanwhile)
        except BaseException:
            with contextlib.suppress(*CONNECTION_ERRORS):
                container.remove(force=True)
            raise

    def create(self, instance: Instance) -> None:
        """Create a container, not yet started."""
        self._console.command(model.argv(instance, start=False))
        if not self._console.dry:
            self._create(instance)

    def _create(self, instance: Instance) -> Container:
        with errors_explained(f"The container {instance.name} could not be made"):
            log = LogConfig(type=LogConfig.types.JSON, config=dict(instance.log_options))
            made = self._require_client().containers.create(**creation.arguments(instance), log_config=log)  # type: ignore[arg-type]
            if instance.image.id not in ("", made.attrs["Image"]):  # its name was given to another one meanwhile
                made.remove(force=True)
                moved = f"{instance.image.name} was changed meanwhile."
                raise RegistryError(moved, cure="Repeat the command.")
        return made

    def start(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start a container that was created."""
        self._show("start", name)
        if self._console.dry:
            meanwhile()
            return
        with errors_explained(f"The container {name} could not be started"):
            found = self._require_client().containers.get(name)
        _start(found, meanwhile)

    def retire(self, name: str) -> None:
        """Stop and keep a container, which the engine no longer starts by itself. An absent one is no error."""
        self._show("update", "--restart", "no", name)
        self._show("stop", "--time", str(model.STOP_SECONDS), name)

        def retire(container: Container) -> None:
            ending.restart_no_more(container)
            container.stop(timeout=model.STOP_SECONDS)

        self._change(name, "stopped", retire)

    def drain(self, name: str) -> None:
        """Tell a container by its own signal to end, and do not wait; the engine no longer restarts that container."""
        self._show("update", "--restart", "no", name)
        if self._console.dry:
            self._show("kill", "--signal", responses.TERM, name)

        def drain(container: Container) -> None:
            signal = responses.stop_signal(container.attrs)
            self._show("kill", "--signal", signal, name)
            ending.restart_no_more(container)
            if container.status == "running":
                ending.send(container, signal)

        self._change(name, "told to end", drain)

    def rename(self, name: str, to: str) -> None:
        """Give a container, which may run, a name that no other one has; an absent one is no error."""
        self._show("rename", name, to)
        self._change(name, f"renamed to {to}", lambda it: it.rename(to))

    def remove(self, name: str, *, at_once: bool = False) -> None:
        """Remove a container, first stopped or killed; its named volumes stay, and an absent one is no error."""
        if not at_once:
            self._show("stop", "--time", str(model.STOP_SECONDS), name)
        self._show("rm", "--force", name)

        def remove(container: Container) -> None:
            if not at_once:
                container.stop(timeout=model.STOP_SECONDS)
            container.remove(force=True, v=True)  # that of the image, which has no name; those with one stay

        self._change(name, "removed", remove)

    def restart(self, name: str) -> None:
        """Restart a container; an absent one is no error."""
        self._show("restart", "--time", str(model.STOP_SECONDS), name)
        self._change(name, "restarted", lambda it: it.restart(timeout=model.STOP_SECONDS))

    def hand_over(self, name: str) -> None:
        """Have another registry take over in a container with our start script; an absent one is no error."""
        self._show("kill", "--signal", "HUP", name)
        self._change(name, "handed over", lambda it: it.kill(signal="HUP"))

    def clear_proofs(self, name: str) -> None:
        """Have our start script take away the remains of deleted proofs in the storage; an absent one is no error."""
        self._show("kill", "--signal", "USR1", name)

        def clear(container: Container) -> None:
            # Of one that an earlier version made, any signal counts as a wish to stop it (moby, daemon/kill.go).
            if container.attrs["Config"].get("StopSignal"):
                container.kill(signal="USR1")

        self._change(name, "told to clear proofs away", clear)

    def put_back(self, aside: str, name: str) -> None:
        """Start a container that was set aside, or was about to be, under its name."""
        self._show("rename", aside, name)
        self._show("update", "--restart", model.RESTART, name)
        self._show("start", name)

        def put_back(container: Container) -> None:
            container.stop(timeout=model.STOP_SECONDS)  # an interrupted run may have begun that: it would go on
            if container.name != name:
                container.rename(name)
            container.update(restart_policy={"Name": model.RESTART})  # type: ignore[arg-type]
            container.start()

        self._change(aside if self._container(aside) else name, "put back", put_back)

    def _show(self, *words: str) -> None:
        self._console.command(["docker", *words])

    def _change(self, name: str, done: str, change: Callable[[Container], None]) -> None:
        """Change a container that is there, but not in a dry run."""
        if not self._console.dry and (container := self._container(name)):
            with errors_explained(f"The container {name} could not be {done}"):
                change(container)

    def log(self, name: str, *, lines: int) -> str:
        """Return the last lines of a container's log."""
        container = self._container(name)
        with errors_explained(f"The log of {name} could not be read"):
            return container.logs(tail=lines).decode(errors="replace") if container else ""

    def log_since(self, name: str, since: float) -> Generator[str, None, None]:
        """Yield the lines of a container's log from a time on, in seconds since the epoch."""
        container = self._container(name)
        with errors_explained(f"The log of {name} could not be read"), contextlib.ExitStack() as stack:
            if container:
                said = container.logs(stream=True, follow=False, since=since or None)
                stack.callback(said.close)
                yield from engine_types.split_lines(said)

    def follow(self, name: str, *, lines: int) -> Iterator[str]:
        """Yield the last lines of a container's log, then new ones to its end."""
        if container := self._container(name):
            with errors_explained(f"The log of {name} could not be read"):
                for chunk in container.logs(stream=True, follow=True, tail=lines):
                    yield chunk.decode(errors="replace")

    def publisher_of(self, port: int) -> str | None:
        """Return the name of a running container that publishes this TCP port."""
        with errors_explained("The containers could not be listed"):
            publishers = responses.publishers(self._list())
        return next((name for name, number in publishers if number == port), None)

    def bind_mounts(self) -> list[tuple[str, str]]:
        """Return container name and host path of each bind mount, of stopped containers too."""
        with errors_explained("The containers could not be listed"):
            return responses.bind_mounts(self._list(all=True))

    def holders(self, volume: str) -> list[str]:
        """Return the names of the containers, running or not, that a volume is given to."""
        return [it.name for it in self._listed(volume=volume)]

    def execute(self, name: str, argv: Sequence[str]) -> engine_types.ExecResult:
        """Run a program as root in a running container, to its end, within the bounds of `exec_output`."""
        with errors_explained(f"Nothing can run in {name}"):
            api = self._require_client().api
            number = api.exec_create(name, list(argv), user="0")["Id"]
            out, err = exec_output.read(exec_output.start(api, number), name)
            code = responses.exit_code(api.exec_inspect(number))
        return engine_types.ExecResult(code, _text(out), _text(err))

    def stream(self, name: str, argv: Sequence[str], errors: bytearray) -> Iterator[bytes]:
        """Yield the output of a program that root runs in a running container, piece by piece."""
        with errors_explained(f"Nothing can run in {name}"):
            api = self._require_client().api
            number = api.exec_create(name, list(argv), user="0")["Id"]
            yield from exec_output.pieces(exec_output.start(api, number), name, errors)

    def put_files(self, name: str, folder: str, files: Sequence[File]) -> None:
        """Write files into a folder of a volume that a running container may change; each is whole at any moment."""
        for file in files:
            self._show("cp", str(file.source), f"{name}:{folder}/{file.name}")
        if self._console.dry:
            return
        beside = [replace(file, name=f"{file.name}{_NEW}") for file in files]
        with errors_explained(f"Nothing can be written to {folder} of {name}"):
            self._require_client().containers.get(name).put_archive(folder, archive.pack(beside))
        paths = [f"{folder}/{file.name}" for file in files]
        moved = self.execute(name, [model.SHELL, "-c", f'for it; do mv "$it{_NEW}" "$it" || exit; done', "sh", *paths])
        if moved.code:
            wrong = f"Nothing can be written to {folder} of {name}: {(moved.err or moved.out).strip()[:200]}"
            raise RegistryError(wrong, cure="./inv doctor")

    def unpack(self, name: str, folder: str, tar: Iterable[bytes]) -> None:
        """Write the files of a tar, of any size, into a folder of a volume that a container may change."""
        self._show("cp", "-", f"{name}:{folder}")
        if not self._console.dry:
            with errors_explained(f"Nothing can be written to {folder} of {name}"):
                api = self._require_client().api
                at = f"{api.base_url}/v{api.api_version}/containers/{name}/archive"
                # The SDK's `put_archive` gives up after its own timeout, which counts the whole of a large file.
                taken = api.put(at, params={"path": folder}, data=iter(tar), timeout=None)
                api._raise_for_status(taken)  # type: ignore[attr-defined]  # noqa: SLF001 - not in types-docker

    def read_files(self, name: str, folder: str) -> dict[str, bytes]:
        """Return the files in a folder of a container, running or not, by their names."""
        found = self._container(name)
        what = f"{folder} of {name} could not be read"
        with errors_explained(what):
            try:
                return asking.within(asking.READ, lambda: archive.unpack(found.get_archive(folder)[0])) if found else {}
            except NotFound:
                return {}
            except ValueError as error:
                raise RegistryError(f"{what}: {error}", cure="./inv registry.stop && ./inv up") from error


def _start(container: Container, meanwhile: Callable[[], None]) -> None:
    """Start a container, which takes a fifth of a second, and do something meanwhile."""
    threads.beside(functools.partial(_start_alone, container), meanwhile)


def _start_alone(container: Container) -> None:
    try:
        with errors_explained(f"The container {container.name} could not be started"):
            container.start()
    except RegistryError as error:
        with errors_explained(error.message):
            port = responses.container(container.attrs).port or 0
        raise engine_types.start_error(error, port) from error


def _text(stream: bytes) -> str:
    return stream.decode(errors="replace")
