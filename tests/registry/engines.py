"""An engine whose containers are servers on loopback: what it starts really answers, or really does not."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, cast

from tests import loopback
from trusted_registry.engine.types import Container, EngineInfo, Volume
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.instance import spec as specs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.engine.engine import Engine
    from trusted_registry.instance.spec import Spec

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
        self.aside: Container | None = None
        self.volumes: dict[str, str] = {}
        """The id of the installation that made each, by name."""
        self.held: dict[str, list[str]] = {}
        self.port_is_taken = False
        self.images = {IMAGE}
        self.refuses: BaseException | None = None
        self.dies = False
        self.shows = shows
        self.given = [shows] if shows else []
        self.starts: tuple[str, ...] = specs.OFFICIAL_ENTRYPOINT
        self._holder = holder
        self.users = users
        self._reads: Path | None = None
        self._before: Path | None = None
        self.shows_before: Path | None = None
        self._server = contextlib.ExitStack()

    def find(self, name: str) -> Container | None:
        """Return the container, or the one that was set aside."""
        return {"registry": self.container, "registry-before": self.aside}.get(name)

    def info(self) -> EngineInfo:
        """Say what it is."""
        return EngineInfo("a stand-in", "28", "", rootless=False, store="classic", insecure=(), desktop=False)

    def bind_mounts(self) -> list[tuple[str, str]]:
        """Return what the container was given of this machine."""
        return [("registry", str(path)) for path in self.given]

    def has_image(self, reference: str) -> bool:
        """Have the registry's image."""
        return reference in self.images

    def entrypoint(self, _image: str, *, shell: bool = False) -> tuple[str, ...]:
        """Return what it starts."""
        assert not shell
        return self.starts

    def start(self, spec: Spec, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Serve, unless another has the port."""
        meanwhile()
        if self.port_is_taken:
            raise PortTakenError(f"Port {spec.port} is in use.", cure="")
        if self.refuses:
            raise self.refuses
        self.done.append("start")
        made = Container("1", spec.role, spec.digest, "running", spec.image, spec.listen, spec.port)
        self.container = dataclasses.replace(made, installation=spec.installation, volume=spec.volume)
        self.given = [mount.source for mount in spec.mounts]
        self._reads = self.users if "htpasswd" in spec.config else None
        if self.dies:
            self.container = dataclasses.replace(self.container, state="exited")
            return "1"
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

    def remove(self, name: str) -> None:
        """Serve no more, or forget the one that was set aside."""
        if name == "registry-before":
            self.done.append("remove before")
            self.aside = None
            return
        self.done.append("remove")
        self.container = None
        self._server.close()

    def set_aside(self, name: str, aside: str) -> None:
        """Serve no more, and remember what was served."""
        assert (name, aside) == ("registry", "registry-before")
        self.done.append("aside")
        self.aside, self.container = self.container, None
        self._before = self._reads
        self.shows_before = self.shows_before or self.shows
        self._server.close()

    def put_back(self, aside: str, name: str) -> None:
        """Serve what was served before."""
        assert (name, aside) == ("registry", "registry-before")
        self.done.append("back")
        assert not self.container
        again = self.aside
        assert again
        self.aside, self.container, self._reads = None, again, self._before
        shows = self.shows_before if again.role == "tls" else None
        self._server.enter_context(loopback.registry(shows, port=again.port or 0, users=self._reads))

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

    def volume(self, name: str) -> Volume | None:
        """Return images, and whose they are."""
        return Volume(name, self.volumes[name]) if name in self.volumes else None

    def volumes_of(self, installation: str) -> list[str]:
        """Return the images of an installation."""
        return [name for name, made in self.volumes.items() if made == installation]

    def make_volume(self, name: str, installation: str) -> None:
        """Make room for images."""
        self.volumes.setdefault(name, installation)

    def holders(self, volume: str) -> list[str]:
        """Return the containers that a volume is given to."""
        own = ["registry"] if self.container and self.container.volume == volume else []
        return [*own, *self.held.get(volume, [])]

    def remove_volume(self, name: str) -> None:
        """Forget images."""
        del self.volumes[name]

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

    def __init__(self, *present: str, pulls: bool = False, loads: tuple[str, ...] = ()) -> None:
        self.present = set(present)
        self.done: list[str] = []
        self._pulls = pulls
        self._loads = loads

    def has_image(self, reference: str) -> bool:
        """Whether it is there."""
        return reference in self.present

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
