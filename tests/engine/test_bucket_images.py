"""Images of a registry that has them in a bucket: looked at, checked, removed, brought back, freed and carried."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import NAME, PORT, Host, clear, note
from tests.engine.test_images import api, printed, push
from tests.engine.test_images_change import again_and_again, gives, put
from tests.engine.test_login import _typed
from tests.s3_store import BUCKET
from trusted_registry.images import history
from trusted_registry.images.objects import FOLDER
from trusted_registry.registry import probe
from trusted_registry.registry.api import digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from tests.s3_store import S3Store
    from trusted_registry.bucket.client import Bucket
    from trusted_registry.registry.api import RegistryClient

pytestmark = [pytest.mark.engine, pytest.mark.process]
WORDS = "four words that nobody guesses"


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


def test_what_is_removed_comes_back_as_it_was_until_it_is_freed_and_then_from_a_file(
    registry: Kept, tmp_path: Path
) -> None:
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
    host.inv("images.clean", "--untagged", "--match", "app", "--yes")
    assert (gives(client, "app", old), gives(client, "alone", alone)) == (False, True)
    assert registry.size() >= size
    assert f"back: app@{old}" in host.inv("images.undo")
    assert "back: app:same" in host.inv("images.undo")
    assert gives(client, "app", old)
    assert registry.listed() == before
    assert "saved: 2 images" in host.inv("images.save", f"{tmp_path}/app.tar", "--references", "app:1,app:2")
    said = host.inv("images.remove", "app:*", "--now", "--yes")
    planned = next(it for it in said.splitlines() if "frees: " in it).split("frees: ")[1]
    freed = next(it for it in said.splitlines() if "freed: " in it).split("freed: ")[1].partition(";")[0]
    assert planned == freed
    assert "app" not in [*client.catalog()]
    assert not any("/repositories/app/" in it.path for it in registry.bucket.objects(FOLDER))
    assert "nothing to bring back" in host.refused("images.undo")
    assert "nothing is broken" in host.inv("images.check")
    assert "loaded: 2 images" in host.inv("images.load", f"{tmp_path}/app.tar")
    assert client.manifest("app", "1").digest == one


def test_pulls_outlive_the_container(registry: Kept, client: docker.DockerClient) -> None:
    host = registry.host

    def pulls() -> int:
        (found,) = [it for it in printed(host, "images.list") if it["repository"] == "pulled"]
        return int(found["pulls"])

    reference = f"{host.reference}/pulled"
    push(host, client, "pulled:1")
    client.images.pull(reference, tag="1")
    client.images.remove(f"{reference}:1")
    before = pulls()
    host.inv("registry.stop")
    host.inv("up")
    assert 0 < before <= pulls()
    assert history.parse(registry.bucket.read(history.FILE) or b"").since > 0


@pytest.mark.long
def test_pulls_go_on_behind_a_front_while_the_bucket_is_freed(registry: Kept) -> None:
    host, client, ended = registry.host, registry.api, threading.Event()
    host.inv("up", "--front", "on")
    put(client, "kept", "1", b"kept")
    put(client, "goes", "1", b"goes")
    pushed: dict[str, str] = {}

    def push_one(number: int, turn: int) -> None:
        name = f"{number}-{turn}"
        pushed[name] = put(client, "kept", name, hashlib.sha256(name.encode()).digest())

    def pull_one(_: int) -> None:
        for _chunk in client.blob("kept", digest(b"kept" * 50_000), 200_000):
            pass

    pulls = [again_and_again(pull_one, ended) for _ in range(4)]
    pushes = [again_and_again(partial(push_one, number), ended) for number in range(4)]
    time.sleep(1)
    said = host.inv("images.remove", "goes:1", "--now", "--yes")
    time.sleep(1)
    ended.set()
    for thread, _ in (*pulls, *pushes):
        thread.join()
    assert "pushes were refused for" in said
    assert [it for _, found in pulls for it in found if it] == []
    assert [it for _, found in pushes for it in found if it and "405" not in it] == []
    assert len(pushed) > 4
    for name, made in pushed.items():
        assert client.manifest("kept", name).digest == made
        assert client.blob_size("kept", digest(hashlib.sha256(name.encode()).digest() * 50_000)) == 1_600_000
    assert not gives(client, "goes", "1")


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0, 0.5, 1, 2])
def test_a_run_that_is_killed_while_it_frees_loses_nothing_and_the_next_takes_pushes(
    seconds: float, registry: Kept
) -> None:
    host, client, name = registry.host, registry.api, f"killed-{seconds * 10:.0f}"
    host.inv("up")
    for tag in ("1", "2", "3"):
        put(client, name, tag, tag.encode())

    def refuses() -> bool:
        with contextlib.suppress(*probe.NO_ANSWER):
            return client.is_read_only(name)
        return False

    argv = [sys.executable, "-m", "invoke", "images.remove", f"{name}:1", "--now", "--yes"]
    environ = {**os.environ, **host.environ}
    with subprocess.Popen(argv, cwd=host.root, env=environ, stdout=subprocess.DEVNULL) as task:
        while not refuses() and task.poll() is None:
            pass
        time.sleep(seconds)
        task.kill()
    assert gives(client, name, "2")
    host.inv("images.remove", f"{name}:2", "--yes")
    assert not client.is_read_only(name)
    assert [*client.tags(name)] == ["3"]
    assert f"back: {name}:2" in host.inv("images.undo")
    assert "nothing is broken" in host.inv("images.check")


@pytest.mark.long
def test_a_pull_that_takes_long_holds_the_freeing_up_only_where_an_upload_may_go_on(registry: Kept) -> None:
    host, client, seed = registry.host, registry.api, os.urandom(1000)
    left = [it.path for it in registry.bucket.objects(FOLDER) if "/_uploads/" in it.path]
    registry.bucket.remove(left)  # of pushes that were refused
    host.inv("up", "--front", "on")
    put(client, "slow", "1", seed)
    for tag in ("2", "3"):
        put(client, "slow", tag, tag.encode())
    tls = probe.context(host.certs / "ca.crt")

    @contextlib.contextmanager
    def pulling() -> Iterator[None]:
        with contextlib.closing(http.client.HTTPSConnection(host.address, host.port, context=tls)) as connection:
            connection.request("GET", f"/v2/slow/blobs/{digest(seed * 50_000)}")
            answer = connection.getresponse()
            begin = answer.read(1000)
            yield
            assert begin + answer.read() == seed * 50_000

    with pulling():
        assert "freed: " in host.inv("images.remove", "slow:2", "--now", "--yes")
    with contextlib.closing(http.client.HTTPSConnection(host.address, host.port, context=tls)) as connection:
        connection.request("POST", "/v2/slow/blobs/uploads/")
        assert connection.getresponse().status == http.client.ACCEPTED
    argv = [sys.executable, "-m", "invoke", "images.remove", "slow:3", "--now", "--yes"]
    with subprocess.Popen(argv, cwd=host.root, env={**os.environ, **host.environ}) as task:
        with pulling():
            time.sleep(40)
            assert task.poll() is None
        assert task.wait(200) == 0
    registry.bucket.remove([it.path for it in registry.bucket.objects(FOLDER) if "/_uploads/" in it.path])


@pytest.mark.long
def test_a_backup_during_pushes_has_every_image_of_before_and_is_restored_into_an_empty_bucket(
    registry: Kept, client: docker.DockerClient, tmp_path: Path
) -> None:
    host, ended, file = registry.host, threading.Event(), f"{tmp_path}/backup.tar"
    put(registry.api, "backed", "1", b"backed")
    before, trusted = registry.listed(), (host.certs / "ca.crt").read_bytes()

    def push_one(number: int, turn: int) -> None:
        put(registry.api, f"pushed-{number}", f"{turn}", f"{number}-{turn}".encode())
        time.sleep(0.2)

    pushes = [again_and_again(partial(push_one, number), ended) for number in range(4)]
    done = _typed(host, "registry.backup", file, line=f"{WORDS}\n{WORDS}\n")
    ended.set()
    for thread, _ in pushes:
        thread.join()
    assert done.returncode == 0, done.stderr
    assert [it for _, found in pushes for it in found if it] == []
    clear(host, client)
    registry.bucket.remove([it.path for it in registry.bucket.objects()])
    done = _typed(host, "registry.restore", file, line=f"{WORDS}\n")
    assert done.returncode == 0, done.stderr + done.stdout
    restored = {name: made for name, (made, _) in registry.listed().items()}
    assert {name: made for name, (made, _) in before.items()}.items() <= restored.items()
    assert (host.certs / "ca.crt").read_bytes() == trusted
    assert "nothing is broken" in host.inv("images.check")


@pytest.mark.long
def test_another_image_of_the_registry_is_compared_before_it_takes_over(
    registry: Kept, client: docker.DockerClient
) -> None:
    host, other = registry.host, f"{registry.host.name}-other"
    made = put(registry.api, "compared", "1", b"compared")
    built = client.containers.create(str(client.containers.get(host.name).attrs["Image"]), command=["--version"])
    try:
        built.commit(other, tag="1", changes=['ENV OTHER="yes"'])
    finally:
        built.remove()
    try:
        said = host.inv("registry.upgrade", "--image", f"{other}:1")
        assert "repositories are the same with both" in said
        assert registry.api.manifest("compared", "1").digest == made
        assert "other:1" in host.status()["registry"]["image"]
    finally:
        host.inv("down")
        client.images.remove(f"{other}:1", force=True)
