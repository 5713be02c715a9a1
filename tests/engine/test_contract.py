"""What the protocol of an engine promises of containers, said of the fake one and of a real one alike."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import loopback
from tests.engine.worlds import ABSENT, ANOTHER_S, FILES, MADE, MINE, NAME, OTHER, filled
from trusted_registry.engine.types import Network, Volume
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.installation import LABEL
from trusted_registry.instance import roles
from trusted_registry.instance.model import FILES_FOLDER, Image
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.engine.worlds import World
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import Instance


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
    assert engine.network(ABSENT) is None
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
    engine.drain(ABSENT)
    engine.remove(ABSENT)
    engine.remove(ABSENT, at_once=True)
    engine.put_back(OTHER, ABSENT)
    engine.remove_volume(ABSENT)
    engine.remove_network(ABSENT)
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
    with pytest.raises(RegistryError, match="was changed"):
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
    port = loopback.free_port()
    settings = make_settings(container=NAME, volume=NAME, plain_port=str(port))
    entrypoint = engine.entrypoint(world.image, shell=True)  # noqa: S604 - not subprocess's
    made = roles.plain(settings, Image(world.image, world.image_id), entrypoint, lan=False)
    engine.run(filled(dataclasses.replace(made, installation=MINE), engine))
    assert _answers(port)
    before = engine.find(NAME)
    engine.hand_over(NAME)
    assert _answers(port)
    assert engine.find(NAME) == before


@pytest.mark.parametrize("holder", ["a container", "a process"])
def test_a_port_that_is_held_is_refused_and_no_container_stays(
    holder: str, engine: Engine, instance: Instance, another: Instance
) -> None:
    same = filled(dataclasses.replace(another, published=instance.published), engine)
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


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RegistryError("no room", cure="make some"), ValueError("odd")])
def test_what_fails_meanwhile_is_the_error_and_takes_the_container_away(
    error: BaseException, engine: Engine, instance: Instance
) -> None:
    def fail() -> NoReturn:
        raise error

    with pytest.raises(type(error)) as caught:
        engine.run(instance, fail)
    assert (caught.value, engine.find(NAME)) == (error, None)


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
    engine.put_back(NAME, NAME)
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


# Networks, and registries that a front publishes


def test_a_network_is_its_installation_s_and_stays_as_it_is(engine: Engine) -> None:
    engine.make_network(NAME, MINE)
    engine.make_network(NAME, MINE)
    assert engine.network(NAME) == Network(NAME, MINE)
    with pytest.raises(RegistryError, match="did not make it"):
        engine.make_network(NAME, ANOTHER_S)
    engine.remove_network(NAME)
    assert engine.network(NAME) is None


def test_a_container_takes_a_network_that_is_there(engine: Engine, instance: Instance) -> None:
    with pytest.raises(RegistryError):
        engine.run(dataclasses.replace(instance, network=NAME))
    assert _state(engine, NAME) == "absent"


def test_behind_a_front_nothing_is_published_and_a_network_with_one_that_runs_stays(
    engine: Engine, instance: Instance
) -> None:
    engine.make_network(NAME, MINE)
    engine.run(filled(dataclasses.replace(instance, network=NAME, behind=True), engine))
    found = engine.find(NAME)
    assert found
    assert (found.port, found.listen, found.trial, found.state) == (None, "", None, "running")
    assert (engine.publisher_of(instance.published.port), _answers(instance.published.port, patience=0)) == (
        None,
        False,
    )
    with pytest.raises(RegistryError):
        engine.remove_network(NAME)
    engine.remove(NAME)
    engine.remove_network(NAME)
    assert engine.network(NAME) is None


def test_a_container_that_is_told_to_end_does_and_is_started_no_more(engine: Engine, instance: Instance) -> None:
    engine.run(instance)
    assert _answers(instance.published.port)
    engine.drain(NAME)
    end = time.monotonic() + 10
    while _state(engine, NAME) == "running" and time.monotonic() < end:
        time.sleep(0.02)
    assert (_state(engine, NAME), _answers(instance.published.port, patience=0)) == ("exited", False)
    engine.drain(NAME)
    assert _state(engine, NAME) == "exited"
