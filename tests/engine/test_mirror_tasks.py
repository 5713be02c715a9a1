"""Mirrors by their tasks, typed as a person types them: beside a registry that is renewed, stopped and purged."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trusted_registry.instance.model import mirror_name
from trusted_registry.registry import probe
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    import docker

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

UPSTREAM = "registry.k8s.io"


def _port(host: Host) -> int:
    return int(json.loads((host.certs / "installation.json").read_text())["mirrors"][UPSTREAM]["port"])


def _shown(host: Host) -> str:
    return probe.fingerprint(Endpoint(host.address, _port(host)))


@pytest.mark.long
def test_a_mirror_is_renewed_stopped_started_and_purged_with_the_registry(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    said = host.inv("mirror.up", UPSTREAM)
    assert f"mirror: {UPSTREAM} by {host.address}:{_port(host)}, running" in said
    assert f"no login: whoever reaches port {_port(host)} can pull what it holds; public images only" in said
    assert ("proof: " in said) is not ("not proved: " in said)
    told = Path(f"/etc/docker/certs.d/{UPSTREAM}/hosts.toml")
    assert f"{host.address}:{_port(host)}" in told.read_text()
    assert f"{UPSTREAM} by {host.address}:{_port(host)}, already running" in host.inv("mirror.up", UPSTREAM)
    (mirror,) = host.status()["mirrors"]
    assert (mirror["upstream"], mirror["state"], mirror["used"]) == (UPSTREAM, "running", True)
    before = _shown(host)
    assert f"mirror: {UPSTREAM} by " in host.inv("cert.renew")
    assert _shown(host) != before
    assert f"mirror: {UPSTREAM} is stopped too" in host.inv("down")
    with pytest.raises(OSError, match="refused"):
        _shown(host)
    assert f"mirror: {UPSTREAM} by {host.address}:{_port(host)}, running" in host.inv("up")
    assert _shown(host)
    host.inv("down", "--purge", "--yes")
    assert not told.exists()
    assert not client.volumes.list(filters={"name": mirror_name(host.name, "")})
    assert not client.containers.list(all=True, filters={"name": mirror_name(host.name, "")})
    assert not host.certs.exists() or not any(host.certs.iterdir())


def test_clients_are_told_before_a_mirror_stops_and_one_that_there_is_not_is_refused(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("cert")
    assert "no mirror of ghcr.io" in host.refused("mirror.down", "ghcr.io")
    assert "mirror.up ghcr.io" in host.refused("mirror.fill", "ghcr.io/org/app:1")
    for private in ("registry.local", host.address, "ghcr.io/org"):
        host.refused("mirror.up", private, code=2)
    host.inv("mirror.up", UPSTREAM)
    (content,) = json.loads(host.inv("mirror.list", "--json"))
    assert (content["state"], content["hits"], content["misses"]) == ("running", 0, 0)
    message = f'failed to resolve reference "{UPSTREAM}/nosuch:1": {UPSTREAM}/nosuch:1: not found'
    assert f"the mirror of {UPSTREAM} here ({host.address}:{_port(host)})" in host.inv("explain", message)
    assert "here (" not in host.inv("explain", message.replace(UPSTREAM, "quay.io"))
    assert mirror_name(host.name, UPSTREAM) in host.inv("--dry", "mirror.down", UPSTREAM)
    assert json.loads(host.inv("mirror.list", "--json"))[0]["state"] == "running"
    name, told = mirror_name(host.name, UPSTREAM), Path(f"/etc/docker/certs.d/{UPSTREAM}/hosts.toml")
    client.containers.get(name).stop()
    assert "mirror: the mirror of registry.k8s.io is exited" in host.run("doctor").stdout
    assert told.exists()
    port = _port(host)
    host.inv("mirror.down", UPSTREAM)
    assert not told.exists()
    assert client.volumes.list(filters={"name": name})
    host.inv("mirror.up", UPSTREAM)
    assert _port(host) == port
    assert "Remove what the mirror of" in host.refused("mirror.down", UPSTREAM, "--purge")
    host.inv("mirror.down", UPSTREAM, "--purge", "--yes")
    assert not client.volumes.list(filters={"name": name})
    assert json.loads(host.inv("mirror.list", "--json")) == []


@pytest.mark.long
def test_where_somebody_else_told_a_client_of_the_upstream_no_mirror_stays_and_up_goes_on(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    theirs = Path(f"/etc/docker/certs.d/{UPSTREAM}/hosts.toml")
    theirs.parent.mkdir()
    try:
        theirs.write_text('server = "https://cache.company.com"\n')
        assert str(theirs) in host.refused("mirror.up", UPSTREAM)
        assert theirs.read_text() == 'server = "https://cache.company.com"\n'
        assert not client.containers.list(all=True, filters={"name": mirror_name(host.name, UPSTREAM)})
        assert "mirror" not in host.inv("up")
    finally:
        theirs.unlink()
        theirs.parent.rmdir()
    said = host.inv("mirror.up", UPSTREAM)
    assert ("proof: " in said) is not ("not proved: " in said)


@pytest.mark.long
def test_two_runs_at_once_make_one_mirror_that_a_new_authority_s_certificate_reaches(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    with ThreadPoolExecutor() as threads:
        said = list(threads.map(lambda _: host.inv("mirror.up", UPSTREAM), range(2)))
    assert sorted(f"by {host.address}:{_port(host)}, running" in it for it in said) == [False, True]
    assert len(client.containers.list(filters={"name": mirror_name(host.name, "")})) == 1
    host.inv("cert.renew-authority")
    before = _shown(host)
    host.inv("cert.renew-authority", "--switch")
    assert _shown(host) != before
    at = Endpoint(host.address, _port(host))
    assert probe.request(at, "GET", "/v2/", probe.context(host.certs / "ca.crt"))[0] == 200
    host.inv("cert.renew-authority", "--finish")
    assert "already running" in host.inv("mirror.up", UPSTREAM)
