"""Files that travel to containers: whose they are, who may read them, and that no reader meets half of one."""

from __future__ import annotations

import datetime
import io
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import pytest

from tests.engine.conftest import NAME as TESTS
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.installation import LABEL
from trusted_registry.instance.model import FILES_FOLDER, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container

    from trusted_registry.engine.protocol import Engine

pytestmark = pytest.mark.engine

NAME = f"{TESTS}-files"
VOLUME, FILLER = f"{NAME}-1", f"{NAME}-1-filler"
UTC = datetime.timezone.utc
MINE, ANOTHER_S = "1" * 32, "2" * 32
SIZE = 1 << 16

LOOK = f"""
a=a b=b
while [ ${{#a}} -lt {SIZE} ]; do a=$a$a b=$b$b; done
while :; do
    if text=$(head -c {SIZE + 1} {FILES_FOLDER}/a 2>/dev/null); then
        if [ "$text" = "$a" ] || [ "$text" = "$b" ]; then echo whole; else echo "part of it: ${{#text}}"; fi
    else
        echo absent
    fi
done
"""
"""Says of a file, again and again, whether it is there and whole: all of it one letter."""


@pytest.fixture
def engine(client: docker.DockerClient) -> Iterator[Engine]:
    made = engines.connect(Recorder())
    _clear(client)
    yield made
    _clear(client)
    made.close()


def _clear(client: docker.DockerClient) -> None:
    for left in client.containers.list(all=True, filters={"name": NAME}):
        left.remove(force=True)
    for volume in client.volumes.list(filters={"name": NAME}):
        volume.remove()


@pytest.fixture
def image(engine: Engine, registry_image: str) -> str:
    """The id of an image."""
    found = engine.image_id(registry_image)
    assert found
    return found


@pytest.fixture
def reader(client: docker.DockerClient, engine: Engine, image: str) -> Container:
    """A container that reads the volume, and does not run yet."""
    engine.fill(VOLUME, MINE, image, [_file("a", b"a" * SIZE)])
    look = ["-c", LOOK]
    return client.containers.create(image, look, entrypoint="/bin/sh", name=NAME, volumes=[f"{VOLUME}:/config:ro"])


def _file(name: str, content: bytes, *, secret: bool = False) -> File:
    return File(name, Path("/certs") / name, content, secret=secret)


def _members(reader: Container) -> dict[str, tarfile.TarInfo]:
    """Return what is in the volume, by name."""
    content = b"".join(reader.get_archive(FILES_FOLDER)[0])
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {Path(it.name).name: it for it in tar if not it.isdir()}


def _time_of_change(reader: Container) -> float:
    _, about = reader.get_archive(f"{FILES_FOLDER}/a")
    assert about
    whole, _, fraction = about["mtime"].rstrip("Z").partition(".")  # Go leaves out the zeros at its end
    return datetime.datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")


def test_files_are_root_s_and_a_secret_one_nobody_else_s(reader: Container, engine: Engine, image: str) -> None:
    for _ in range(2):  # as they are written first, and over others
        engine.fill(VOLUME, MINE, image, [_file("open", b"1"), _file("key", b"2", secret=True)])
        found = _members(reader)
        assert {name: oct(found[name].mode & 0o7777) for name in ("open", "key")} == {"open": "0o644", "key": "0o600"}
        assert {(it.uid, it.gid) for it in found.values()} == {(0, 0)}


def test_two_changes_within_a_second_have_two_times(reader: Container, engine: Engine, image: str) -> None:
    times = []
    for letter in (b"b", b"a"):
        begun = time.time()
        engine.fill(VOLUME, MINE, image, [_file("a", letter * SIZE)])
        times.append(_time_of_change(reader))
        assert begun <= times[-1] <= time.time()
    assert times[0] < times[1]


def test_a_reader_meets_each_file_whole(reader: Container, engine: Engine, image: str) -> None:
    reader.start()
    for count in range(20):
        engine.fill(VOLUME, MINE, image, [_file("a", (b"b", b"a")[count % 2] * SIZE)])
    reader.kill()
    told = reader.logs().decode().splitlines()
    assert [line for line in told if line.startswith("part")] == []
    # The engine takes a name away before it gives it to another file: some microseconds, or a pause of a busy machine.
    assert told.count("whole") > max(100, 20 * told.count("absent"))


def test_nothing_but_the_files_stays(reader: Container, client: docker.DockerClient, engine: Engine) -> None:
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(FILLER)
    assert engine.holders(VOLUME) == [reader.name]


def test_nothing_stays_of_an_attempt_that_failed(
    reader: Container, client: docker.DockerClient, engine: Engine, image: str
) -> None:
    with pytest.raises(RegistryError, match=f"The volume {VOLUME} could not be filled"):
        engine.fill(VOLUME, MINE, image, [_file("a/b", b"a folder is not made of a file")])
    assert engine.holders(VOLUME) == [reader.name]
    assert [it.name for it in client.containers.list(all=True, filters={"name": FILLER})] == []


@pytest.mark.parametrize("owner", [MINE, ANOTHER_S])
def test_what_a_killed_run_left_is_cleared_unless_it_is_somebody_else_s(
    owner: str, client: docker.DockerClient, engine: Engine, image: str
) -> None:
    left = client.containers.create(image, ["x"], name=FILLER, labels={LABEL: owner})
    if owner == MINE:
        engine.fill(VOLUME, MINE, image, [_file("a", b"1")])
        assert client.containers.list(all=True, filters={"name": FILLER}) == []
        return
    with pytest.raises(RegistryError, match=f"The container {FILLER} could not be made: .*already in use"):
        engine.fill(VOLUME, MINE, image, [_file("a", b"1")])
    assert client.containers.get(FILLER).id == left.id
