"""An engine whose containers are servers on loopback: what it starts really answers, or really does not."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, cast

from tests import loopback
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.registry import spec as specs
from trusted_registry.registry.engine_types import Container

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.registry.engine import Engine
    from trusted_registry.registry.spec import Spec

IMAGE = "registry:3"


class OnLoopback:
    """Runs one container, whose registry shows a certificate; it keeps what it was told to do."""

    available = True
    connect_error = None

    def __init__(
        self,
        shows: Path | None = None,
        container: Container | None = None,
        holder: str | None = None,
        users: Path | None = None,
    ) -> None:
        self.done: list[str] = []
        self.container = container
        self.volumes = {"trusted-registry"}
        self.port_is_taken = False
        self.shows = shows
        self.given: list[Path] = []
        self.starts: tuple[str, ...] = specs.OFFICIAL_ENTRYPOINT
        self._holder = holder
        self.users = users
        self._reads: Path | None = None
        self._server = contextlib.ExitStack()

    def find(self, name: str) -> Container | None:
        """Return the container."""
        assert name == "registry"
        return self.container

    def bind_mounts(self) -> list[tuple[str, str]]:
        """Return what the container was given of this machine."""
        return [("registry", str(path)) for path in self.given]

    def has_image(self, reference: str) -> bool:
        """Have the registry's image."""
        return reference == IMAGE

    def entrypoint(self, _image: str) -> tuple[str, ...]:
        """Return what it starts."""
        return self.starts

    def start(self, spec: Spec, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Serve, unless another has the port."""
        meanwhile()
        if self.port_is_taken:
            raise PortTakenError(f"Port {spec.port} is in use.", cure="")
        self.done.append("start")
        self.container = Container("1", spec.role, spec.digest, "running", spec.image, spec.listen, spec.port)
        self._reads = self.users if "htpasswd" in spec.config else None
        self._server.enter_context(loopback.registry(self.shows, port=spec.port, users=self._reads))
        return "1"

    def restart(self, name: str) -> None:
        """Serve what there is to show now."""
        self.done.append("restart")
        assert self.find(name)
        assert self.container
        assert self.container.port
        self._server.close()
        self._reads = self._reads and self.users
        self._server.enter_context(loopback.registry(self.shows, port=self.container.port, users=self._reads))

    def remove(self, _name: str) -> None:
        """Serve no more."""
        self.done.append("remove")
        self.container = None
        self._server.close()

    def untag(self, reference: str) -> None:
        """Forget an image."""
        self.done.append(f"untag {reference}")

    def log(self, _name: str, *, lines: int) -> str:
        """Return last words."""
        return "first words\nlast words\n" if lines else ""

    def publisher_of(self, _port: int) -> str | None:
        """Return who holds a port."""
        return self._holder

    def has_volume(self, name: str) -> bool:
        """Whether there are images."""
        return name in self.volumes

    def remove_volume(self, name: str) -> None:
        """Forget images."""
        self.volumes.remove(name)

    def close(self) -> None:
        """Serve no more."""
        self._server.close()


def as_engine(stand_in: object) -> Engine:
    """Return a stand-in under the type that callers name; it has what they use of that."""
    return cast("Engine", stand_in)


def container(**changes: object) -> Container:
    """Return a container as an engine describes it."""
    made = Container("1", "tls", "0", "running", IMAGE, "", 443)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


class FakeImages:
    """Images: those that are there, and those that each source would give."""

    available = True

    def __init__(self, *present: str, pulls: bool = False, loads: tuple[str, ...] = (), made: str = "") -> None:
        self.present = set(present)
        self.done: list[str] = []
        self._pulls = pulls
        self._loads = loads
        self._made = made

    def has_image(self, reference: str) -> bool:
        """Whether it is there."""
        return reference in self.present

    def substitute_for(self, _instead_of: str) -> tuple[str, str] | None:
        """Return one that was made from a package."""
        return (self._made, "a package") if self._made else None

    def pull(self, reference: str) -> str:
        """Give it, or fail as without a network."""
        self.done.append(f"pull {reference}")
        if not self._pulls:
            raise RegistryError(f"Pulling {reference} failed: no such host", cure="")
        self.present.add(reference)
        return "sha256:00"

    def load(self, archive: Path) -> list[str]:
        """Give what an archive holds."""
        self.done.append(f"load {archive.name}")
        return list(self._loads)
