"""Images removed, brought back and freed by a real registry on a real engine, while others pull and push."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.engine import test_login
from tests.engine.test_images import api, inside, printed, push
from trusted_registry.errors import AnswerError
from trusted_registry.registry import probe
from trusted_registry.registry.api import Manifest, digest

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from tests.engine.conftest import Host
    from trusted_registry.registry.api import RegistryClient

pytestmark = pytest.mark.engine
LONG = pytest.mark.long

KIND = "application/vnd.oci.image.manifest.v1+json"


def put(client: RegistryClient, repository: str, name: str, seed: bytes) -> str:
    """Push an image of one layer by the API, and return its digest."""
    config, layer = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed.hex()}).encode(), seed * 50_000
    parts = []
    for content, kind in ((config, "config.v1+json"), (layer, "layer.v1.tar")):
        client.upload(repository, content)
        found = {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(content), "size": len(content)}
        parts.append(found)
    text = json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": parts[0], "layers": [parts[1]]}).encode()
    made = Manifest(KIND, digest(text), text)
    client.put_manifest(repository, name or made.digest, made)
    return made.digest


def gives(client: RegistryClient, repository: str, name: str) -> bool:
    """Whether a registry gives a manifest."""
    try:
        client.manifest(repository, name)
    except AnswerError:
        return False
    return True


def size(host: Host, client: docker.DockerClient) -> int:
    """Return the bytes that the storage takes on the disk."""
    return int(inside(host, client, "du -s -k . | cut -f 1")) << 10


def test_what_is_removed_comes_back_until_it_is_freed(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    registry = api(host)
    one, same = put(registry, "app", "1", b"1"), put(registry, "app", "same", b"1")
    old = put(registry, "app", "2", b"old")
    put(registry, "app", "2", b"new")
    alone = put(registry, "team/alone", "", b"alone")
    assert one == same
    host.inv("images.remove", "app:same")
    assert (gives(registry, "app", "1"), gives(registry, "app", "same")) == (True, False)
    before = size(host, client)
    said = host.inv("images.clean", "--untagged", "--match", "app", "--yes")
    assert "proof: the registry gives 3 images with all parts" in said
    assert (gives(registry, "app", old), gives(registry, "team/alone", alone)) == (False, True)
    assert size(host, client) >= before
    host.inv("images.undo")
    assert gives(registry, "app", old)
    assert "nothing is broken" in host.inv("images.check")
    said = host.inv("images.remove", "app:*", "--now", "--yes")
    assert (list(registry.tags("app")) if "app" in [*registry.catalog()] else []) == []
    assert "app" not in [*registry.catalog()]
    assert "nothing to bring back" in host.refused("images.undo")
    assert "nothing is broken" in host.inv("images.check")
    assert [it["digest"] for it in printed(host, "images.list")] == [alone]
    assert put(registry, "app", "1", b"1") == one
    assert registry.blob_size("app", digest(b"1" * 50_000)) == 50_000


def test_what_is_freed_is_what_was_planned(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    for number in range(6):
        push(host, client, f"app:{number}")
    before = size(host, client)
    said = host.inv("images.clean", "--keep", "2", "--now", "--yes")
    planned = next(it for it in said.splitlines() if "frees: " in it).split("frees: ")[1]
    freed = next(it for it in said.splitlines() if "freed: " in it).split("freed: ")[1].partition(";")[0]
    assert planned.split()[:2] == freed.split()[:2], f"{said}\n{inside(host, client, 'find repositories -type f')}"
    assert sorted(api(host).tags("app")) == ["4", "5"]
    assert abs(before - size(host, client) - float(planned.split()[0]) * 1000) < 0.05 * before


def again_and_again(deed: Callable[[int], None], ended: threading.Event) -> tuple[threading.Thread, list[str]]:
    """Do something in a thread until an event, and return that thread with the errors, "" for each time without one."""
    said: list[str] = []

    def go() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            try:
                deed(turn)
                said.append("")
            except (AnswerError, *probe.NO_ANSWER) as error:
                said.append(str(error))

    thread = threading.Thread(target=go)
    thread.start()
    return thread, said


@pytest.mark.parametrize("front", ["on", pytest.param("off", marks=LONG)])
def test_pulls_go_on_meanwhile_and_what_was_pushed_is_there(front: str, host: Host) -> None:
    host.inv("up", "--front", front)
    registry = api(host)
    put(registry, "kept", "1", b"kept")
    put(registry, "app", "1", b"gone")
    pushed: dict[str, str] = {}

    def push_one(number: int, turn: int) -> None:
        name = f"{number}-{turn}"
        pushed[name] = put(registry, "kept", name, hashlib.sha256(name.encode()).digest())

    ended = threading.Event()

    def pull_one(_: int) -> None:
        for _chunk in registry.blob("kept", digest(b"kept" * 50_000), 200_000):
            pass

    pulls = [again_and_again(pull_one, ended) for _ in range(2)]
    pushes = [again_and_again(partial(push_one, number), ended) for number in range(2)]
    time.sleep(1)
    said = host.inv("images.remove", "app:1", "--now", "--yes")
    time.sleep(1)
    ended.set()
    for thread, _ in (*pulls, *pushes):
        thread.join()
    failed = [it for _, found in pulls for it in found if it]
    odd = [it for _, found in pushes for it in found if it and "405" not in it]
    assert "pushes were refused for" in said
    assert not failed or front == "off", failed
    assert not odd or front == "off", odd
    assert len(pushed) > 4
    for name, made in pushed.items():
        assert registry.manifest("kept", name).digest == made
        assert registry.blob_size("kept", digest(hashlib.sha256(name.encode()).digest() * 50_000)) == 1_600_000
    assert not gives(registry, "app", "1")


def test_with_users_it_works_by_a_login_of_the_moment(host: Host) -> None:
    host.inv("up")
    put(api(host), "app", "1", b"1")
    put(api(host), "app", "2", b"2")
    test_login.add(host, "ada")
    host.inv("images.remove", "app:1", "--now", "--yes")
    assert [it["tag"] for it in printed(host, "images.list")] == ["2"]


@pytest.mark.parametrize(
    ("front", "seconds"),
    [
        pytest.param("off", 0, marks=LONG),
        pytest.param("off", 0.3, marks=LONG),
        pytest.param("on", 0, marks=LONG),
        ("on", 0.6),
    ],
)
def test_a_registry_that_a_killed_run_left_read_only_takes_pushes_after_the_next(
    front: str, seconds: float, host: Host
) -> None:
    host.inv("up", "--front", front)
    registry = api(host)
    for name in ("1", "2", "3"):
        put(registry, "app", name, name.encode())

    def refuses() -> bool:
        with contextlib.suppress(*probe.NO_ANSWER):
            return registry.is_read_only("app")
        return False

    argv = [sys.executable, "-m", "invoke", "images.remove", "app:1", "--now", "--yes"]
    environ = {**os.environ, **host.environ}
    with subprocess.Popen(argv, cwd=host.root, env=environ, stdout=subprocess.DEVNULL) as task:
        while not refuses() and task.poll() is None:
            pass
        time.sleep(seconds)
        task.kill()
    assert refuses()
    assert gives(registry, "app", "2")
    assert "freed: " in host.inv("images.remove", "app:2", "--yes")
    assert not registry.is_read_only("app")
    assert [*registry.tags("app")] == ["3"]
    assert "back: app:2" in host.inv("images.undo")
