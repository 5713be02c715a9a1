"""Containers and volumes are used and taken away by the installation that made them, and by no other."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from trusted_registry import installation, status
from trusted_registry.doctor import gather, store_states
from trusted_registry.engine import engine as engines
from trusted_registry.engine.types import Volume
from trusted_registry.errors import RegistryError
from trusted_registry.instance import checks, ownership, ports, roles, running
from trusted_registry.instance.model import Image
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trusted_registry.settings import Settings

ANOTHER = "f" * 32
OLD = container(id="old", digest="other", volume="trusted-registry")
USER = container(role=None, port=None, volume="trusted-registry")


@pytest.fixture
def engine(settings: Settings) -> Iterator[FakeEngine]:
    """An engine whose registry shows the certificate that is on disk."""
    made = FakeEngine(settings.folder / "domain.crt")
    yield made
    made.end()


def _moved(settings: Settings, to: str = "moved") -> Settings:
    """Move the checkout, which is its certificates here."""
    root = settings.root / to
    root.mkdir()
    settings.folder.rename(root / "certs")
    return dataclasses.replace(settings, root=root, folder=root / "certs")


def _copied(settings: Settings) -> Settings:
    shutil.copytree(settings.folder, settings.root / "copy" / "certs")
    return dataclasses.replace(settings, root=settings.root / "copy", folder=settings.root / "copy" / "certs")


def _fresh(settings: Settings) -> Settings:
    """Return another checkout, with a certificate of its own for the same names."""
    root = settings.root / "fresh"
    (root / "certs").mkdir(parents=True, exist_ok=True)
    signer = forge.authority()
    forge.save(signer, root / "certs", "ca")
    forge.save(forge.server(signer, names=(loopback.HOST, "192.168.0.12")), root / "certs", "domain")
    return dataclasses.replace(settings, root=root, folder=root / "certs")


ACTS: dict[str, Callable[[Settings, FakeEngine, Recorder], bool]] = {
    "up": lambda settings, engine, console: ownership.claimed(Run(settings, console), engine) is not None,
    "registry.tls": lambda settings, engine, console: running.run_tls(Run(settings, console), engine),
    "registry.basic": lambda settings, engine, console: running.run_plain(Run(settings, console), engine, lan=False),
    "down --purge": lambda settings, engine, console: running.stop(Run(settings, console), engine, purge=True),
}


def _refused(task: str, settings: Settings, engine: FakeEngine) -> RegistryError:
    """Insist that a task is refused and changes nothing, and return why."""
    before = (dict(engine.volumes), list(engine.done), engine.container, snapshot(settings.root))
    with pytest.raises(RegistryError) as caught:
        ACTS[task](settings, engine, Recorder())
    assert (engine.volumes, engine.done, engine.container, snapshot(settings.root)) == before
    return caught.value


# The first thing that is made


@pytest.mark.parametrize("task", ["registry.tls", "registry.basic"])
def test_what_is_started_carries_the_id_of_the_installation_and_so_does_its_volume(
    task: str, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.shows = engine.shows if task == "registry.tls" else None
    assert ACTS[task](settings, engine, console)
    id_ = installation.known(settings.folder).id
    assert engine.container
    assert (len(id_), engine.container.installation, engine.volumes) == (32, id_, {settings.volume: id_})


def test_a_dry_run_shows_both_and_makes_neither_them_nor_an_id(settings: Settings, engine: FakeEngine) -> None:
    console, before = Recorder(dry=True), snapshot(settings.folder)
    ownership.marked(roles.tls(settings, Image("registry:3", "")), Run(settings, console), engines.unavailable(console))
    assert console.typed == [f"docker volume create --label {installation.LABEL}=ID {settings.volume}"]
    assert (snapshot(settings.folder), engine.volumes) == (before, {})


# Adoption


@pytest.mark.parametrize("task", ["up", "registry.tls", "down --purge"])
def test_the_registry_of_an_older_version_is_adopted_with_its_volume(
    task: str, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container, engine.volumes = OLD, {"trusted-registry": ""}
    ACTS[task](settings, engine, console)
    noted = installation.known(settings.folder)
    assert noted.containers == ("old",)
    assert (noted.volumes, engine.volumes) == (
        ((), {}) if task == "down --purge" else (("trusted-registry",), {"trusted-registry": ""})
    )


def test_a_volume_that_two_registries_of_an_older_version_share_is_neither_s_until_one_lets_go(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container, engine.volumes = OLD, {"trusted-registry": ""}
    engine.put("my-registry", USER)
    with pytest.raises(RegistryError, match="the container my-registry uses it") as caught:
        ACTS["down --purge"](settings, engine, console)
    assert (engine.done, engine.volumes) == ([], {"trusted-registry": ""})
    assert "or have my-registry use another one first" in caught.value.cure
    elsewhere = dataclasses.replace(settings, volume="second")
    assert ACTS["registry.tls"](elsewhere, engine, console)
    assert "second" in engine.volumes
    engine.container = OLD
    engine.put("my-registry", None)
    ownership.adopt_volume(Run(settings, console), engine)
    assert ownership.claimed(Run(settings, console), engine)


def test_the_basic_registry_of_an_older_version_is_adopted_too(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container = dataclasses.replace(OLD, role="plain")
    engine.volumes, engine.given = {"trusted-registry": ""}, [settings.folder / "registry-plain.yml"]
    ACTS["registry.tls"](settings, engine, console)
    assert installation.known(settings.folder).volumes == ("trusted-registry",)


def test_it_is_adopted_by_whichever_path_its_files_are_named(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    link = settings.root / "link"
    link.symlink_to(settings.root)
    engine.container, engine.volumes = OLD, {"trusted-registry": ""}
    dotted = dataclasses.replace(settings, folder=settings.root / "x" / ".." / "certs")
    (settings.root / "x").mkdir()
    for given, asked in ((link / "certs" / "domain.crt", settings), (settings.folder / "domain.crt", dotted)):
        engine.given = [given]
        assert ownership.claimed(Run(asked, console), engine)


def test_one_that_was_adopted_stays_so_though_the_checkout_moves(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container, engine.volumes = dataclasses.replace(OLD, state="exited"), {"trusted-registry": ""}
    ownership.claimed(Run(settings, console), engine)
    moved = _moved(settings)
    assert ownership.claimed(Run(moved, console), engine)
    engine.shows = moved.folder / "domain.crt"
    assert ACTS["registry.tls"](moved, engine, console)
    assert (engine.done, engine.volumes) == (["remove", "start"], {"trusted-registry": ""})


def test_one_of_a_checkout_that_moved_before_is_known_by_the_certificate_that_it_shows(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    with loopback.registry(settings.folder / "domain.crt") as port:
        engine.container = dataclasses.replace(OLD, listen=loopback.HOST, port=port)
        engine.volumes, engine.given = {"trusted-registry": ""}, [settings.folder / "domain.crt"]
        moved = _moved(settings)
        assert ownership.claimed(Run(moved, console), engine)
        error = _refused("up", _fresh(settings), engine)
        assert "where nothing is now" in error.message
        assert "move it back there" in error.cure
    assert installation.known(moved.folder).volumes == ("trusted-registry",)


def test_one_that_shows_nothing_and_whose_files_are_gone_is_nobody_s(settings: Settings, engine: FakeEngine) -> None:
    engine.container, engine.given = dataclasses.replace(OLD, state="exited"), [settings.root / "gone" / "domain.crt"]
    for task in ACTS:
        assert "where nothing is now" in _refused(task, settings, engine).message


def test_what_an_installation_made_stays_its_own_through_a_move_and_for_a_copy_and_is_no_fresh_clone_s(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    ACTS["registry.tls"](settings, engine, console)
    assert engine.container
    assert ownership.claimed(Run(_copied(settings), console), engine)
    assert "another checkout's" in _refused("up", _fresh(settings), engine).message
    moved = _moved(settings)
    engine.container = dataclasses.replace(engine.container, state="exited")
    assert ownership.claimed(Run(moved, console), engine)


def test_an_id_that_was_lost_is_the_one_that_the_container_carries(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    ACTS["registry.tls"](settings, engine, console)
    made = installation.known(settings.folder).id
    (settings.folder / installation.FILE).unlink()
    assert ownership.claimed(Run(settings, console), engine)
    assert installation.known(settings.folder).id == made


def test_a_container_of_another_id_is_another_s_though_its_files_lie_here(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    installation.ensure(settings.folder, console)
    engine.container = container(installation=ANOTHER)
    for task in ACTS:
        assert "another checkout's" in _refused(task, settings, engine).message


def test_a_container_without_files_of_this_machine_is_nobody_s_whatever_its_label_says(
    settings: Settings, engine: FakeEngine
) -> None:
    engine.container, engine.given = dataclasses.replace(OLD, state="exited"), []
    assert not ownership.is_own(engine.container, settings, engine)


def test_a_renewal_leaves_another_s_registry_alone(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect", lambda _console: engine)
    engine.container, console = container(installation=ANOTHER), Recorder()
    installation.ensure(settings.folder, console)
    assert running.restart(Run(settings, console)) is False
    assert (engine.done, ["another checkout's" in line for line in console.warned]) == ([], [True])


# Volumes


@pytest.mark.parametrize("task", ACTS)
@pytest.mark.parametrize(("name", "made_by"), [("trusted-registry", ""), ("otherdata", ""), ("otherdata", ANOTHER)])
def test_a_volume_of_somebody_else_s_is_named_and_neither_used_nor_deleted(
    name: str, made_by: str, task: str, settings: Settings, engine: FakeEngine
) -> None:
    engine.volumes = {name: made_by}
    error = _refused(task, dataclasses.replace(settings, volume=name), engine)
    assert f"A volume named {name} exists, and this installation did not make it" in error.message
    assert "INVOKE_REGISTRY_VOLUME=my-registry ./inv up" in error.cure
    assert ("--adopt" in error.cure) is (not made_by)


@pytest.mark.parametrize("task", ACTS)
def test_it_is_refused_beside_a_registry_of_one_s_own_which_goes_on(
    task: str, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    ACTS["registry.tls"](settings, engine, console)
    engine.volumes["otherdata"] = ""
    _refused(task, dataclasses.replace(settings, volume="otherdata"), engine)


def test_a_volume_that_a_container_has_is_named_with_it_and_cannot_be_adopted(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.volumes = {"trusted-registry": ""}
    engine.put("first", USER)
    error = _refused("up", settings, engine)
    assert ("the container first uses it" in error.message, "--adopt" in error.cure) == (True, False)
    with pytest.raises(RegistryError, match="the container first uses it"):
        ownership.adopt_volume(Run(settings, console), engine)
    assert installation.known(settings.folder).volumes == ()


def test_a_volume_is_adopted_where_a_person_says_so_and_not_one_of_another_installation(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.volumes = {"trusted-registry": ""}
    ownership.adopt_volume(Run(settings, Recorder(dry=True)), engine)
    _refused("up", settings, engine)
    ownership.adopt_volume(Run(settings, console), engine)
    checks.check_port(Run(settings, console), engine)
    engine.volumes["theirs"] = ANOTHER
    with pytest.raises(RegistryError, match="did not make it"):
        ownership.adopt_volume(Run(dataclasses.replace(settings, volume="theirs"), console), engine)


def test_no_volume_is_adopted_beside_a_container_of_somebody_else_s(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.volumes, engine.container = {"trusted-registry": ""}, container(role=None, volume="trusted-registry")
    before = snapshot(settings.root)
    with pytest.raises(RegistryError, match="this project did not make it"):
        ownership.adopt_volume(Run(settings, console), engine)
    assert snapshot(settings.root) == before


def test_an_adopted_volume_that_another_installation_made_anew_is_that_one_s(
    settings: Settings, engine: FakeEngine
) -> None:
    installation.adopt(settings.folder, volume="trusted-registry")
    engine.volumes = {"trusted-registry": ANOTHER}
    for task in ACTS:
        assert "did not make it" in _refused(task, settings, engine).message


def test_an_adopted_volume_that_is_gone_is_adopted_no_more(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    installation.adopt(settings.folder, volume="trusted-registry")
    ACTS["registry.tls"](settings, engine, console)
    assert installation.known(settings.folder).volumes == ()
    assert engine.volumes == {"trusted-registry": installation.known(settings.folder).id}


def test_a_volume_that_another_makes_in_between_is_not_used(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(name: str, _id: str) -> Volume:
        engine.volumes[name] = ANOTHER
        return Volume(name, ANOTHER)

    monkeypatch.setattr(engine, "make_volume", overtaken)
    with pytest.raises(RegistryError, match="did not make it"):
        ACTS["registry.tls"](settings, engine, console)
    assert engine.done == []


# What people are told


@pytest.mark.process
def test_status_and_doctor_take_another_s_registry_for_another_s(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ACTS["registry.tls"](settings, engine, console)
    assert status._registry(settings, engine).role == "tls"
    engine.container = dataclasses.replace(container(), installation=ANOTHER)
    found = status._registry(settings, engine)
    assert (found.role, found.health) == ("another checkout's", "not this checkout's")
    monkeypatch.setattr(store_states, "gather", lambda facts, *_: facts)
    facts = gather.local(settings, engine, None)
    assert facts.container
    assert not facts.container.ours


# Cures


def test_the_cure_beside_another_s_registry_names_all_that_a_second_one_takes(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    ACTS["registry.tls"](settings, engine, console)
    fresh, port = _fresh(settings), settings.port + 1
    names = "INVOKE_REGISTRY_CONTAINER=my-registry INVOKE_REGISTRY_VOLUME=my-registry"
    assert _refused("up", fresh, engine).cure.startswith(f"Use another name: {names} ./inv up --port {port}")
    engine.volumes["my-registry"] = ANOTHER
    with socket.create_server((loopback.HOST, port)):
        cure = _refused("up", fresh, engine).cure
    assert cure.startswith(
        f"Use another name: {names.replace('my-registry', 'my-registry-2')} ./inv up --port {port + 1}"
    )
    second = dataclasses.replace(fresh, container="my-registry-2", volume="my-registry-2")
    assert ownership.claimed(Run(second, console), engine) is None


def test_the_cure_for_a_taken_port_keeps_the_names(settings: Settings, engine: FakeEngine) -> None:
    second = dataclasses.replace(settings, container="second", volume="second", plain_port=5000)
    cure = ports.taken_error(settings.port, second, engine).cure
    assert f"INVOKE_REGISTRY_CONTAINER=second INVOKE_REGISTRY_VOLUME=second ./inv up --port {settings.port + 1}" in cure


def test_a_command_names_the_folder_where_it_is_another(settings: Settings, tmp_path: Path) -> None:
    assert settings.command("up") == "./inv up"
    other = dataclasses.replace(settings, folder=tmp_path / "a folder")
    assert other.command("up") == f"INVOKE_CERTIFICATE_FOLDER='{tmp_path / 'a folder'}' ./inv up"
