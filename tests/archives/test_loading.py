"""Loading: the registry gets what it lacks, and nothing that was pushed meanwhile is lost by it."""

from __future__ import annotations

import contextlib
import http.client
import time
from typing import TYPE_CHECKING, cast

import pytest

from tests.archives.conftest import found, save
from tests.recorder import Recorder
from trusted_registry.archives import loading, saving, tar
from trusted_registry.archives.loading import Loader
from trusted_registry.errors import AnswerError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage
    from trusted_registry.registry.api import Manifest, RegistryClient

pytestmark = pytest.mark.process


class HeldRegistry:
    """A registry in memory, which counts what it is asked."""

    def __init__(self) -> None:
        self.blobs: dict[str, set[str]] = {}
        self.tags: dict[tuple[str, str], Manifest] = {}
        self.asked: list[str] = []
        self.status = 0

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return a manifest."""
        self.asked.append(f"{repository}:{reference}")
        if self.status or (repository, reference) not in self.tags:
            raise AnswerError("no", cure="none", status=self.status or http.client.NOT_FOUND)
        return self.tags[repository, reference]

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Take a manifest."""
        self.tags[repository, reference] = manifest

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        return digest in self.blobs.get(repository, ())

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Have another repository have a blob."""
        if self.has_blob(source, digest):
            self.blobs.setdefault(repository, set()).add(digest)
        return self.has_blob(source, digest)

    def upload_stream(self, repository: str, digest: str, _size: int, chunks: Iterator[bytes]) -> None:
        """Take a blob."""
        assert b"".join(chunks)
        self.blobs.setdefault(repository, set()).add(digest)

    def catalog(self) -> Iterator[str]:
        """Return all repositories."""
        return iter(sorted(self.blobs))


@contextlib.contextmanager
def loader(path: Path, registry: HeldRegistry) -> Iterator[Loader]:
    """A loader of an archive."""
    with tar.opened(path) as archive:
        yield Loader(loading.read(archive), cast("RegistryClient", registry))


def load(path: Path, registry: HeldRegistry) -> None:
    """Load an archive."""
    with loader(path, registry) as made, Recorder().progress("Loading") as progress:
        made.load(made.digests(), progress)


def test_each_image_is_asked_for_a_few_times_whatever_their_number(archive: Path) -> None:
    registry = HeldRegistry()
    load(archive, registry)
    with loader(archive, registry) as made:
        assert all(digest == it.digest for it, digest in made.digests().items())
        assert len(registry.asked) <= 3 * len(made.contents.entries)


def test_a_tag_that_was_pushed_meanwhile_is_left_alone(archive: Path) -> None:
    registry = HeldRegistry()
    with loader(archive, registry) as made, Recorder().progress("Loading") as progress:
        before = made.digests()
        (moved,) = (it for it in made.contents.entries if it.reference == "app:1")
        other = made.contents.manifest(next(it for it in made.contents.manifests if it != moved.digest))
        registry.put_manifest("app", "1", other)
        with pytest.raises(RegistryError, match="app:1 was pushed meanwhile"):
            made.load(before, progress)
        assert registry.tags["app", "1"] == other
        made.load(made.digests(), progress)
    assert registry.tags["app", "1"].digest == moved.digest


def test_what_was_there_already_is_not_put_again(archive: Path) -> None:
    registry = HeldRegistry()
    load(archive, registry)
    other = registry.tags["multi", "1"]
    with loader(archive, registry) as made, Recorder().progress("Loading") as progress:
        before = made.digests()
        registry.put_manifest("app", "1", other)  # later than it was looked at
        made.load(before, progress)
    assert registry.tags["app", "1"] == other


def test_an_answer_that_is_none_is_not_taken_for_no_such_tag(archive: Path) -> None:
    registry = HeldRegistry()
    registry.status = 503
    with loader(archive, registry) as made, pytest.raises(AnswerError):
        made.digests()


def test_what_was_left_out_is_found_in_a_repository_that_the_archive_does_not_name(
    made: MadeStorage, engine: FakeEngine, tmp_path: Path
) -> None:
    made.image("first", "1", "shared")
    save(tmp_path / "first.tar", made, engine)
    base = saving.read_index(tmp_path / "first.tar.index")
    made.image("second", "1", "shared")
    every = found(engine)
    chosen = saving.select([it for it in every.images if it.repository == "second"], every, base)
    assert {it for names in chosen.elsewhere.values() for it in names} == {"second"}
    save(tmp_path / "second.tar", made, engine, base)
    registry = HeldRegistry()
    load(tmp_path / "first.tar", registry)
    load(tmp_path / "second.tar", registry)
    assert ("second", "1") in registry.tags


def test_the_first_error_ends_what_is_done_in_parallel() -> None:
    done: list[str] = []

    def deed(digest: str) -> None:
        if digest == "0":
            raise KeyError(digest)
        done.append(digest)
        time.sleep(0.01)

    with pytest.raises(KeyError):
        saving.in_parallel(deed, map(str, range(100_000)))
    assert len(done) < 10_000  # all of them would take a quarter of an hour
