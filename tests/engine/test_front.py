"""A front on a real engine: no connection is refused by renewals, an upgrade and users; and nothing of it stays."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.engine.test_login import RIGHT, add
from trusted_registry import program
from trusted_registry.certificate import inspect
from trusted_registry.instance.model import front_name
from trusted_registry.registry import probe, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

ENDS = 30.0


@pytest.fixture
def fronted(host: Host) -> Host:
    """A registry behind a front."""
    host.inv("up", "--front", "on")
    return host


def _at(host: Host) -> probe.Endpoint:
    return probe.Endpoint(host.address, host.port)


def _served(host: Host) -> str:
    return probe.fingerprint(_at(host))


@contextlib.contextmanager
def _knocking(host: Host) -> Iterator[list[str]]:
    """Open a new TLS connection every 20 ms; keep why one was refused."""
    refused: list[str] = []
    end = threading.Event()

    def knock() -> None:
        while not end.wait(0.02):
            try:
                _served(host)
            except OSError as error:
                refused.append(str(error))

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield refused
    finally:
        end.set()
        thread.join()


def _names(client: docker.DockerClient, host: Host) -> list[str]:
    """Return the containers of this registry, but for the one that keeps the test's image through a purge."""
    names = [it["Names"][0].lstrip("/") for it in client.api.containers(all=True)]
    return sorted(it for it in names if it.startswith(host.name) and not it.endswith("-keeps"))


def test_the_front_alone_is_published_and_hardened_as_the_registry_is(
    fronted: Host, client: docker.DockerClient
) -> None:
    front: dict[str, Any] = client.containers.get(front_name(fronted.name)).attrs
    registry: dict[str, Any] = client.containers.get(fronted.name).attrs
    bindings = front["HostConfig"]["PortBindings"]
    assert (bindings["5000/tcp"][0]["HostPort"], bindings["5001/tcp"][0]["HostIp"]) == (str(fronted.port), "127.0.0.1")
    assert not registry["HostConfig"]["PortBindings"]
    for attributes in (front, registry):
        limits = attributes["HostConfig"]
        assert (limits["ReadonlyRootfs"], limits["Privileged"], limits["CapDrop"], limits["CapAdd"]) == (
            True,
            False,
            ["ALL"],
            None,
        )
        assert limits["SecurityOpt"] == ["no-new-privileges"]
        assert (limits["NetworkMode"], limits["PidsLimit"]) == (front_name(fronted.name), 200)
    assert (front["HostConfig"]["Memory"], front["Config"]["StopSignal"]) == (256 << 20, "SIGUSR1")
    assert [it["Destination"] for it in front["Mounts"]] == ["/config"]


def test_renewals_and_users_refuse_no_connection(fronted: Host, client: docker.DockerClient) -> None:
    with _knocking(fronted) as refused:
        for _ in range(3):
            fronted.inv("cert.renew")
            assert _served(fronted) == inspect.read(fronted.certs / "domain.crt").fingerprint
    assert refused == []
    assert "Nothing had to be changed." in fronted.inv("up")
    assert _names(client, fronted) == [fronted.name, front_name(fronted.name)]


def _pull_as_docker(host: Host, met: list[tuple[str, int]], end: threading.Event) -> None:
    """Ask whether there is a login, then send one with each further request, or none, each by its own connection."""
    while not end.is_set():
        asked = probe.request(_at(host), "GET", "/v2/", probe.unverified()).status
        headers = users.Login("ada", RIGHT).header if asked == http.client.UNAUTHORIZED else {}
        time.sleep(0.05)
        answer = probe.request(_at(host), "GET", "/v2/_catalog", probe.unverified(), headers)
        met.append(("with a login" if headers else "without", answer.status))


def test_the_first_user_fails_no_pull_that_began_before_and_lets_nobody_in_without_a_login_then(
    fronted: Host, client: docker.DockerClient
) -> None:
    met: list[tuple[str, int]] = []
    end = threading.Event()
    pulls = [threading.Thread(target=_pull_as_docker, args=(fronted, met, end)) for _ in range(4)]
    for pull in pulls:
        pull.start()
    try:
        with _knocking(fronted) as refused:
            add(fronted, "ada")
    finally:
        end.set()
        for pull in pulls:
            pull.join()
    assert ({*met}, refused) == ({("without", 200), ("with a login", 200)}, [])
    for path in ("/v2/", "/v2/_catalog"):
        assert probe.request(_at(fronted), "GET", path, probe.unverified()).status == http.client.UNAUTHORIZED
    assert _names(client, fronted) == [fronted.name, front_name(fronted.name)]


def test_a_request_that_is_under_way_outlives_three_renewals(fronted: Host) -> None:
    with probe.connect(_at(fronted), probe.unverified()) as kept:
        kept.sendall(b"PUT /v2/kept/manifests/1 HTTP/1.1\r\nHost: registry\r\nContent-Length: 2\r\n\r\n{")
        for _ in range(3):
            fronted.inv("cert.renew")
        kept.sendall(b"}")
        with http.client.HTTPResponse(kept) as answer:
            answer.begin()
            assert (answer.status, b"MANIFEST_INVALID" in answer.read()) == (http.client.BAD_REQUEST, True)


def test_a_connection_without_a_request_is_closed_when_the_registry_is_replaced(fronted: Host) -> None:
    with probe.connect(_at(fronted), probe.unverified()) as kept:
        fronted.inv("cert.renew")
        kept.settimeout(ENDS)
        assert kept.recv(1) == b""


def test_a_front_that_is_killed_comes_back_and_so_does_a_registry(fronted: Host, client: docker.DockerClient) -> None:
    for name in (front_name(fronted.name), fronted.name):
        # Not `docker kill`: the engine takes that for a wish. sudo, because the process may be another user's.
        pid = client.containers.get(name).attrs["State"]["Pid"]
        subprocess.run([*program.sudo(), "sh", "-c", f"kill -KILL {pid}"], check=True)
        end = time.monotonic() + ENDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                assert _served(fronted)
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"{name} did not come back")


def test_a_front_that_somebody_stopped_is_told_with_its_cure_and_stands_again(
    fronted: Host, client: docker.DockerClient
) -> None:
    client.containers.get(front_name(fronted.name)).kill()  # a wish: the engine does not restart it
    assert fronted.status()["registry"]["front_problem"] == "the front is exited, so no client is answered"
    found = json.loads(fronted.run("doctor", "--json").stdout)
    assert [it["cure"] for it in found if it["check"] in ("front", "served")] == [["./inv up"]]
    fronted.inv("up")
    assert (fronted.status()["registry"]["front_problem"], bool(_served(fronted))) == (None, True)


@pytest.mark.long
def test_on_and_off_keep_the_registry_and_say_that_there_is_a_gap(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    assert "front: takes over the port now" in host.inv("up", "--front", "on")
    assert "Nothing had to be changed." in host.inv("up")
    assert host.status()["registry"]["front"]
    assert "front: gives the port back now" in host.inv("up", "--front", "off")
    assert _names(client, host) == [host.name]
    assert client.networks.list(names=[front_name(host.name)]) == []
    assert host.status()["registry"]["front"] is None


def test_down_takes_front_network_and_whatever_drains(fronted: Host, client: docker.DockerClient) -> None:
    fronted.inv("cert.renew")
    fronted.inv("down", "--purge", "--yes")
    assert _names(client, fronted) == []
    assert client.networks.list(names=[front_name(fronted.name)]) == []
    assert [it.name for it in client.volumes.list() if it.name.startswith(fronted.name)] == []


@pytest.mark.long
def test_another_image_is_compared_and_switched_to_and_back(fronted: Host, client: docker.DockerClient) -> None:
    own = str(client.containers.get(fronted.name).attrs["Image"])
    client.images.get(own).tag(f"{fronted.name}-other", tag="1")
    assert "runs already" in fronted.inv("registry.upgrade", "--image", f"{fronted.name}-other:1")
    built = client.containers.create(own, command=["--version"])
    try:
        other = built.commit(f"{fronted.name}-other", tag="2", changes=['ENV OTHER="yes"'])
    finally:
        built.remove()
    try:
        assert "repositories are the same with both" in fronted.inv(
            "registry.upgrade", "--check", "--image", f"{fronted.name}-other:2"
        )
        with _knocking(fronted) as refused:
            assert "to go back:" in fronted.inv("registry.upgrade", "--image", f"{fronted.name}-other:2")
        assert (refused, client.containers.get(fronted.name).attrs["Image"]) == ([], other.id)
    finally:
        fronted.inv("down")
        for tag in ("1", "2"):
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.remove(f"{fronted.name}-other:{tag}")
