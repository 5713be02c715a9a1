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
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.engine.types import Volume
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.installation import LABEL
from trusted_registry.instance import roles
from trusted_registry.instance.model import FILES_FOLDER, FILES_ROLE, File, Image, Published
from trusted_registry.registry import layer, probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.conftest import MakeSettings
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import Instance

NAME = f"{TESTS}-contract"
OTHER, ABSENT, FILES, MADE = f"{NAME}-other", f"{NAME}-absent", f"{NAME}-files", f"{NAME}:1"
MINE, ANOTHER_S = "1" * 32, "2" * 32


@dataclass
class World:
    """An engine, and an image of a registry that it has."""

    engine: Engine
    image: str

    @property
    def image_id(self) -> str:
        """The id of the image."""
        return self.engine.image_id(self.image) or ""


def _fake() -> Iterator[World]:
    engine = FakeEngine()
    yield World(engine, IMAGE)
    engine.end()


def _real(image: str, client: docker.DockerClient) -> Iterator[World]:
    engine = engines.connect(Recorder())
    _clear(client)
    yield World(engine, image)
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
def instance(world: World, make_settings: MakeSettings) -> Instance:
    """A registry that speaks plain HTTP on a port of loopback, with the files that it reads."""
    with loopback.silence() as port:
        settings = make_settings(container=NAME, volume=NAME, plain_port=str(port))
    made = roles.plain(settings, Image(world.image, world.image_id), lan=False)
    return _filled(dataclasses.replace(made, installation=MINE), world.engine)


@pytest.fixture
def another(instance: Instance, engine: Engine) -> Instance:
    """The same under another name, on another port."""
    with loopback.silence() as port:
        made = dataclasses.replace(instance, name=OTHER, published=Published(loopback.HOST, port))
    return _filled(made, engine)


def _filled(instance: Instance, engine: Engine) -> Instance:
    engine.fill(instance.files_volume, MINE, instance.image.id, instance.files)
    return instance


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
    assert engine.read_files(ABSENT, FILES_FOLDER) == {}
    assert (engine.volumes_of(ANOTHER_S), engine.list_files_volumes(ANOTHER_S)) == ([], [])
    assert ABSENT not in [it.name for it in engine.list_containers()]


def test_a_change_of_what_is_absent_is_no_error(engine: Engine) -> None:
    engine.retire(ABSENT)
    engine.rename(ABSENT, OTHER)
    engine.restart(ABSENT)
    engine.hand_over(ABSENT)
    engine.remove(ABSENT)
    engine.remove(ABSENT, at_once=True)
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


def test_a_container_that_is_created_is_described_and_does_not_run(
    world: World, engine: Engine, instance: Instance
) -> None:
    engine.create(instance)
    found = engine.find(NAME)
    assert found
    assert (found.state, found.role, found.digest) == ("created", "plain", instance.digest)
    assert (found.image, found.image_id, found.installation) == (world.image, world.image_id, MINE)
    assert (found.listen, found.port) == (loopback.HOST, instance.published.port)
    assert (found.volume, found.files_volume) == (NAME, instance.files_volume)
    (listed,) = [it for it in engine.list_containers() if it.name == NAME]
    assert (listed.state, listed.labels[LABEL]) == ("created", MINE)
    assert NAME not in [name for name, _ in engine.bind_mounts()]
    assert (engine.publisher_of(instance.published.port), _answers(instance.published.port, patience=0)) == (
        None,
        False,
    )


def test_a_name_in_use_and_an_image_that_is_absent_are_refused(
    engine: Engine, instance: Instance, another: Instance
) -> None:
    engine.create(instance)
    engine.create(another)
    with pytest.raises(RegistryError, match="already in use"):
        engine.create(instance)
    with pytest.raises(RegistryError, match="already in use"):
        engine.rename(NAME, OTHER)
    engine.remove(OTHER)
    with pytest.raises(RegistryError, match="No such image"):
        engine.create(dataclasses.replace(another, image=Image(f"{ABSENT}:1", "")))
    with pytest.raises(RegistryError, match="became another image"):
        engine.create(dataclasses.replace(another, image=Image(another.image.name, f"sha256:{'0' * 64}")))
    engine.retire(NAME)
    assert (_state(engine, NAME), _state(engine, OTHER)) == ("created", "absent")


def test_a_container_answers_from_its_start_to_its_stop(engine: Engine, instance: Instance) -> None:
    engine.create(instance)
    meanwhile: list[str] = []
    for _ in range(2):
        engine.start(NAME, lambda: meanwhile.append("called"))
        assert (_state(engine, NAME), engine.publisher_of(instance.published.port)) == ("running", NAME)
        assert _answers(instance.published.port)
        engine.retire(NAME)
        assert (_state(engine, NAME), _answers(instance.published.port, patience=0)) == ("exited", False)
    engine.retire(NAME)
    engine.restart(NAME)
    assert (_answers(instance.published.port), meanwhile) == (True, ["called", "called"])
    assert engine.log(NAME, lines=1).count("\n") == 1


def test_another_registry_takes_over_in_the_same_container(
    world: World, engine: Engine, make_settings: MakeSettings
) -> None:
    with loopback.silence() as port:
        settings = make_settings(container=NAME, volume=NAME, plain_port=str(port))
    entrypoint = engine.entrypoint(world.image, shell=True)  # noqa: S604 - not subprocess's
    made = roles.plain(settings, Image(world.image, world.image_id), entrypoint, lan=False)
    engine.run(_filled(dataclasses.replace(made, installation=MINE), engine))
    assert _answers(port)
    before = engine.find(NAME)
    engine.hand_over(NAME)
    assert _answers(port)
    assert engine.find(NAME) == before


@pytest.mark.parametrize("holder", ["a container", "a process"])
def test_a_port_that_is_held_is_refused_and_no_container_stays(
    holder: str, engine: Engine, instance: Instance, another: Instance
) -> None:
    same = _filled(dataclasses.replace(another, published=instance.published), engine)
    with contextlib.ExitStack() as stack:
        if holder == "a process":
            stack.enter_context(socket.create_server((loopback.HOST, instance.published.port)))
        else:
            engine.run(instance)
        with pytest.raises(PortTakenError):
            engine.run(same)
        assert _state(engine, OTHER) == "absent"
        engine.create(same)
        with pytest.raises(PortTakenError):
            engine.start(OTHER)
        assert _state(engine, OTHER) != "running"
    engine.remove(NAME)
    engine.start(OTHER)
    assert _answers(instance.published.port)


def test_a_container_without_the_files_that_it_reads_answers_nobody(engine: Engine, instance: Instance) -> None:
    engine.create(dataclasses.replace(instance, files_of=FILES))
    engine.start(NAME)
    assert not _answers(instance.published.port, patience=0.5)


def test_what_fails_meanwhile_takes_the_container_away(engine: Engine, instance: Instance) -> None:
    def fail() -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(instance, fail)
    assert _state(engine, NAME) == "absent"


def test_a_container_runs_on_under_another_name(engine: Engine, instance: Instance) -> None:
    engine.run(instance)
    engine.rename(NAME, OTHER)
    assert (_state(engine, NAME), _state(engine, OTHER), _answers(instance.published.port)) == (
        "absent",
        "running",
        True,
    )
    assert (engine.publisher_of(instance.published.port), engine.holders(NAME)) == (OTHER, [OTHER])


def test_a_container_that_was_retired_comes_back_under_its_name(engine: Engine, instance: Instance) -> None:
    engine.run(instance)
    engine.put_back(OTHER, NAME)
    assert _answers(instance.published.port)
    for _ in range(2):
        engine.rename(NAME, OTHER)
        engine.retire(OTHER)
        assert (_state(engine, NAME), _state(engine, OTHER)) == ("absent", "exited")
        assert not _answers(instance.published.port, patience=0)
        engine.put_back(OTHER, NAME)
        assert (_state(engine, NAME), _state(engine, OTHER)) == ("running", "absent")
        assert _answers(instance.published.port)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_container_goes_and_its_volumes_stay(engine: Engine, instance: Instance, *, at_once: bool) -> None:
    engine.run(instance)
    engine.remove(NAME, at_once=at_once)
    assert (_state(engine, NAME), _answers(instance.published.port, patience=0)) == ("absent", False)
    assert (engine.volume(NAME), engine.volume(instance.files_volume) is None) == (Volume(NAME, ""), False)


def test_a_rehearsal_answers_beside_on_a_port_that_the_engine_chooses(engine: Engine, instance: Instance) -> None:
    engine.run(instance)
    trial = instance.rehearsal()
    engine.run(trial)
    found = engine.find(trial.name)
    assert found
    assert found.port
    assert (found.listen, _answers(found.port), _answers(instance.published.port)) == (loopback.HOST, True, True)
    assert found.port != instance.published.port
    assert engine.holders(NAME) == engine.holders(instance.files_volume) == [NAME, trial.name]


def test_a_program_runs_only_in_a_container_that_runs(engine: Engine, instance: Instance) -> None:
    engine.create(instance)
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


def test_a_volume_that_a_container_has_cannot_be_removed_before_it(engine: Engine, instance: Instance) -> None:
    engine.make_volume(NAME, MINE)
    engine.create(instance)
    with pytest.raises(RegistryError, match="volume is in use"):
        engine.remove_volume(NAME)
    assert (engine.holders(NAME), engine.volume(NAME)) == ([NAME], Volume(NAME, MINE))
    engine.remove(NAME)
    engine.remove_volume(NAME)
    assert engine.volume(NAME) is None


def _file(name: str, content: bytes) -> File:
    return File(name, Path("certs") / name, content, secret=True)


def test_files_are_read_as_they_were_written_last(world: World, engine: Engine, instance: Instance) -> None:
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"one"), _file("b", b"two")])
    engine.create(dataclasses.replace(instance, files_of=FILES))
    assert engine.read_files(NAME, FILES_FOLDER) == {"a": b"one", "b": b"two"}
    engine.fill(FILES, MINE, world.image, [_file("a", b"three"), _file("c", b"")])
    assert engine.read_files(NAME, FILES_FOLDER) == {"a": b"three", "b": b"two", "c": b""}
    assert engine.read_files(NAME, "/nowhere") == {}
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"x" * ((1 << 20) + 1))])
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):
        engine.read_files(NAME, FILES_FOLDER)


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


# Images


def test_an_image_is_found_by_each_of_its_names_and_by_its_id(engine: Engine) -> None:
    made = engine.import_image(MADE, layer.random_tar())
    engine.tag(MADE, f"{NAME}:2")
    assert {engine.image_id(it) for it in (MADE, f"{NAME}:2", made)} == {made}
    engine.untag(MADE)
    assert (engine.image_id(MADE), engine.image_id(made), engine.has_image(f"{NAME}:2")) == (None, made, True)
    engine.untag(f"{NAME}:2")
    assert not engine.has_image(made)


def test_what_images_can_do_is_compared_without_their_labels(engine: Engine) -> None:
    tar = layer.random_tar()
    made = [
        engine.import_image(f"{NAME}:{number}", tar, [change])
        for number, change in enumerate(["LABEL a=1", "LABEL a=2", 'ENTRYPOINT ["/x"]'])
    ]
    first, second, third = (engine.image_content(it) for it in made)
    assert (len(set(made)), first == second, first == third, first is None) == (3, True, False, False)
    assert engine.image_content(f"{ABSENT}:1") is None


def test_a_name_goes_over_to_another_image(engine: Engine) -> None:
    first = engine.import_image(MADE, layer.random_tar())
    second = engine.import_image(f"{NAME}:2", layer.random_tar())
    engine.tag(first, f"{NAME}:3")
    engine.tag(second, MADE)
    assert (engine.image_id(MADE), engine.image_id(f"{NAME}:3")) == (second, first)


def test_an_image_of_a_container_stays(engine: Engine, instance: Instance) -> None:
    made = engine.import_image(MADE, layer.random_tar(), ['ENTRYPOINT ["/x"]'])
    engine.create(dataclasses.replace(instance, image=Image(made, made)))
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
