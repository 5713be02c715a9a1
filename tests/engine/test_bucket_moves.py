"""Moves of a registry that runs: there and back, killed, with the store away, while others push and pull."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_images import api, printed, push
from tests.engine.test_images_change import put
from tests.s3_store import BUCKET
from trusted_registry import saved_flags
from trusted_registry.bucket import moving
from trusted_registry.errors import AnswerError
from trusted_registry.instance.model import mover_name
from trusted_registry.registry import probe, prove

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from tests.engine.conftest import Host
    from tests.s3_store import S3Store

pytestmark = [pytest.mark.engine, pytest.mark.process]
LONG = pytest.mark.long


_PATIENCE = 60
"""Seconds in which a registry that is replaced answers, however busy the machine is."""


def _await(holds: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


@dataclass
class Moved:
    """A registry, and a place in a bucket for its images."""

    host: Host
    server: S3Store
    to: str
    taken: dict[tuple[str, str], str] = field(default_factory=dict)
    """Digests of acknowledged pushes, by repository and tag."""

    def words(self, to: str) -> tuple[str, ...]:
        """Return the words of a task that moves the images there."""
        return ("registry.move", "--to", to, *(self.server.flags() if to != "volume" else ()))

    def put(self, repository: str, tag: str) -> None:
        """Push an image of 3 MB by the API, and note that."""
        self.taken[repository, tag] = put(api(self.host), repository, tag, os.urandom(60))

    def lost(self) -> list[tuple[str, str]]:
        """Return the acknowledged pushes that the registry does not give."""
        return [it for it, digest in list(self.taken.items()) if self._given(*it) != digest]

    def _given(self, repository: str, tag: str) -> str:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(AnswerError, *probe.NO_ANSWER):  # while it is replaced
                return api(self.host).manifest(repository, tag).digest
            time.sleep(0.2)
        return ""

    @property
    def storage(self) -> str:
        """The bucket that is noted as the registry's."""
        return saved_flags.read(self.host.certs).get("storage", "")

    def begun(self, to: str) -> subprocess.Popen[str]:
        """Begin a move."""
        argv = [sys.executable, "-m", "invoke", *self.words(to)]
        environ = {**os.environ, **self.host.environ}
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(argv, cwd=self.host.root, env=environ, stdin=subprocess.DEVNULL, text=True, **out)  # type: ignore[call-overload,no-any-return]

    def finish(self, to: str) -> None:
        """Repeat a move that was killed; where that was in the midst of a replacement, as its error says."""
        done = self.host.run(*self.words(to))
        if done.returncode:
            assert "./inv up" in done.stderr, done.stderr
            self.host.inv("up")
            self.host.inv(*self.words(to))

    def killed_when(self, to: str, holds: Callable[[], object]) -> None:
        """Begin a move, and kill it as soon as something holds."""
        task = self.begun(to)
        _await(lambda: holds() or task.poll() is not None)
        assert task.poll() is None, task.communicate()[0]
        task.kill()
        task.communicate()


@pytest.fixture
def moved(host: Host, s3_store: S3Store, prefix: str) -> Moved:
    return Moved(host, s3_store, f"s3://{BUCKET}/{prefix}")


def pull(host: Host, client: docker.DockerClient, name: str) -> None:
    """Pull an image by the engine, which nobody told anything of a move."""
    repository, _, tag = name.partition(":")
    client.images.pull(f"{host.reference}/{repository}", tag=tag)
    client.images.remove(f"{host.reference}/{name}")


def test_images_go_into_a_bucket_and_back_and_to_no_place_that_is_none(moved: Moved) -> None:
    host = moved.host
    host.inv("up")
    moved.put("app", "1")
    pushed = printed(host, "images.list")[0]["pushed"]
    for to in ("", "bucket", "s3://", "s3://Not/there"):
        assert "s3://BUCKET/PREFIX" in host.refused("registry.move", "--to", to, code=2)
    assert not (host.certs / saved_flags.STORAGE_KEY).exists()
    assert "each with its digest" in host.inv(*moved.words(moved.to))
    assert (moved.lost(), moved.storage) == ([], moved.to)
    assert printed(host, "images.list")[0]["pushed"] == pushed
    moved.put("app", "2")
    host.inv(*moved.words("volume"), "--purge-source", "--yes")
    assert printed(host, "images.list")[0]["pushed"] == pushed
    left = list(moved.server.bucket(moved.to.rpartition("/")[2]).objects("docker/"))
    assert (left, moved.lost(), moved.storage) == ([], [], "")


@LONG
@pytest.mark.parametrize("front", ["off", "on"])
def test_images_go_into_a_bucket_and_back_and_no_client_is_told(
    front: str, moved: Moved, client: docker.DockerClient
) -> None:
    host, volume = moved.host, moved.host.name
    host.inv("up", "--front", front)
    moved.taken["app", "1"] = push(host, client, "app:1")
    pull(host, client, "app:1")
    said = host.inv(*moved.words(moved.to))
    assert "each with its digest" in said
    assert f"{moved.to} now" in said
    assert (moved.lost(), moved.storage) == ([], moved.to)
    assert client.volumes.get(volume)
    moved.taken["app", "2"] = push(host, client, "app:2")
    pull(host, client, "app:1")
    assert "already running" in host.inv("up")
    host.inv(*moved.words("volume"))
    assert (moved.lost(), moved.storage) == ([], "")
    pull(host, client, "app:2")


@LONG
def test_a_move_that_is_killed_three_times_each_way_loses_no_push(moved: Moved, client: docker.DockerClient) -> None:
    host = moved.host
    host.inv("up")
    for number in range(10):
        moved.put("app", str(number))
    ends, refused = threading.Event(), list[str]()

    def pushes() -> None:
        number = 0
        while not ends.wait(0.3):
            number += 1
            try:
                moved.put("pushed", str(number))
            except (AnswerError, *probe.NO_ANSWER) as error:
                refused.append(str(error))

    def moves() -> bool:
        return bool(client.containers.list(filters={"name": mover_name(host.name)}))

    def refuses() -> bool:
        with contextlib.suppress(*probe.NO_ANSWER):
            return api(host).is_read_only(prove.REPOSITORY)
        return False

    pushing = threading.Thread(target=pushes)
    pushing.start()
    try:
        for to, noted in ((moved.to, moved.to), ("volume", "")):
            moved.killed_when(to, moves)
            assert moved.lost() == []
            moved.killed_when(to, refuses)
            assert moved.lost() == []
            moved.killed_when(to, lambda noted=noted: moved.storage == noted)  # type: ignore[misc]
            if to == "volume":
                host.inv("up")
            moved.finish(to)
            assert (moved.lost(), moved.storage, moves()) == ([], noted, False)
    finally:
        ends.set()
        pushing.join()
    assert moved.lost() == []
    assert any("405" in it for it in refused), refused
    assert len(moved.taken) > 20


@LONG
def test_a_store_that_goes_away_in_the_middle_is_told_and_the_registry_goes_on(
    moved: Moved, client: docker.DockerClient
) -> None:
    host, server = moved.host, moved.server
    host.inv("up")
    for number in range(20):
        moved.put("app", str(number))
    task = moved.begun(moved.to)
    _await((host.certs / moving.NOTE).exists)
    server.kill()
    said = task.communicate()[0]
    try:
        assert (task.returncode, "does not answer" in said) == (1, True), said
        assert f"The images stay in the volume {host.name}." in said
        assert "then the same command goes on" in said
        moved.put("app", "after")
        assert moved.storage == ""
        assert not client.containers.list(all=True, filters={"name": mover_name(host.name)})
    finally:
        server.start()
    host.inv(*moved.words(moved.to))
    assert (moved.lost(), moved.storage) == ([], moved.to)


@LONG
def test_images_that_only_the_target_has_are_not_removed(moved: Moved) -> None:
    host = moved.host
    host.inv("up")
    moved.put("app", "1")
    host.inv(*moved.words(moved.to))
    assert api(host).delete_manifest("app", moved.taken.pop(("app", "1")))
    moved.put("app", "2")
    said = host.refused(*moved.words("volume"))
    assert f"the volume {host.name} has 2 images that {moved.to} has not: app:1" in said
    assert f"--to {moved.to} --purge-source" in said
    assert (moved.lost(), moved.storage) == ([], moved.to)
    host.inv("registry.move", "--to", moved.to, "--purge-source", "--yes")
    host.inv(*moved.words("volume"))
    assert (moved.lost(), moved.storage) == ([], "")
