"""An engine in memory that keeps the protocol's promises, and whose registries really answer on loopback.

tests/engine/test_contract*.py say the same of it and of a real one. It has no console: no command is shown, no run dry.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests import fake_front, loopback
from tests.fake_images import IMAGE, refused
from tests.fake_volumes import FakeVolumes
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.types import Container, ExecResult
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.instance.model import (
    FILES_FOLDER,
    FRONT_CONFIG,
    IMAGES_FOLDER,
    SPLITTER_CONFIG,
    Role,
    short,
)
from trusted_registry.registry import users

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import ListedContainer
    from trusted_registry.instance.model import File, Instance

NAME, ASIDE = "registry", "registry-before"
_LIMIT = 1 << 24
_NUMBERS = itertools.count(1)
_HAPROXY = {Role.FRONT: FRONT_CONFIG, Role.SPLITTER: SPLITTER_CONFIG}


def nobody() -> FakeEngine:
    """Return an engine that does not answer."""
    made = FakeEngine(images=())
    made.available = False
    return made


def container(**changes: object) -> Container:
    """Return a container as an engine describes it."""
    return replace(Container("1", "tls", "0", "running", IMAGE, "", 443), **changes)  # type: ignore[arg-type]


@dataclass
class Kept:
    """A container of the fake: as it is described, its labels, its mounts by their targets, and what it serves."""

    described: Container
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: dict[str, Path] = field(default_factory=dict)
    shows: Path | None = None
    login: bool = False
    dies: bool = False
    log: str = "first words\nlast words\n"
    serving: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    folder: Path | None = None
    """Where the files of its volume lie while it serves."""
    inner: int | None = None
    """Port of loopback at which a front reaches it."""
    network: str = ""
    leads: Callable[[str], int | None] | None = None
    """Of a front: the port that each of its ways leads to, by the configuration that it read last."""

    def is_in(self, state: str) -> None:
        """Have another state."""
        self.described = replace(self.described, state=state)


class FakeEngine(FakeVolumes):
    """Containers, volumes and images in dictionaries by their names; `done` keeps the changes in their order.

    Args:
        shows: Certificate, its key beside it, that TLS registries show which are made from now on; plain HTTP if none.
        container: The container named `registry`.
        users: Folder of certificates whose users a registry with a login lets in.
        images: Names of images that are there.
        remote: Names of images that can be pulled.
    """

    def __init__(
        self,
        shows: Path | None = None,
        container: Container | None = None,
        *,
        users: Path | None = None,
        images: Iterable[str] = (IMAGE,),
        remote: Iterable[str] = (),
    ) -> None:
        super().__init__(images, remote)
        self.containers: dict[str, Kept] = {}
        self.shows = shows
        self.users = users
        self.refuses: BaseException | None = None
        """Error of each start from now on."""
        self.dies = False
        """Whether containers that are made from now on end as soon as they start."""
        self.misses: set[int] = set()
        """Which hand-overs, from one on, a front does not hear: one whose master just starts anew does not."""
        self.stored: dict[str, dict[str, bytes]] = {}
        """Manifests by their paths, in each volume of images."""
        self.loses: dict[str, str] = {}
        """Paths of manifests that registries of an image do not give, by the image's id."""
        self.storage: Path | None = None
        """Folder of this machine that is the storage of all registries; none of them has one by default."""
        self.busy = False
        """Whether a registry that is told to end has something under way."""
        self.unfinished: list[str] = []
        """What a splitter counts that has no login, from one look to the next; nothing afterwards."""
        self._given = [shows] if shows else []
        if container:
            self.container = container

    # What tests look at and set

    @property
    def container(self) -> Container | None:
        """The container named `registry`."""
        return self.find(NAME)

    @container.setter
    def container(self, described: Container | None) -> None:
        self.put(NAME, described)

    @property
    def aside(self) -> Container | None:
        """The container that was set aside."""
        return self.find(ASIDE)

    @aside.setter
    def aside(self, described: Container | None) -> None:
        self.put(ASIDE, described)

    @property
    def given(self) -> list[Path]:
        """The files of this machine that the container named `registry` has."""
        return list(self.containers[NAME].mounts.values()) if NAME in self.containers else self._given

    @given.setter
    def given(self, paths: list[Path]) -> None:
        self._given = paths
        if NAME in self.containers:
            self.containers[NAME].mounts = {str(path): path for path in paths}

    def put(self, name: str, described: Container | None, **labels: str) -> None:
        """Have a container of this name, or none, that nobody started here."""
        if described is None:
            self._forget(name)
        elif name in self.containers:
            self.containers[name].described = described
        else:
            shows = None if described.role == "plain" else self.shows
            mounts = {str(path): path for path in self._given if name == NAME}
            self.containers[name] = Kept(described, labels, mounts, shows)

    def _do(self, act: str, name: str) -> None:
        self.done.append(act if name == NAME else f"{act} {name.removeprefix(f'{NAME}-')}")

    def close(self) -> None:
        """Nothing is to be closed, and containers run on."""

    def end(self) -> None:
        """Have all containers end, with the test."""
        for kept in self.containers.values():
            kept.serving.close()

    # Containers

    def find(self, name: str) -> Container | None:
        return self.containers[name].described if name in self.containers else None

    def list_containers(self) -> tuple[ListedContainer, ...]:
        return tuple(
            engine_types.ListedContainer(name, kept.described.state, kept.labels)
            for name, kept in sorted(self.containers.items())
        )

    def create(self, instance: Instance) -> None:
        self._do("create", instance.name)
        self._create(instance)

    def _create(self, instance: Instance) -> None:
        self._require()
        what = f"The container {instance.name} could not be made"
        image = self.image_id(instance.image.name)
        if instance.name in self.containers:
            raise refused(what, f"the name {instance.name} is already in use")
        if image is None:
            raise refused(what, f"No such image: {instance.image.name}")
        if instance.image.id not in ("", image):
            raise RegistryError(f"{instance.image.name} was changed meanwhile.", cure="")
        if instance.network and instance.network not in self.networks:
            raise refused(what, f"network {instance.network} not found")
        if instance.storage.volume and instance.storage.volume not in self.files:
            self.volumes.setdefault(instance.storage.volume, "")
        inner = instance.behind or instance.role is Role.SPLITTER
        made = Container(
            f"{next(_NUMBERS)}",
            instance.role,
            instance.digest,
            "created",
            instance.image.name,
            "" if instance.behind else instance.published.listen,
            None if inner else instance.published.port or loopback.free_port(),
            instance.installation,
            instance.storage.volume,
            image,
            instance.files_volume,
            loopback.free_port() if instance.role in _HAPROXY else None,
            bucket=instance.storage.location,
        )
        shows = self.shows if instance.role is Role.TLS else None
        login = any(it.immediate for it in instance.files)
        kept = Kept(made, instance.labels, {}, shows, login, self.dies, network=instance.network)
        kept.inner = loopback.free_port() if inner else None
        self.containers[instance.name] = kept

    def run(self, instance: Instance, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._create(instance)
        try:
            self._start(instance.name, meanwhile)
        except BaseException:
            self._forget(instance.name)
            raise

    def start(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._start(name, meanwhile)

    def _start(self, name: str, meanwhile: Callable[[], None]) -> None:
        if name not in self.containers:
            raise refused(f"The container {name} could not be started", f"No such container: {name}")
        meanwhile()
        if self.refuses:
            raise self.refuses
        self._begin(name)
        self._do("start", name)

    def _begin(self, name: str) -> None:
        """Have a container serve, unless another one has the port."""
        kept = self.containers[name]
        reads = kept.described.files_volume
        if kept.dies or (reads and not self.files.get(reads)):
            kept.is_in("exited")
            return
        if kept.described.role in _HAPROXY and kept.described.state != "running":
            self._lead(kept)
        elif (port := kept.described.port or kept.inner) is not None and kept.described.state != "running":
            self._serve(kept, port)
        kept.is_in("running")

    def _lead(self, kept: Kept) -> None:
        """Have a front pass on what comes to its two ports; or a splitter, for which everybody has a login, count."""
        kept.leads = self._read_way(kept)
        ways = {"registry": kept.described.port, "trial": kept.described.trial}
        if kept.described.role == Role.SPLITTER:
            ways = {"successor": kept.inner}
            counts = fake_front.counting(kept.described.trial or 0, lambda: (self.unfinished or ["0 0"]).pop(0))
            kept.serving.enter_context(counts)
        for way, port in ways.items():
            taken = PortTakenError(f"Port {port} is in use.", cure="")
            if port is None or self.publisher_of(port):
                raise taken
            try:
                kept.serving.enter_context(fake_front.passing_on(port, partial(_led, kept, way)))
            except OSError as error:
                raise taken from error

    def _read_way(self, kept: Kept) -> Callable[[str], int | None]:
        """Return the ways of a front by the configuration that is there now."""
        config = self.files[kept.described.files_volume][_HAPROXY[Role(kept.described.role)]].content.decode()

        def leads(way: str) -> int | None:
            found = re.search(rf"^backend {way}\n  server (\S+) ", config, re.MULTILINE)
            led = [it for it in self.containers.values() if found and short(it.described.id) == found[1]]
            return next((it.inner for it in led if it.network == kept.network), None)

        return leads

    def _serve(self, kept: Kept, port: int) -> None:
        taken = PortTakenError(f"Port {port} is in use.", cure="")
        if self.publisher_of(port):
            raise taken
        lost, stored = self.loses.get(kept.described.image_id), self.stored.setdefault(kept.described.volume, {})
        held = {path: it for path, it in stored.items() if path != lost} if lost else stored
        serving = loopback.registry(self._shown(kept), port=port, users=self._let_in(kept), held=held)
        try:
            kept.serving.enter_context(serving)
        except OSError as error:
            raise taken from error

    def _shown(self, kept: Kept) -> Path | None:
        """Return the certificate that a container shows: that of its volume, unless another one is set."""
        carried = self.files.get(kept.described.files_volume, {})
        if kept.shows is None or "domain.crt" not in carried or carried["domain.crt"].source != kept.shows:
            return kept.shows
        return self._unpacked(kept) / "domain.crt"

    def _let_in(self, kept: Kept) -> Path | None:
        """Return the folder whose users a container lets in: those of its volume, unless others are set."""
        carried = self.files.get(kept.described.files_volume, {})
        theirs = self.users and users.users_file(self.users)
        if not kept.login or theirs is None or users.FILE not in carried or carried[users.FILE].source != theirs:
            return self.users if kept.login else None
        return self._unpacked(kept)

    def _unpacked(self, kept: Kept) -> Path:
        if kept.folder is None or not kept.folder.exists():
            kept.folder = Path(kept.serving.enter_context(tempfile.TemporaryDirectory()))
        for file in self.files[kept.described.files_volume].values():
            path = users.users_file(kept.folder) if file.name == users.FILE else kept.folder / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.content)
        return kept.folder

    def fill(
        self,
        volume: str,
        installation: str,
        image: str,
        files: Sequence[File],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        super().fill(volume, installation, image, files, meanwhile)
        for kept in self.containers.values():
            if kept.described.files_volume == volume and kept.folder and kept.folder.exists():
                self._unpacked(kept)

    def _end(self, name: str) -> None:
        if name in self.containers:
            kept = self.containers[name]
            kept.serving.close()
            if kept.described.state != "created":
                kept.is_in("exited")

    def _forget(self, name: str) -> None:
        self._end(name)
        self.containers.pop(name, None)

    def retire(self, name: str) -> None:
        self._do("retire", name)
        self._end(name)

    def rename(self, name: str, to: str) -> None:
        self._do("rename", name)
        self._rename(name, to)

    def _rename(self, name: str, to: str) -> None:
        if name in self.containers and to in self.containers:
            raise refused(f"The container {name} could not be renamed to {to}", f"the name {to} is already in use")
        if name in self.containers:
            self.containers[to] = self.containers.pop(name)

    def remove(self, name: str, *, at_once: bool = False) -> None:
        self._do("kill" if at_once else "remove", name)
        self._forget(name)

    def restart(self, name: str) -> None:
        self._do("restart", name)
        self._end(name)
        if name in self.containers:
            self._begin(name)

    def drain(self, name: str) -> None:
        self._do("drain", name)
        if name in self.containers and self.busy:
            self.containers[name].serving.close()
        else:
            self._end(name)

    def hand_over(self, name: str) -> None:
        self._do("hand over", name)
        if name in self.containers and self.containers[name].described.role == Role.FRONT:
            self._have_another_worker(self.containers[name])
            return
        self._end(name)
        if name in self.containers:
            self._begin(name)

    def clear_proofs(self, name: str) -> None:
        """Note it: a registry of the fake keeps nothing of a deleted manifest."""
        self._do("clear proofs", name)

    def _have_another_worker(self, kept: Kept) -> None:
        heard = 1 not in self.misses
        self.misses = {number - 1 for number in self.misses if number > 1}
        if heard and kept.leads:
            kept.leads = self._read_way(kept)

    def put_back(self, aside: str, name: str) -> None:
        self._do("back", name)
        self._end(aside if aside in self.containers else name)
        if aside != name:
            self._rename(aside, name)
        if name in self.containers:
            self._begin(name)

    def log(self, name: str, *, lines: int) -> str:
        kept = self.containers.get(name)
        return "".join(kept.log.splitlines(keepends=True)[-lines:]) if kept else ""

    def log_since(self, name: str, since: float) -> Generator[str, None, None]:  # noqa: ARG002 - a real one may tell earlier lines too
        kept = self.containers.get(name)
        yield from kept.log.splitlines() if kept else ()

    def follow(self, name: str, *, lines: int) -> Iterator[str]:
        yield self.log(name, lines=lines)

    def publisher_of(self, port: int) -> str | None:
        running = (name for name, it in self.containers.items() if it.described.state == "running")
        return next((name for name in running if self.containers[name].described.port == port), None)

    def bind_mounts(self) -> list[tuple[str, str]]:
        return [(name, str(path)) for name, kept in self.containers.items() for path in kept.mounts.values()]

    def holders(self, volume: str) -> list[str]:
        return sorted(
            name
            for name, kept in self.containers.items()
            if volume in (kept.described.volume, kept.described.files_volume)
        )

    def execute(self, name: str, argv: Sequence[str]) -> ExecResult:
        self._require_running(name)
        return self.run_in(name, argv)

    def stream(self, name: str, argv: Sequence[str], errors: bytearray) -> Iterator[bytes]:
        self._require_running(name)
        if self.storage is not None:
            words = [it.replace(IMAGES_FOLDER, str(self.storage)) for it in argv]
            done = subprocess.run(words, capture_output=True, check=False)
            errors += done.stderr
            yield done.stdout

    def put_files(self, name: str, folder: str, files: Sequence[File]) -> None:
        self._require_running(name)
        for file in files if self.storage else ():
            Path(folder.replace(IMAGES_FOLDER, str(self.storage)), file.name).write_bytes(file.content)

    def unpack(self, name: str, folder: str, tar: Iterable[bytes]) -> None:
        if self.find(name) is None:
            raise refused(f"Nothing can be written to {folder} of {name}", f"No such container: {name}")
        content = b"".join(tar)
        if self.storage is not None:
            with tarfile.open(fileobj=io.BytesIO(content)) as opened:
                opened.extractall(folder.replace(IMAGES_FOLDER, str(self.storage)), filter="data")

    def _require_running(self, name: str) -> None:
        found = self.find(name)
        if found is None or found.state != "running":
            state = f"Container {name} is {'paused' if found and found.state == 'paused' else 'not running'}"
            raise refused(f"Nothing can run in {name}", state if found else f"No such container: {name}")

    def run_in(self, name: str, argv: Sequence[str]) -> ExecResult:
        """Run a program in a container that runs; there is none in these."""
        return ExecResult(127, "", f"{name}: {argv[0]}: not found")

    def read_files(self, name: str, folder: str) -> dict[str, bytes]:
        kept = self.containers.get(name)
        written = self.files.get(kept.described.files_volume, {}) if kept and folder == FILES_FOLDER else {}
        if sum(len(it.content) for it in written.values()) > _LIMIT:
            raise refused(f"{folder} of {name} could not be read", f"more than {_LIMIT} bytes")
        return {it.name: it.content for it in written.values()}

    def _in_network(self, name: str) -> list[str]:
        return [
            it for it, kept in self.containers.items() if kept.network == name and kept.described.state == "running"
        ]

    def _images_in_use(self) -> set[str]:
        return {kept.described.image_id for kept in self.containers.values()}


def _led(front: Kept, way: str) -> int | None:
    return front.leads(way) if front.leads else None


def _keeps_the_protocol(fake: FakeEngine) -> Engine:
    return fake  # for mypy: a fake that lost a method would not pass for an Engine
