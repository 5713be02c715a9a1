"""One command from nothing to a trusted registry, and back."""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import docker
import pytest

from trusted_registry import program
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine


def pull(client: docker.DockerClient, reference: str) -> str:
    """Return the error of a pull of what does not exist: of the registry where it is trusted, of TLS where not."""
    with pytest.raises(docker.errors.APIError) as caught:
        client.images.pull(f"{reference}/nothing", tag="absent")
    return str(caught.value)


def wait_for(true: Callable[[], bool], seconds: float = 20) -> bool:
    """Return whether something became true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def container(client: docker.DockerClient, host: Host) -> dict[str, Any]:
    """Return what the engine says of the registry's container."""
    attributes: dict[str, Any] = client.containers.get(host.name).attrs
    return attributes


def answers(host: Host) -> bool:
    """Whether the registry answers over TLS that its authority vouches for."""
    trust = probe.context(host.certs / "ca.crt")
    try:
        return probe.request(probe.Endpoint(host.address, host.port), "GET", "/v2/", trust)[0] == 200
    except OSError:
        return False


def test_up_ends_with_a_proof_and_the_name_to_use(host: Host) -> None:
    said = host.inv("up")
    assert f"proof: pushed to {host.reference} and pulled back" in said
    assert f"docker push {host.reference}/ubuntu" in said


def test_a_second_up_changes_nothing_and_says_so(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    before, keys = container(client, host)["Id"], host.keys()
    assert "Nothing had to be changed." in host.inv("up")
    assert container(client, host)["Id"] == before
    assert host.keys() == keys


def test_of_two_at_once_the_second_waits_and_finds_it_done(host: Host) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        said = list(pool.map(lambda _: host.inv("up"), range(2)))
    assert sorted("Nothing had to be changed." in it for it in said) == [False, True]


def test_docker_refuses_before_trust_accepts_with_it_and_refuses_after_its_removal(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("cert")
    host.inv("registry.tls")
    assert "x509" in pull(client, host.reference)
    assert f"the engine accepts {host.reference}" in host.inv("trust.linux")
    assert "x509" not in pull(client, host.reference)
    host.inv("trust.remove")
    assert "x509" in pull(client, host.reference)


@pytest.mark.parametrize("tool", ["openssl", "cryptography"])
@pytest.mark.parametrize(
    "shape",
    [pytest.param([], id="authority"), pytest.param(["--self-signed"], id="self-signed", marks=pytest.mark.long)],
)
def test_docker_accepts_what_either_tool_makes_once_it_is_trusted(
    host: Host, client: docker.DockerClient, tool: str, shape: list[str]
) -> None:
    host.inv("cert", "--tool", tool, *shape)
    assert (host.certs / "ca.crt").exists() is not bool(shape)
    host.inv("registry.tls")
    assert "x509" in pull(client, host.reference)
    host.inv("trust.linux")
    assert "proof: pushed" in host.inv("registry.test")


@pytest.mark.long
def test_up_keeps_the_shape_of_a_self_signed_certificate(host: Host) -> None:
    host.inv("cert", "--self-signed")
    keys = host.keys()
    host.inv("up")
    assert host.keys() == keys


def test_python_in_strict_mode_accepts_the_registry_with_the_authority_and_not_without(standing: Host) -> None:
    url = f"https://{standing.reference}/v2/"
    with urllib.request.urlopen(url, context=probe.context(standing.certs / "ca.crt"), timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(url, context=ssl.create_default_context(), timeout=10)


def test_plain_http_is_refused(standing: Host) -> None:
    assert not probe.speaks_plain(probe.Endpoint(standing.address, standing.port))


def test_the_authority_s_key_is_in_no_container(standing: Host, client: docker.DockerClient) -> None:
    assert {mount["Type"] for mount in container(client, standing)["Mounts"]} == {"volume"}
    tar = b"".join(client.containers.get(standing.name).get_archive("/config")[0])
    assert (standing.certs / "domain.key").read_bytes() in tar
    secret = (standing.certs / "issuer.key").read_bytes()
    exported = b"".join(client.containers.get(standing.name).export())  # type: ignore[arg-type]  # bytes, whatever its stub says
    for seen in (tar, exported):
        assert secret not in seen
        assert b"issuer.key" not in seen


def test_the_container_has_no_more_rights_than_it_needs(standing: Host, client: docker.DockerClient) -> None:
    limits = container(client, standing)["HostConfig"]
    assert limits["ReadonlyRootfs"]
    assert limits["CapDrop"] == ["ALL"]
    assert not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert (limits["Memory"], limits["PidsLimit"]) == (512 << 20, 200)
    assert limits["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}


def test_status_tells_what_runs_and_is_trusted(standing: Host) -> None:
    said = standing.status()
    assert said["registry"]["health"] == "answers"
    assert set(said["trust"].values()) == {"trusted"}
    assert said["certificate"]["fingerprint"] == probe.fingerprint(probe.Endpoint(standing.address, standing.port))


@pytest.mark.parametrize("after", ["registry.test", "cert.renew"])
def test_a_registry_whose_process_is_killed_comes_back_with_its_images(
    after: str, host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    host.inv(after)  # either tells the registry something by a signal, which the engine may take for a wish to stop it
    reference = f"{host.reference}/kept"
    client.api.import_image_from_data(b"\0" * 1024, repository=reference, tag="1")
    assert "error" not in client.images.push(reference, tag="1")
    client.images.remove(f"{reference}:1")
    pid = container(client, host)["State"]["Pid"]
    # Not `docker kill`: the engine takes that for a wish. sudo, because the process is root's.
    subprocess.run([*program.sudo(), "sh", "-c", f"kill -KILL {pid}"], check=True)
    assert wait_for(lambda: container(client, host)["State"]["Pid"] not in (0, pid))
    assert wait_for(lambda: answers(host))
    assert client.images.pull(reference, tag="1").tags == [f"{reference}:1"]
    client.images.remove(f"{reference}:1")


@pytest.mark.long
def test_a_renewal_is_served_and_no_client_is_touched(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    before, authority = host.status()["certificate"]["fingerprint"], (host.certs / "ca.crt").read_bytes()
    host.inv("cert.renew")
    after = probe.fingerprint(probe.Endpoint(host.address, host.port))
    assert after != before
    assert after == host.status()["certificate"]["fingerprint"]
    assert (host.certs / "ca.crt").read_bytes() == authority
    assert "x509" not in pull(client, host.reference)


def test_a_renewal_that_is_not_due_does_nothing(standing: Host) -> None:
    keys = standing.keys()
    assert standing.inv("cert.renew", "--if-expiring", "30") == "", "cron would send it as mail"
    assert standing.keys() == keys


def test_up_serves_a_further_name_under_the_same_authority(host: Host) -> None:
    host.inv("up")
    authority = (host.certs / "ca.crt").read_bytes()
    assert "does not name registry.local" in host.inv("up", INVOKE_REGISTRY_NAMES="registry.local")
    assert "registry.local" in host.status()["certificate"]["names"]
    assert (host.certs / "ca.crt").read_bytes() == authority


def test_down_keeps_images_trust_and_certificates(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    keys = host.keys()
    host.inv("down")
    assert host.keys() == keys
    assert client.volumes.get(host.name)
    assert set(host.status()["trust"].values()) == {"trusted"}
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(host.name)


@pytest.mark.long
def test_down_with_purge_leaves_nothing(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    host.inv("down", "--purge", "--yes")
    assert not host.keys()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(host.name)
    host.inv("cert")
    host.inv("registry.tls")
    assert "x509" in pull(client, host.reference)


def test_down_with_purge_asks_first(standing: Host) -> None:
    keys = standing.keys()
    assert "--yes" in standing.refused("down", "--purge")
    assert standing.keys() == keys
