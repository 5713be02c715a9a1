"""Images moved between a volume and a bucket, by a real engine, a real registry and a real store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import docker
import pytest

from tests import fake_engine
from tests.bucket.memory_store import content, image, tag
from tests.engine import worlds
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.bucket.client import Object
from trusted_registry.bucket.stores import LARGE, VolumeStore
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import mover
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings

pytestmark = pytest.mark.engine

NAME, SMALL = worlds.NAME, f"{worlds.NAME}-small"


@pytest.fixture
def volume(registry_image: str, client: docker.DockerClient, make_settings: MakeSettings) -> Iterator[VolumeStore]:
    """A volume with nothing in it, by its mover."""
    engine = engines.connect(Recorder())
    run = Run(make_settings(container=NAME, volume=NAME), Recorder())
    id_ = installation.ensure(run.settings.folder, run.console).id
    engine.make_volume(NAME, id_)
    image_id = str(client.images.get(registry_image).id)
    described = fake_engine.container(image=registry_image, image_id=image_id, files_volume=worlds.FILES)
    with mover.running(NAME, described, run, engine) as name:
        yield VolumeStore(name, engine)
    assert engine.find(name) is None
    engine.remove_volume(NAME)
    client.volumes.get(worlds.FILES).remove()
    engine.close()


def given(files: dict[str, bytes], changed: int = 1_700_000_000) -> Iterator[tuple[Object, list[bytes]]]:
    """Yield files as a store takes them."""
    yield from ((Object(path, len(data), changed, ""), [data[:5], data[5:]]) for path, data in files.items())


def kept(store: VolumeStore) -> dict[str, bytes]:
    """Return all that a store has."""
    every = list(store.entries().values())
    portions = [[it for it in every if it.size < LARGE], *([it] for it in every if it.size >= LARGE)]
    return {it.path: b"".join(chunks) for some in portions for it, chunks in store.read(some)}


def test_a_volume_gives_back_what_was_written_and_forgets_what_was_removed(volume: VolumeStore) -> None:
    large = bytes(range(256)) * (LARGE // 128)
    files = {**image("team/app", "1", b"one"), **image("app", "1", b""), **dict([content(large)])}
    assert volume.entries() == {}
    volume.write(given(files))
    assert kept(volume) == files
    entries = volume.entries()
    path, link = tag("team/app", "1", b"one")
    assert entries[path][:3] == (path, len(link), 1_700_000_000)
    assert entries[path].mark == hashlib.sha256(link).hexdigest()
    assert int(entries[content(large)[0]].mark) > 1_700_000_000  # whatever time the file was given
    volume.remove([path, "docker/registry/v2/repositories/not/there/link"])
    assert kept(volume) == {other: it for other, it in files.items() if other != path}
    left = volume.engine.execute(volume.container, ["/bin/sh", "-c", "find /var/lib/registry -type d -empty"])
    assert left.out == ""  # a tag's folder without its link would be listed as a tag


def test_what_changed_while_it_is_read_is_left_out_and_a_large_one_is_told(volume: VolumeStore) -> None:
    files = {**image("app", "1", b"one"), **dict([content(b"x" * LARGE)])}
    volume.write(given(files))
    entries = [it for it in volume.entries().values() if it.size < LARGE]
    other = [entries[0]._replace(size=99), *entries[1:]]
    read = {it.path: b"".join(chunks) for it, chunks in volume.read(other)}
    assert read == {it.path: files[it.path] for it in entries[1:]}
    ((_, chunks),) = volume.read([Object(content(b"x" * LARGE)[0], LARGE + 1, 0, "")])
    with pytest.raises(RegistryError, match="changed while it was read"):
        list(chunks)


def test_what_nobody_knows_is_not_carried(volume: VolumeStore) -> None:
    script = """cd /var/lib/registry && mkdir -p docker/registry/v2/blobs/x docker/registry/v2/repositories/a/_uploads/1
touch trusted-registry-history.json && cd docker/registry/v2 && touch repositories/a/_uploads/1/data blobs/x/.tmp oth"""
    volume.engine.execute(volume.container, ["/bin/sh", "-c", script])
    assert list(volume.entries()) == ["trusted-registry-history.json"]


def test_a_full_volume_is_told_in_one_line(
    volume: VolumeStore, client: docker.DockerClient, registry_image: str
) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}
    small = client.volumes.create(SMALL, driver_opts=options)
    mount = docker.types.Mount("/var/lib/registry", SMALL)
    made = client.containers.create(registry_image, ["-c", "exec sleep 100"], entrypoint=["/bin/sh"], mounts=[mount])
    try:
        made.start()
        store = VolumeStore(str(made.id), volume.engine)
        files = dict([content(b"y" * 200_000), content(b"x" * (64 * LARGE))])
        with pytest.raises(RegistryError, match=r"The disk of the volume is full\.") as caught:
            store.write(given(files))
        assert "docker system df" in caught.value.cure
        assert store.entries()[content(b"y" * 200_000)[0]].size == 200_000
    finally:
        made.remove(force=True)
        small.remove()
