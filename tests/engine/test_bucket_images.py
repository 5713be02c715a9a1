"""Images of a registry that has them in a bucket: looked at, checked, removed, brought back, freed and carried."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import NAME, PORT, Host, clear, note
from tests.engine.test_images import api, printed
from tests.engine.test_images_change import gives, put
from tests.s3_store import BUCKET
from trusted_registry.images.objects import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.s3_store import S3Store
    from trusted_registry.bucket.client import Bucket
    from trusted_registry.registry.api import RegistryClient

pytestmark = [pytest.mark.engine, pytest.mark.process]


@dataclass
class Kept:
    """A registry with its images in a bucket."""

    host: Host
    bucket: Bucket

    @property
    def api(self) -> RegistryClient:
        """Client of the registry."""
        return api(self.host)

    def size(self) -> int:
        """Return the bytes of all that the registry has in the bucket."""
        return sum(it.size for it in self.bucket.objects(FOLDER))

    def listed(self) -> dict[str, tuple[str, str]]:
        """Return digest and time of the push of each tag in the list."""
        every = printed(self.host, "images.list")
        return {f"{it['repository']}:{it['tag']}": (it["digest"], it["pushed"]) for it in every if it["tag"]}


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient, registry_image: str, s3_store: S3Store
) -> Iterator[Kept]:
    """A registry that runs; each test has repositories of its own."""
    folder = tmp_path_factory.mktemp("registry")
    host = Host(folder, folder / "state", port=PORT + 3, name=f"{NAME}-images")
    assert registry_image
    clear(host, client)
    note(host, client)
    prefix = f"images-{time.time_ns()}"
    host.inv("registry.storage", f"s3://{BUCKET}/{prefix}", *s3_store.flags())
    host.inv("up")
    yield Kept(host, s3_store.bucket(prefix))
    clear(host, client)


def test_what_is_pushed_is_listed_measured_and_sound(registry: Kept) -> None:
    digest = put(registry.api, "team/seen", "1", b"seen")
    registry.api.manifest("team/seen", "1")
    found = next(it for it in printed(registry.host, "images.list") if it["repository"] == "team/seen")
    assert (found["tag"], found["digest"], found["platforms"]) == ("1", digest, ["linux/amd64"])
    assert printed(registry.host, "images.show", "team/seen:1")["parts"][0]["layers"][0]["bytes"] == 200_000
    usage = printed(registry.host, "images.usage")
    assert (usage["free"], abs(usage["total"] - registry.size()) < 100) == (None, True)
    status = registry.host.status()["registry"]
    assert (status["tags"] > 0, status["bytes"] > 200_000) == (True, True)
    assert "nothing is broken" in registry.host.inv("images.check")


def test_damage_is_found_and_mended(registry: Kept) -> None:
    digest = put(registry.api, "hurt", "1", b"hurt")
    link = f"{FOLDER}repositories/hurt/_manifests/tags/1/current/link"
    registry.bucket.remove([link])
    assert "images.check --fix" in registry.host.refused("images.check")
    assert "mended: 1 place" in registry.host.inv("images.check", "--fix", "--yes")
    assert registry.api.manifest("hurt", "1").digest == digest
    assert registry.bucket.read(link) == digest.encode()


def test_what_is_removed_comes_back_as_it_was_until_it_is_freed(registry: Kept) -> None:
    host, client = registry.host, registry.api
    one, same = put(client, "app", "1", b"1"), put(client, "app", "same", b"1")
    old = put(client, "app", "2", b"old")
    put(client, "app", "2", b"new")
    alone = put(client, "alone", "", b"alone")
    assert one == same
    before, size = registry.listed(), registry.size()
    host.inv("images.remove", "app:same")
    assert (gives(client, "app", "1"), gives(client, "app", "same")) == (True, False)
    assert sorted(client.tags("app")) == ["1", "2"]
    host.inv("images.undo")
    assert registry.listed() == before
    host.inv("images.clean", "--untagged", "--match", "app", "--yes")
    assert (gives(client, "app", old), gives(client, "alone", alone)) == (False, True)
    assert registry.size() >= size
    host.inv("images.undo")
    assert gives(client, "app", old)
    assert registry.listed() == before
    assert "nothing is broken" in host.inv("images.check")
    said = host.inv("images.remove", "app:*", "--now", "--yes")
    planned = next(it for it in said.splitlines() if "frees: " in it).split("frees: ")[1]
    freed = next(it for it in said.splitlines() if "freed: " in it).split("freed: ")[1].partition(";")[0]
    assert planned == freed
    assert "app" not in [*client.catalog()]
    assert not any("/repositories/app/" in it.path for it in registry.bucket.objects(FOLDER))
    assert "nothing to bring back" in host.refused("images.undo")
    assert "nothing is broken" in host.inv("images.check")
    assert put(client, "app", "1", b"1") == one
