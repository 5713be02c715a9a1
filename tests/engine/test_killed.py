"""A registry that is killed while it writes, and one that is told to stop: what was acknowledged is there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import subprocess
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import docker
import pytest

from tests.engine.test_up import answers, container, wait_for
from trusted_registry import program
from trusted_registry.instance import model
from trusted_registry.instance.model import IMAGES_FOLDER
from trusted_registry.registry import api, probe, upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

TREE = "docker/registry/v2"


def _as_root(*argv: str) -> str:
    done = subprocess.run([*program.sudo(), *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _volume(host: Host, client: docker.DockerClient) -> str:
    return str(client.volumes.get(host.name).attrs["Mountpoint"])


def _pull(host: Host, client: docker.DockerClient) -> str:
    """Pull the image, and return what was said against it: nothing where it was pulled."""
    try:
        client.images.remove(client.images.pull(f"{host.reference}/app", tag="1").tags[0])
    except docker.errors.APIError as error:
        return str(error)
    return ""


def _kill(host: Host, client: docker.DockerClient) -> None:
    """Kill the registry's process, and wait until the engine has started it again."""
    pid = container(client, host)["State"]["Pid"]
    _as_root("sh", "-c", f"kill -KILL {pid}")  # the shell's own: not every machine has the program
    assert wait_for(lambda: container(client, host)["State"]["Pid"] not in (0, pid) and answers(host))


def _manifest(image: upload.Image) -> str:
    hexed = image.digest.removeprefix("sha256:")
    return f"{TREE}/blobs/sha256/{hexed[:2]}/{hexed}/data"


def _revision(image: upload.Image) -> str:
    return f"{TREE}/repositories/app/_manifests/revisions/{image.digest.replace(':', '/')}/link"


def _layer(image: upload.Image) -> str:
    digest = hashlib.sha256(image.layer).hexdigest()
    return f"{TREE}/repositories/app/_layers/sha256/{digest}/link"


def _tag(_image: upload.Image) -> str:
    return f"{TREE}/repositories/app/_manifests/tags/1/current/link"


@pytest.fixture
def pushed(host: Host) -> tuple[upload.Image, Callable[[], None]]:
    """An image that the registry has, and its push, to be repeated."""
    host.inv("up")
    image, at = upload.tiny(), probe.Endpoint(host.address, host.port)
    tls = probe.context(host.certs / "ca.crt")

    def push() -> None:
        upload.put(image, at, "app", ["1"], tls)

    push()
    return image, push


def _asked(host: Host, image: upload.Image) -> list[int]:
    """Return the status that the registry answers with for the image's manifest, and for its layer."""
    at, tls = probe.Endpoint(host.address, host.port), probe.context(host.certs / "ca.crt")
    layer = hashlib.sha256(image.layer).hexdigest()
    accept = {"Accept": api.MANIFEST}
    paths = ("/v2/app/manifests/1", f"/v2/app/blobs/sha256:{layer}")
    return [probe.request(at, "GET", path, tls, accept)[0] for path in paths]


def _empty(host: Host, client: docker.DockerClient, path: str, image: upload.Image) -> None:
    """Leave a file as a kill does that comes between its opening and its writing."""
    assert _asked(host, image) == [200, 200]
    _as_root("truncate", "--size", "0", f"{_volume(host, client)}/{path}")
    assert 500 in _asked(host, image)
    assert "and a file is empty" in host.inv("explain", host.inv("registry.logs"))


def test_a_manifest_that_a_kill_left_empty_is_gone_at_the_next_start_and_can_be_pushed_again(
    host: Host, client: docker.DockerClient, pushed: tuple[upload.Image, Callable[[], None]]
) -> None:
    image, push = pushed
    _empty(host, client, _manifest(image), image)
    _kill(host, client)
    assert f"removed, since it was left empty: {IMAGES_FOLDER}/{_manifest(image)}" in host.inv("registry.logs")
    assert "not found" in _pull(host, client)
    push()
    assert _pull(host, client) == ""


@pytest.mark.long
def test_without_a_start_in_between_the_repeated_push_is_acknowledged_and_lost(
    host: Host, client: docker.DockerClient, pushed: tuple[upload.Image, Callable[[], None]]
) -> None:
    """The twin, and the reason: it is what registry 2 does with a manifest that it was killed over."""
    image, push = pushed
    _empty(host, client, _manifest(image), image)
    push()
    assert _asked(host, image) == [500, 200]
    assert "HTTP status: 500" in _pull(host, client)


@pytest.mark.parametrize(
    "place",
    [_layer, pytest.param(_revision, marks=pytest.mark.long), pytest.param(_tag, marks=pytest.mark.long)],
)
def test_what_another_push_was_killed_over_is_whole_again_at_the_next_start_and_nobody_pushes_anew(
    place: Callable[[upload.Image], str],
    host: Host,
    client: docker.DockerClient,
    pushed: tuple[upload.Image, Callable[[], None]],
) -> None:
    """A push of the same image under a second tag writes the links of the first one once more."""
    image, _ = pushed
    path = place(image)
    before = _as_root("cat", f"{_volume(host, client)}/{path}")
    _empty(host, client, path, image)
    _kill(host, client)
    assert _as_root("cat", f"{_volume(host, client)}/{path}") == before
    assert _asked(host, image) == [200, 200]
    assert _pull(host, client) == ""


@pytest.mark.long
def test_what_is_whole_outlives_a_kill(
    host: Host, client: docker.DockerClient, pushed: tuple[upload.Image, Callable[[], None]]
) -> None:
    image, _ = pushed
    before = _as_root("find", _volume(host, client), "-type", "f", "-printf", "%P %s\n")
    assert _manifest(image) in before
    _kill(host, client)
    assert _as_root("find", _volume(host, client), "-type", "f", "-printf", "%P %s\n") == before
    assert _pull(host, client) == ""


class Upload:
    """A layer on its way to the registry, half of it sent."""

    def __init__(self, host: Host) -> None:
        self._layer = b"layer" * 1000
        tls = ssl.create_default_context(cafile=str(host.certs / "ca.crt"))
        self._connection = http.client.HTTPSConnection(host.address, host.port, context=tls, timeout=30)
        self._connection.request("POST", "/v2/slow/blobs/uploads/")
        begun = self._connection.getresponse()
        begun.read()
        place = urlsplit(begun.headers["Location"])
        self._connection.putrequest("PATCH", f"{place.path}?{place.query}")
        self._connection.putheader("Content-Type", "application/octet-stream")
        self._connection.putheader("Content-Length", str(len(self._layer)))
        self._connection.endheaders()
        self._connection.send(self._layer[:2000])

    def end(self) -> int:
        """Send the other half, and return the status of the answer."""
        self._connection.send(self._layer[2000:])
        return self._connection.getresponse().status

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


@pytest.fixture
def half(host: Host) -> Upload:
    """Return the upload; the registry runs."""
    host.inv("up")
    return Upload(host)


@pytest.mark.parametrize(
    "task",
    ["registry.stop", pytest.param("cert.renew", marks=pytest.mark.long), pytest.param("up", marks=pytest.mark.long)],
)
def test_a_request_that_is_under_way_is_answered_before_the_registry_ends(task: str, host: Host, half: Upload) -> None:
    shown = _shown(host)
    more = ["--names", "other.local"] if task == "up" else []
    beside = threading.Thread(target=host.inv, args=[task, *more])
    beside.start()
    try:
        assert wait_for(lambda: _shown(host) != shown), "the registry was never told to stop"
        assert half.end() == http.client.ACCEPTED
    finally:
        half.close()
        beside.join()
    assert (_shown(host) in ("", shown)) is (task == "registry.stop")


@pytest.mark.long
def test_a_request_under_way_is_cut_off_by_a_kill(host: Host, half: Upload, client: docker.DockerClient) -> None:
    _kill(host, client)
    with pytest.raises((OSError, http.client.HTTPException)):
        half.end()
    half.close()


@pytest.mark.long
def test_whoever_never_ends_holds_a_stop_up_until_the_registry_gives_up_by_itself(
    host: Host, half: Upload, client: docker.DockerClient
) -> None:
    ended: list[dict[str, str]] = []
    filters = {"container": host.name, "event": "die"}
    with contextlib.closing(client.events(decode=True, filters=filters)) as events:
        stop = threading.Thread(target=host.inv, args=["registry.stop"])
        begun = time.monotonic()
        stop.start()
        ended.append(next(events)["Actor"]["Attributes"])
        seconds = time.monotonic() - begun
        stop.join()
    assert ended[0]["exitCode"] != "137", "the engine had to kill it"
    assert model.DRAIN_SECONDS - 1 < seconds < model.STOP_SECONDS
    half.close()


def _shown(host: Host) -> str:
    """Return the fingerprint of the certificate shown; "" where nobody new is let in, as by one that ends."""
    try:
        return probe.fingerprint(probe.Endpoint(host.address, host.port))
    except OSError:
        return ""
