"""A registry whose images are in a bucket: a real store, a real engine, a real registry."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import NAME, PORT, Host, clear, note
from tests.engine.test_images import api, printed, push
from tests.s3_store import ABSENT, BUCKET, address
from trusted_registry import saved_flags
from trusted_registry.bucket import marker
from trusted_registry.bucket.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.s3_store import S3Store

pytestmark = [pytest.mark.engine, pytest.mark.process]
SECRET = "all-secret"  # noqa: S105 - of a store that ends with the tests


@dataclass
class Way:
    """The way to a store: counts the bytes that go there, and can be cut."""

    port: int
    sent: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server((address(), 0)))
    _open: list[socket.socket] = field(default_factory=list)
    _at: int = 0

    def open(self) -> None:
        """Open the way, on the port that it had."""
        if self._at:
            self._listener = socket.create_server((address(), self._at))
        self._at = self._listener.getsockname()[1]
        threading.Thread(target=self._take, daemon=True).start()

    def cut(self) -> None:
        """Cut the way: what is under way ends, and nobody comes through any more."""
        for it in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)
            it.close()

    @property
    def endpoint(self) -> str:
        """URL of the store, by this way."""
        return f"https://{address()}:{self._at}"

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = self._listener.accept()[0], socket.create_connection((address(), self.port))
                self._open += [near, far]
                threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, there: bool) -> None:  # noqa: FBT001 - a thread's
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                self.sent += len(chunk) if there else 0
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@dataclass
class Kept:
    """A registry with its images in a bucket."""

    host: Host
    store: S3Store
    way: Way
    at: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags that name the store, by the way."""
        return ("--endpoint", self.way.endpoint, *self.store.flags()[2:])

    def paths(self) -> list[str]:
        """Return the paths of all objects."""
        return [it.path for it in self.store.bucket(self.at.rpartition("/")[2]).objects()]


@pytest.fixture(scope="module")
def kept(
    tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient, registry_image: str, s3_store: S3Store
) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    host = Host(folder, folder / "state", port=PORT + 2, name=f"{NAME}-bucket")
    assert registry_image
    clear(host, client)
    note(host, client)
    way = Way(s3_store.port)
    way.open()
    made = Kept(host, s3_store, way, f"s3://{BUCKET}/kept-{time.time_ns()}")
    said = host.inv("registry.storage", made.at, *made.flags)
    assert f"storage: {made.at} takes, gives, lists and removes objects" in said
    assert client.api.containers(all=True, filters={"name": host.name}) == []  # nothing was started
    assert "proof: pushed to" in host.inv("up")
    assert made.paths() == [marker.NAME]  # nothing of the proof is left
    yield made
    clear(host, client)
    way.cut()


def test_images_are_in_the_bucket_and_stay_through_a_restart_and_a_second_up(
    kept: Kept, client: docker.DockerClient
) -> None:
    digest = push(kept.host, client, "app:1")
    assert any(it.endswith(f"/app/_manifests/revisions/sha256/{digest[7:]}/link") for it in kept.paths())
    assert kept.host.name not in [it.name for it in client.volumes.list()]
    container = client.containers.get(kept.host.name)
    container.restart()
    for _ in range(50):
        with contextlib.suppress(OSError):
            assert api(kept.host).manifest("app", "1").digest == digest
            break
        time.sleep(0.2)
    client.images.pull(f"{kept.host.reference}/app", tag="1")
    client.images.remove(f"{kept.host.reference}/app:1")
    assert "Nothing had to be changed." in kept.host.inv("up")
    assert client.containers.get(kept.host.name).id == container.id


def test_status_names_the_bucket(kept: Kept) -> None:
    assert kept.host.status()["registry"]["storage"] == kept.at
    assert kept.at in kept.host.run("status").stdout


@pytest.mark.long
def test_another_bucket_in_the_settings_is_not_gone_over_to_without_the_images(
    kept: Kept, client: docker.DockerClient
) -> None:
    digest, before = push(kept.host, client, "named:1"), client.containers.get(kept.host.name).id
    said = kept.host.refused("up", INVOKE_REGISTRY_STORAGE=f"{kept.at}-other")
    assert "With the other storage, " in said
    assert "./inv registry.move --to" in said
    assert client.containers.get(kept.host.name).id == before
    assert api(kept.host).manifest("named", "1").digest == digest


def test_the_secret_is_for_root_and_the_owner_alone_and_on_no_command_line(
    kept: Kept, client: docker.DockerClient
) -> None:
    attributes = json.dumps(client.containers.get(kept.host.name).attrs)
    assert SECRET not in attributes
    assert SECRET not in kept.host.inv("--dry", "up") + (kept.host.certs / saved_flags.FILE).read_text()
    modes = {it.name: it.stat().st_mode & 0o777 for it in kept.host.certs.iterdir() if it.is_file()}
    with_secret = [it.name for it in kept.host.certs.iterdir() if it.is_file() and SECRET.encode() in it.read_bytes()]
    assert {modes[it] for it in with_secret} == {0o600}
    assert saved_flags.STORAGE_KEY in with_secret


@pytest.mark.long
def test_a_registry_that_is_not_used_asks_the_store_for_nothing(kept: Kept) -> None:
    list(api(kept.host).catalog())
    time.sleep(1)
    before = kept.way.sent
    time.sleep(12)  # a look after the storage is due every ten seconds (distribution, configuration.md, "health")
    assert kept.way.sent == before
    list(api(kept.host).catalog())
    assert kept.way.sent > before


def test_without_volumes_that_have_no_name_left(kept: Kept, client: docker.DockerClient) -> None:
    before = {it.name for it in client.volumes.list(filters={"dangling": True})}
    kept.host.inv("registry.stop")
    assert {it.name for it in client.volumes.list(filters={"dangling": True})} <= before
    assert "running" in kept.host.inv("registry.tls")


def test_a_bucket_that_is_away_is_told_before_anything_is_started(kept: Kept, client: docker.DockerClient) -> None:
    host = kept.host
    host.inv("registry.stop")
    said = host.refused("up", INVOKE_REGISTRY_STORAGE_ENDPOINT=f"https://{address()}:1")
    assert f"{kept.at} does not answer" in said
    assert "See that the store runs and is reached from here." in said
    assert client.api.containers(all=True, filters={"name": host.name}) == []
    host.inv("up")


def test_a_bucket_that_is_away_while_nothing_changes_is_the_reason_that_is_told(kept: Kept) -> None:
    kept.way.cut()
    try:
        said = kept.host.refused("up")
        assert f"{kept.at} does not answer" in said
    finally:
        kept.way.open()
    assert "proof: pushed" in kept.host.inv("up")


@pytest.mark.long
def test_the_last_image_goes_and_is_freed(kept: Kept, client: docker.DockerClient) -> None:
    push(kept.host, client, "last:1")
    every = [f"{it['repository']}:{it['tag']}" for it in printed(kept.host, "images.list") if it["tag"]]
    kept.host.inv("images.remove", ",".join(every), "--now", "--yes")
    assert printed(kept.host, "images.list") == []
    assert not [it for it in kept.paths() if "/blobs/" in it or "/.collection/" in it]
    push(kept.host, client, "last:1")


@pytest.mark.long
def test_a_purge_leaves_the_bucket_s_images_to_whoever_sets_the_registry_up_again(
    kept: Kept, client: docker.DockerClient
) -> None:
    digest = push(kept.host, client, "left:1")
    before = kept.paths()
    done = kept.host.run("down", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"the images in {kept.at} stay" in done.stdout + done.stderr
    assert kept.paths() == before
    assert saved_flags.STORAGE_KEY not in [it.name for it in kept.host.certs.iterdir()]
    note(kept.host, client)
    kept.host.inv("registry.storage", kept.at, *kept.flags)
    kept.host.inv("up")
    assert api(kept.host).manifest("left", "1").digest == digest


@pytest.mark.long
def test_a_registry_without_images_keeps_them_in_a_bucket_from_the_next_up_on(
    host: Host, client: docker.DockerClient, s3_store: S3Store, prefix: str
) -> None:
    host.inv("up")
    host.inv("registry.storage", f"s3://{BUCKET}/{prefix}", *s3_store.flags())
    before = client.containers.get(host.name).id
    assert f"storage: s3://{BUCKET}/{prefix}" in host.inv("up")
    assert client.containers.get(host.name).id != before
    push(host, client, "app:1")
    assert any("/repositories/app/" in it.path for it in s3_store.bucket(prefix).objects())
    rotated = host.folder / "rotated.json"
    rotated.write_bytes(s3_store.keys("other").read_bytes())
    host.inv("registry.storage", f"s3://{BUCKET}/{prefix}", "--credentials", str(rotated))
    host.inv("up")
    assert api(host).manifest("app", "1").digest
    said = host.refused("registry.storage", f"s3://{BUCKET}/{prefix}-other", *s3_store.flags())
    assert f"The registry has images in s3://{BUCKET}/{prefix}" in said
    assert "./inv registry.move --to volume" in said


def test_images_of_a_volume_are_to_be_moved(
    host: Host, client: docker.DockerClient, s3_store: S3Store, prefix: str
) -> None:
    at = f"s3://{BUCKET}/{prefix}"
    host.inv("up")
    push(host, client, "app:1")
    said = host.refused("registry.storage", at, *s3_store.flags())
    assert f"The registry has images in the volume {host.name}" in said
    assert f"./inv registry.move --to {at} --endpoint {s3_store.endpoint}" in said
    assert "storage" not in saved_flags.read(host.certs)
    assert list(s3_store.bucket(prefix).objects()) == []


def test_a_bucket_that_cannot_be_used_is_refused_and_nothing_is_kept(
    host: Host, client: docker.DockerClient, s3_store: S3Store, prefix: str
) -> None:
    at, wrong = f"s3://{BUCKET}/{prefix}", s3_store.folder / "wrong.json"
    Credentials("all", "wrong").keep(host.folder)
    (host.folder / saved_flags.STORAGE_KEY).rename(wrong)
    theirs, foreign = s3_store.bucket(f"{prefix}-theirs"), s3_store.bucket(f"{prefix}-foreign")
    marker.claim(theirs, "another")
    foreign.write("docker/registry/v2/repositories/app/_manifests/tags/1/current/link", b"sha256:00")

    def refused(to: str, *flags: str, code: int = 1) -> str:
        return host.refused("registry.storage", to, *flags, code=code)

    named = s3_store.flags()
    assert f"{at} does not know this access key" in refused(at, *named[:-1], str(wrong))
    assert f"There is no bucket {ABSENT}" in refused(f"s3://{ABSENT}/x", *named)
    assert f"{at} refuses to write, delete" in refused(at, *s3_store.flags("reader"))
    assert "belongs to another installation" in refused(f"{at}-theirs", *named)
    assert "a registry that this project did not set up" in refused(f"{at}-foreign", *named)
    assert "is not trusted" in refused(at, *named[:2], *named[4:])
    http = ("--endpoint", s3_store.endpoint.replace("https", "http"), *named[2:])
    assert "without TLS" in refused(at, *http, code=2)
    assert "--insecure-storage" in refused(at, *http, code=2)
    assert not (host.certs / saved_flags.STORAGE_KEY).exists()
    assert not (host.certs / saved_flags.FILE).exists()
    assert list(s3_store.bucket(prefix).objects()) == []
    assert client.api.containers(all=True, filters={"name": f"^/{host.name}$"}) == []
