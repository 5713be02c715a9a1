"""What the protocol of an engine promises of volumes and images, said of the fake one and of a real one alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.engine.worlds import ABSENT, ANOTHER_S, FILES, MADE, MINE, NAME, OTHER
from trusted_registry.engine import archive
from trusted_registry.engine.types import Volume
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import FILES_FOLDER, FILES_ROLE, File, Image
from trusted_registry.registry import layer

if TYPE_CHECKING:
    from tests.engine.worlds import World
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.instance.model import Instance


# Volumes


def test_a_volume_is_its_first_maker_s(engine: Engine) -> None:
    made = [engine.make_volume(NAME, installation) for installation in (MINE, ANOTHER_S)]
    assert [*made, engine.volume(NAME)] == [Volume(NAME, MINE)] * 3
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
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"x" * ((1 << 24) + 1))])
    with pytest.raises(RegistryError, match="more than 16777216 bytes"):
        engine.read_files(NAME, FILES_FOLDER)


def test_something_else_may_be_done_while_files_are_taken(world: World, engine: Engine, instance: Instance) -> None:
    image: list[str | None] = []
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"one")], lambda: image.append(engine.image_id(world.image)))
    engine.create(dataclasses.replace(instance, files_of=FILES))
    assert (image, engine.read_files(NAME, FILES_FOLDER)) == ([world.image_id], {"a": b"one"})


def test_what_fails_meanwhile_leaves_no_container_with_the_files(world: World, engine: Engine) -> None:
    def fail() -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.fill(FILES, MINE, world.image_id, [_file("a", b"one")], fail)
    assert engine.holders(FILES) == []


def test_a_tar_goes_to_no_container_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(RegistryError, match="No such container"):
        engine.unpack(ABSENT, "/var/lib/registry", archive.stream([]))


def test_files_go_into_a_volume_that_was_made_before(world: World, engine: Engine, instance: Instance) -> None:
    assert engine.make_files_volume(FILES, MINE)
    assert engine.volume(FILES) == Volume(FILES, MINE, FILES_ROLE)
    engine.create(dataclasses.replace(instance, files_of=FILES))
    assert not engine.make_files_volume(FILES, MINE)
    engine.fill(FILES, MINE, world.image_id, [_file("a", b"one")])
    assert engine.read_files(NAME, FILES_FOLDER) == {"a": b"one"}


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
        with pytest.raises(RegistryError, match=f"{volume} exists, and this installation did not make it"):
            engine.make_files_volume(volume, MINE)
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
