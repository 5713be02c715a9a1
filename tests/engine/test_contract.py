"""What the protocol of an engine promises, said of the fake one and of a real one alike."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import loopback
from tests.engine.conftest import NAME as TESTS
from tests.fake_engine import FakeEngine, container
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.engine.types import FILES_ROLE, Volume
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.installation import LABEL
from trusted_registry.instance import spec as specs
from trusted_registry.instance.model import File
from trusted_registry.registry import layer, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker
    from trusted_registry.instance.spec import Spec

    from tests.conftest import MakeSettings
    from trusted_registry.engine.protocol import Engine

NAME = f"{TESTS}-contract"
OTHER, ABSENT, FILES, MADE = f"{NAME}-other", f"{NAME}-absent", f"{NAME}-files", f"{NAME}:1"
MINE, ANOTHER_S = "1" * 32, "2" * 32


@dataclass
class World:
    """An engine, an image that it has, and a way to have a container there that reads a volume of files."""

    engine: Engine
    image: str
    put_reader: Callable[[str], None]

    @property
    def image_id(self) -> str:
        """The id of the image."""
        return self.engine.image_id(self.image) or ""


def _fake() -> Iterator[World]:
    engine = FakeEngine()

    def put_reader(volume: str) -> None:
        engine.put(OTHER, container(state="created", image_id=engine.images[IMAGE], files_volume=volume))

    yield World(engine, IMAGE, put_reader)
    engine.close()


def _real(image: str, client: docker.DockerClient) -> Iterator[World]:
    def put_reader(volume: str) -> None:
        client.containers.create(image, ["x"], name=OTHER, volumes=[f"{volume}:/config:ro"])

    engine = engines.connect(Recorder())
    _clear(client)
    yield World(engine, image, put_reader)
    _clear(client)
    engine.close()


def _clear(client: docker.DockerClient) -> None:
    """Take away what a test left, or what one that was killed left."""
    for left in client.containers.list(all=True, filters={"name": NAME}):
        left.remove(force=True)
    for volume in client.volumes.list(filters={"name": NAME}):
        volume.remove()
    for tag in (tag for image in client.api.images(name=NAME) for tag in image["RepoTags"] or []):
        client.images.remove(tag)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each of the two."""
    if request.param == "fake":
        yield from _fake()
    else:
        yield from _real(request.getfixturevalue("registry_image"), request.getfixturevalue("client"))


@pytest.fixture
def engine(world: World) -> Engine:
    """The engine of each."""
    return world.engine


@pytest.fixture
def spec(world: World, make_settings: MakeSettings) -> Spec:
    """A registry that speaks plain HTTP on a port of loopback."""
    with loopback.silence() as port:
        settings = make_settings(container=NAME, volume=NAME, plain_port=str(port))
    made = dataclasses.replace(specs.plain(settings, world.image, lan=False), installation=MINE)
    for path, text in made.config_files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return made


@pytest.fixture
def another(spec: Spec) -> Spec:
    """The same under another name, on another port."""
    with loopback.silence() as port:
        return dataclasses.replace(spec, name=OTHER, port=port)


def _answers(port: int, *, patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return probe.request(probe.Endpoint(loopback.HOST, port), "GET", "/v2/", None)[0] == 200
        if time.monotonic() > end:
            return False
        time.sleep(0.02)


def _state(engine: Engine, name: str) -> str:
    found = engine.find(name)
    return found.state if found else "absent"


# What is not there


def test_of_what_is_absent_nothing_is_known(engine: Engine) -> None:
    assert (engine.available, engine.connect_error) == (True, None)
    assert (engine.find(ABSENT), engine.volume(ABSENT), engine.image_id(ABSENT)) == (None, None, None)
    assert (engine.has_image(ABSENT), engine.entrypoint(ABSENT), engine.holders(ABSENT)) == (False, (), [])
    assert (engine.log(ABSENT, lines=9), list(engine.follow(ABSENT, lines=9))[1:]) == ("", [])
    assert engine.read_file(ABSENT, "/config/registry.yml") is None
    assert (engine.volumes_of(ANOTHER_S), engine.list_files_volumes(ANOTHER_S)) == ([], [])
    assert ABSENT not in [it.name for it in engine.list_containers()]


def test_a_change_of_what_is_absent_is_no_error(engine: Engine) -> None:
    engine.stop(ABSENT)
    engine.rename(ABSENT, OTHER)
    engine.restart(ABSENT)
    engine.remove(ABSENT)
    engine.set_aside(ABSENT, OTHER)
    engine.put_back(OTHER, ABSENT)
    engine.remove_volume(ABSENT)
    engine.untag(f"{ABSENT}:1")
    assert (engine.find(ABSENT), engine.find(OTHER)) == (None, None)


def test_what_is_absent_cannot_be_started_nor_tagged_nor_run_in(engine: Engine) -> None:
    for act in (
        lambda: engine.start(ABSENT),
        lambda: engine.tag(f"{ABSENT}:1", MADE),
        lambda: engine.execute(ABSENT, ["true"]),
        lambda: engine.load(Path(ABSENT)),
    ):
        with pytest.raises(RegistryError):
            act()


# Containers


def test_a_container_that_is_created_is_described_and_does_not_run(world: World, engine: Engine, spec: Spec) -> None:
    id_ = engine.create(spec)
    found = engine.find(NAME)
    assert found
    assert (found.id, found.state, found.role, found.digest) == (id_, "created", "plain", spec.digest)
    assert (found.image, found.image_id, found.installation) == (world.image, world.image_id, MINE)
    assert (found.listen, found.port, found.volume, found.files_volume) == (loopback.HOST, spec.port, NAME, "")
    (listed,) = [it for it in engine.list_containers() if it.name == NAME]
    assert (listed.state, listed.labels[LABEL]) == ("created", MINE)
    assert [Path(path).name for name, path in engine.bind_mounts() if name == NAME] == ["registry-plain.yml"]
    assert (engine.publisher_of(spec.port), _answers(spec.port, patience=0)) == (None, False)


def test_a_name_in_use_and_an_image_that_is_absent_are_refused(engine: Engine, spec: Spec, another: Spec) -> None:
    engine.create(spec)
    engine.create(another)
    with pytest.raises(RegistryError, match="already in use"):
        engine.create(spec)
    for act in (engine.rename, engine.set_aside):
        with pytest.raises(RegistryError, match="already in use"):
            act(NAME, OTHER)
    engine.remove(OTHER)
    with pytest.raises(RegistryError, match="No such image"):
        engine.create(dataclasses.replace(another, image=f"{ABSENT}:1"))
    assert (_state(engine, NAME), _state(engine, OTHER)) == ("created", "absent")


def test_a_container_answers_from_its_start_to_its_stop(engine: Engine, spec: Spec) -> None:
    engine.create(spec)
    meanwhile: list[str] = []
    for _ in range(2):
        engine.start(NAME, lambda: meanwhile.append("called"))
        assert (_state(engine, NAME), engine.publisher_of(spec.port)) == ("running", NAME)
        assert _answers(spec.port)
        engine.stop(NAME)
        assert (_state(engine, NAME), _answers(spec.port, patience=0)) == ("exited", False)
    engine.stop(NAME)
    engine.restart(NAME)
    assert (_answers(spec.port), meanwhile) == (True, ["called", "called"])
    assert engine.log(NAME, lines=1).count("\n") == 1


@pytest.mark.parametrize("holder", ["a container", "a process"])
def test_a_port_that_is_held_is_refused_and_no_container_stays(
    holder: str, engine: Engine, spec: Spec, another: Spec
) -> None:
    same = dataclasses.replace(another, port=spec.port)
    with contextlib.ExitStack() as stack:
        if holder == "a process":
            stack.enter_context(socket.create_server((loopback.HOST, spec.port)))
        else:
            engine.start(spec)
        with pytest.raises(PortTakenError):
            engine.start(same)
        assert _state(engine, OTHER) == "absent"
        engine.create(same)
        with pytest.raises(PortTakenError):
            engine.start(OTHER)
        assert _state(engine, OTHER) != "running"
    engine.remove(NAME)
    engine.start(OTHER)
    assert _answers(spec.port)


def test_what_fails_meanwhile_takes_the_container_away(engine: Engine, spec: Spec) -> None:
    def fail() -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.start(spec, fail)
    assert _state(engine, NAME) == "absent"


def test_a_container_runs_on_under_another_name(engine: Engine, spec: Spec) -> None:
    engine.start(spec)
    engine.rename(NAME, OTHER)
    assert (_state(engine, NAME), _state(engine, OTHER), _answers(spec.port)) == ("absent", "running", True)
    assert (engine.publisher_of(spec.port), engine.holders(NAME)) == (OTHER, [OTHER])


def test_a_container_that_was_set_aside_stops_and_comes_back(engine: Engine, spec: Spec) -> None:
    engine.start(spec)
    for _ in range(2):
        engine.set_aside(NAME, OTHER)
        assert (_state(engine, NAME), _state(engine, OTHER)) == ("absent", "exited")
        assert not _answers(spec.port, patience=0)
        engine.put_back(OTHER, NAME)
        assert (_state(engine, NAME), _state(engine, OTHER), _answers(spec.port)) == ("running", "absent", True)


def test_a_container_goes_and_its_volume_stays(engine: Engine, spec: Spec) -> None:
    engine.start(spec)
    engine.remove(NAME)
    assert (_state(engine, NAME), _answers(spec.port, patience=0)) == ("absent", False)
    assert engine.volume(NAME) == Volume(NAME, "")


def test_a_program_runs_only_in_a_container_that_runs(engine: Engine, spec: Spec) -> None:
    engine.create(spec)
    with pytest.raises(RegistryError, match=f"Nothing can run in {NAME}: .*not running"):
        engine.execute(NAME, ["no-such-program"])
    engine.start(NAME)
    assert engine.execute(NAME, ["no-such-program"]).code in (126, 127)


# Volumes


def test_a_volume_is_its_first_maker_s(engine: Engine) -> None:
    for installation in (MINE, ANOTHER_S):
        engine.make_volume(NAME, installation)
    assert engine.volume(NAME) == Volume(NAME, MINE)
    assert (engine.volumes_of(MINE), engine.volumes_of(ANOTHER_S)) == ([NAME], [])


def test_a_volume_that_a_container_has_cannot_be_removed_before_it(engine: Engine, spec: Spec) -> None:
    engine.make_volume(NAME, MINE)
    engine.create(spec)
    with pytest.raises(RegistryError, match="volume is in use"):
        engine.remove_volume(NAME)
    assert (engine.holders(NAME), engine.volume(NAME)) == ([NAME], Volume(NAME, MINE))
    engine.remove(NAME)
    engine.remove_volume(NAME)
    assert engine.volume(NAME) is None


def _file(name: str, content: bytes) -> File:
    return File(name, Path("certs") / name, content, secret=True)


def test_files_are_read_as_they_were_written_last(world: World, engine: Engine) -> None:
    engine.make_volume(NAME, MINE)
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"one"), _file("users/b", b"two")])
    world.put_reader(FILES)
    assert (engine.read_file(OTHER, "/config/a"), engine.read_file(OTHER, "/config/users/b")) == (b"one", b"two")
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"three")])
    assert (engine.read_file(OTHER, "/config/a"), engine.read_file(OTHER, "/config/users/b")) == (b"three", b"two")
    assert (engine.read_file(OTHER, "/config/c"), engine.read_file(OTHER, "/config")) == (None, None)
    found = engine.find(OTHER)
    assert found
    assert (found.files_volume, engine.holders(FILES)) == (FILES, [OTHER])


def test_a_volume_of_files_is_listed_as_such_alone(world: World, engine: Engine) -> None:
    engine.make_volume(NAME, MINE)
    engine.fill(FILES, MINE, world.image_id, [])
    assert engine.volume(FILES) == Volume(FILES, MINE, FILES_ROLE)
    assert (engine.volumes_of(MINE), engine.list_files_volumes(MINE)) == ([NAME], [FILES])
    assert engine.list_files_volumes(ANOTHER_S) == []


def test_files_go_to_no_volume_that_was_not_made_for_them_here(world: World, engine: Engine) -> None:
    engine.make_volume(NAME, MINE)
    engine.fill(FILES, ANOTHER_S, world.image_id, [])
    for volume in (NAME, FILES):
        with pytest.raises(RegistryError, match=f"{volume} exists, and this installation did not make it"):
            engine.fill(volume, MINE, world.image_id, [_file("a", b"one")])
    with pytest.raises(RegistryError, match="No such image"):
        engine.fill(OTHER, MINE, f"sha256:{'0' * 64}", [_file("a", b"one")])


def test_a_file_of_this_machine_is_read_where_it_is_mounted_up_to_a_size(engine: Engine, spec: Spec) -> None:
    engine.create(spec)
    (path,) = spec.config_files
    for content in (path.read_bytes(), b"", b"x" * (1 << 20)):
        path.write_bytes(content)
        assert engine.read_file(NAME, "/config/registry.yml") == content
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):
        engine.read_file(NAME, "/config/registry.yml")


# Images


def test_an_image_is_found_by_each_of_its_names_and_by_its_id(engine: Engine) -> None:
    made = engine.import_image(MADE, layer.random_tar())
    engine.tag(MADE, f"{NAME}:2")
    assert {engine.image_id(it) for it in (MADE, f"{NAME}:2", made)} == {made}
    engine.untag(MADE)
    assert (engine.image_id(MADE), engine.image_id(made), engine.has_image(f"{NAME}:2")) == (None, made, True)
    engine.untag(f"{NAME}:2")
    assert not engine.has_image(made)


def test_a_name_goes_over_to_another_image(engine: Engine) -> None:
    first = engine.import_image(MADE, layer.random_tar())
    second = engine.import_image(f"{NAME}:2", layer.random_tar())
    engine.tag(first, f"{NAME}:3")
    engine.tag(second, MADE)
    assert (engine.image_id(MADE), engine.image_id(f"{NAME}:3")) == (second, first)


def test_an_image_of_a_container_stays(engine: Engine, spec: Spec) -> None:
    made = engine.import_image(MADE, layer.random_tar(), ['ENTRYPOINT ["/x"]'])
    engine.create(dataclasses.replace(spec, image=made))
    with pytest.raises(RegistryError, match=r"is being used|is using"):
        engine.untag(made)
    assert engine.has_image(made)
    engine.remove(NAME)
    engine.untag(made)
    assert not engine.has_image(made)


def test_what_is_no_archive_of_images_is_not_loaded(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "junk.tar").write_bytes(b"junk" * 1000)
    with pytest.raises(RegistryError):
        engine.load(tmp_path / "junk.tar")


@pytest.mark.parametrize("act", ["push", "pull", "try_pull"])
def test_what_no_registry_has_cannot_be_transferred(act: str, engine: Engine) -> None:
    reference = f"{NAME}.invalid/{NAME}:1"
    with pytest.raises(RegistryError):
        getattr(engine, act)(reference)
    assert not engine.has_image(reference)
