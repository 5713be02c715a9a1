"""A renewal on a real engine: in the same container another registry takes over from the one that ends."""

from __future__ import annotations

import hashlib
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.engine.test_up import answers, container, wait_for
from trusted_registry.instance.model import STOP_SECONDS
from trusted_registry.registry import probe

if TYPE_CHECKING:
    import docker

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

HALVES = (b"one half, ", b"and the other")
CONTENT = b"".join(HALVES)
BLOBS = "/v2/app/blobs"


def _under_way(host: Host) -> http.client.HTTPSConnection:
    """Begin an upload, and leave it in the middle."""
    tls = probe.context(host.certs / "ca.crt")
    made = http.client.HTTPSConnection(host.address, host.port, context=tls, timeout=20)
    made.request("POST", f"{BLOBS}/uploads/")
    with made.getresponse() as begun:
        place = urlsplit(begun.headers["Location"])
        begun.read()
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    made.putrequest("PUT", f"{place.path}?{place.query}&digest={digest}")
    made.putheader("Content-Length", str(len(CONTENT)))
    made.endheaders(HALVES[0])
    return made


def _identity(client: docker.DockerClient, host: Host) -> tuple[str, str, int]:
    """Return what tells a container that goes on from another one, and from one that was started again."""
    found = container(client, host)
    return found["Id"], found["State"]["StartedAt"], found["RestartCount"]


def _shown(host: Host) -> str:
    return probe.fingerprint(probe.Endpoint(host.address, host.port))


def test_at_a_renewal_the_container_goes_on_and_what_is_under_way_comes_to_its_end(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    before, shown = _identity(client, host), _shown(host)
    upload = _under_way(host)
    said = host.inv("cert.renew")
    assert "registry: the new one took over; no answer for 0." in said
    assert (_identity(client, host), answers(host)) == (before, True)
    assert _shown(host) not in ("", shown)
    upload.send(HALVES[1])  # to the one before, over its own connection
    with upload.getresponse() as answer:
        assert answer.status == http.client.CREATED
    upload.close()
    assert "Nothing had to be changed." in host.inv("up")


@pytest.mark.long
def test_after_a_renewal_a_stop_is_as_quick_as_before(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    host.inv("cert.renew")
    client.containers.get(host.name).stop(timeout=STOP_SECONDS)
    assert container(client, host)["State"]["ExitCode"] == 0
    client.containers.get(host.name).start()
    assert "Nothing had to be changed." in host.inv("up")


def test_a_pair_that_does_not_belong_together_reaches_nobody(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    before, shown = _identity(client, host), _shown(host)
    (host.certs / "domain.key").write_bytes((host.certs / "issuer.key").read_bytes())
    assert host.refused("registry.tls")
    assert (_identity(client, host), _shown(host), answers(host)) == (before, shown, True)
    client.containers.get(host.name).restart()
    assert wait_for(lambda: answers(host))
    assert _shown(host) == shown
