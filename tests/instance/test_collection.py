"""A collection of a bucket, in which a collector that finds no repository at all would fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.fake_engine import FakeEngine, container
from tests.images.memory_bucket import Memory
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError
from trusted_registry.images import storages
from trusted_registry.images.objects import Objects
from trusted_registry.instance import collection
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

IN_BUCKET = container(volume="", bucket="s3://images")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    monkeypatch.setattr(storages, "of", lambda *_: Objects(made))
    return made


def test_while_a_bucket_is_collected_something_lies_among_its_repositories(
    bucket: Memory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[list[str]] = []
    monkeypatch.setattr(collection, "_collect", lambda *_: met.append([*bucket.held]))
    collection.collect(IN_BUCKET, Run(settings, Recorder()), FakeEngine())
    assert [[it.startswith("docker/registry/v2/repositories/.") for it in some] for some in met] == [[True]]
    assert bucket.held == {}


def test_nor_does_it_stay_after_a_collection_that_fails(
    bucket: Memory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        assert bucket.held
        raise RegistryError("no answer", cure="")

    monkeypatch.setattr(collection, "_collect", fail)
    with pytest.raises(RegistryError, match="no answer"):
        collection.collect(IN_BUCKET, Run(settings, Recorder()), FakeEngine())
    assert bucket.held == {}


def test_a_program_of_another_container_is_run_there(
    bucket: Memory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, ran = FakeEngine(), []

    def stream(name: str, argv: list[str], _errors: bytearray) -> Iterator[bytes]:
        ran.append([name, *argv[4:]])
        yield b"collected\n"

    monkeypatch.setattr(engine, "stream", stream)
    collection.collect(IN_BUCKET, Run(settings, Recorder()), engine, "elsewhere", ("/entrypoint.sh",))
    assert ran == [["elsewhere", "/entrypoint.sh", "garbage-collect", "/config/registry.yml"]]
    assert bucket.held == {}


def test_a_volume_gets_nothing_for_it(bucket: Memory, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[list[str]] = []
    monkeypatch.setattr(collection, "_collect", lambda *_: met.append([*bucket.held]))
    collection.collect(container(volume="registry"), Run(settings, Recorder()), FakeEngine())
    assert met == [[]]
