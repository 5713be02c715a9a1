"""One registry of the tests' own on the engine of this machine, beside whatever else runs there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests import alone, loopback
from tests.engine import worlds
from trusted_registry import address, installation
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import RegistryError
from trusted_registry.installation import MadeImage
from trusted_registry.instance import model, roles
from trusted_registry.instance.model import (
    Image,
    Published,
    draining_name,
    front_name,
    mirror_name,
    mover_name,
    predecessor_name,
    rehearsal_name,
    successor_name,
)
from trusted_registry.registry import prove

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import Instance

ROOT = Path(__file__).parent.parent.parent
PORT = 8444
NAME = "trusted-registry-test"
KEPT = "trusted-registry-test/kept:1"
"""Name of the registry's image while the tests run, where it was made from a package."""


@dataclass
class Host:
    """This machine, as a person meets it: tasks are typed, and what they print is read."""

    folder: Path
    state: Path
    port: int = PORT
    name: str = NAME
    more: dict[str, str] = field(default_factory=dict)
    root: Path = ROOT

    @property
    def certs(self) -> Path:
        """Where keys and certificates are."""
        return self.folder / "certs"

    @property
    def address(self) -> str:
        """This machine's address: not loopback, on which engines verify nothing."""
        return address.own_address()

    @property
    def reference(self) -> str:
        """The registry part of a reference."""
        return address.registry_host(self.address, self.port)

    @property
    def environ(self) -> dict[str, str]:
        """The settings that keep the tests' registry apart from a person's own."""
        return {
            "INVOKE_REGISTRY_CONTAINER": self.name,
            "INVOKE_REGISTRY_VOLUME": self.name,
            "INVOKE_REGISTRY_PORT": str(self.port),
            "INVOKE_REGISTRY_PLAIN_PORT": str(self.port + 100),
            "INVOKE_CERTIFICATE_FOLDER": str(self.certs),
            "XDG_STATE_HOME": str(self.state),
            **self.more,
        }

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a task and return what it left behind, whatever that is."""
        argv = [sys.executable, "-m", "invoke", *words]
        environ = {**os.environ, **self.environ, **variables}
        done = subprocess.run(
            argv,
            cwd=self.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def inv(self, *words: str, **variables: str) -> str:
        """Run a task that must succeed, and return what it said."""
        done = self.run(*words, **variables)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def refused(self, *words: str, code: int = 1, **variables: str) -> str:
        """Run a task that must fail with a message and a cure, and return both."""
        done = self.run(*words, **variables)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        assert "error: " in done.stderr
        assert "do: " in done.stderr
        return done.stderr

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        said: dict[str, Any] = json.loads(self.run("status", "--json").stdout)  # 1 where something is wrong
        return said

    def keys(self) -> dict[str, bytes]:
        """Return every key and certificate by name."""
        return {path.name: path.read_bytes() for path in self.certs.glob("*.[ck][re][ty]")}


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Let one run at a time use the names and ports of these tests."""
    mine = any(item.get_closest_marker("engine") for item in session.items)
    with alone.wait("engine-tests") if mine and not session.config.option.collectonly else contextlib.nullcontext():
        return (yield)


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The engine; where there is none the session fails rather than skip what it is for."""
    try:
        made = docker.DockerClient.from_env()
    except docker.errors.DockerException as error:
        pytest.exit(f"No Docker Engine answers ({error}). Install and start one: ./inv engine", returncode=1)
    yield made
    made.close()


def clear(host: Host, client: docker.DockerClient) -> None:
    """Take away what a test left, or what one that was killed left."""
    host.run("trust.remove")
    for image in client.api.images():  # not images.list, which looks again at each, though another may remove it
        for tag in image["RepoTags"] or []:
            if tag.startswith(tuple(f"{host.reference}/{it}:" for it in (prove.REPOSITORY, prove.OTHERS))):
                client.images.remove(tag)
    names = (predecessor_name, rehearsal_name, front_name, successor_name, mover_name)
    fronts = predecessor_name(front_name(host.name))
    draining = [
        str(it.name)
        for it in client.containers.list(all=True, ignore_removed=True, filters={"name": draining_name(host.name)})
    ]
    mirror = mirror_name(host.name, "")
    mirrors = [str(it.name) for it in client.containers.list(all=True, ignore_removed=True, filters={"name": mirror})]
    for name in (host.name, *(it(host.name) for it in names), fronts, *draining, *mirrors):
        with contextlib.suppress(docker.errors.NotFound):
            client.containers.get(name).remove(force=True)
    for network in client.networks.list(names=[front_name(host.name)]):
        network.remove()
    for volume in client.volumes.list(filters={"label": f"{model.LABEL}={model.FILES_ROLE}"}):
        holders = (host.name, front_name(host.name))
        if str(volume.name).startswith(tuple(f"{it}-{model.FILES_ROLE}-" for it in holders)):
            volume.remove()
    for volume in client.volumes.list(filters={"name": mirror}):
        volume.remove()
    with contextlib.suppress(docker.errors.NotFound):
        client.volumes.get(host.name).remove()
    with contextlib.suppress(RegistryError):
        for image in installation.known(host.certs).images:
            with contextlib.suppress(docker.errors.APIError):  # it is kept for all, or gone
                client.images.remove(image)
    shutil.rmtree(host.certs, ignore_errors=True)


def note(host: Host, client: docker.DockerClient) -> None:
    """Have an installation that made its image already: to make it anew for each test takes its time."""
    with contextlib.suppress(docker.errors.ImageNotFound):
        id_ = str(client.images.get(KEPT).id)
        made = MadeImage(KEPT, "a package", DEFAULTS["registry"]["image"], with_shell=True)
        installation.note_image(host.certs, id_, made)


@pytest.fixture
def host(tmp_path: Path, client: docker.DockerClient, registry_image: str) -> Iterator[Host]:
    """This machine with nothing on it yet but the registry's image."""
    assert registry_image
    made = Host(tmp_path, tmp_path / "state")
    clear(made, client)
    note(made, client)
    yield made
    clear(made, client)


@pytest.fixture(scope="module")
def standing(
    tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient, registry_image: str
) -> Iterator[Host]:
    """This machine with everything up; for tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("standing")
    made = Host(folder, folder / "state", port=PORT + 1, name=f"{NAME}-standing")
    assert registry_image
    clear(made, client)
    note(made, client)
    made.inv("up")
    yield made
    clear(made, client)


@pytest.fixture(scope="session")
def registry_image(tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient) -> Iterator[str]:
    """The image that `up` uses on this machine: pulled, or made from the distribution's package and kept for all."""
    folder = tmp_path_factory.mktemp("image")
    made = Host(folder, folder / "state", name=f"{NAME}-image")
    clear(made, client)
    made.inv("up")
    image = str(made.status()["registry"]["image"])
    kept = list(installation.known(made.certs).images)
    with contextlib.suppress(docker.errors.NotFound):
        client.containers.get(f"{NAME}-keeps").remove()  # of a run that was killed
    with contextlib.ExitStack() as stack:
        for id_ in kept[:1]:
            repository, tag = KEPT.split(":")
            assert client.images.get(id_).tag(repository, tag=tag)
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.remove(installation.known(made.certs).image_name(id_))  # so that it has one name
            stack.callback(client.images.remove, KEPT)
            holder = client.containers.create(KEPT, name=f"{NAME}-keeps", command=["--version"])  # through a purge
            stack.callback(holder.remove)
        clear(made, client)
        yield KEPT if kept else image


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest) -> Iterator[worlds.World]:
    """Each of the two."""
    if request.param == "fake":
        yield from worlds.fake()
    else:
        yield from worlds.real(request.getfixturevalue("registry_image"), request.getfixturevalue("client"))


@pytest.fixture
def engine(world: worlds.World) -> Engine:
    """The engine of each."""
    return world.engine


@pytest.fixture
def instance(world: worlds.World, make_settings: MakeSettings) -> Instance:
    """A registry that speaks plain HTTP on a port of loopback, with the files that it reads."""
    settings = make_settings(container=worlds.NAME, volume=worlds.NAME, plain_port=str(loopback.free_port()))
    made = roles.plain(settings, Image(world.image, world.image_id), lan=False)
    return worlds.filled(dataclasses.replace(made, installation=worlds.MINE), world.engine)


@pytest.fixture
def another(instance: Instance, engine: Engine) -> Instance:
    """The same under another name, on another port."""
    made = dataclasses.replace(instance, name=worlds.OTHER, published=Published(loopback.HOST, loopback.free_port()))
    return worlds.filled(made, engine)
