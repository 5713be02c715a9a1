"""From one host to several and back, and hosts of which no registry can be made: nothing is changed then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import s3, swarms
from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, pull, push
from trusted_registry import saved_flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite
    from tests.e2e.swarms import Site

pytestmark = [pytest.mark.once("trixie"), pytest.mark.timeout(1800)]

NO_SWARM = "not a swarm manager"


@pytest.fixture(scope="module")
def site(lab: Lab, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Hosts without a swarm; the bucket is known to the last scenario alone, which moves the images there."""
    made = swarms.prepare(lab, suite, tmp_path_factory.mktemp("s3"))
    yield made
    swarms.remove(lab, made)


@pytest.fixture
def stored(site: Site) -> Iterator[Site]:
    """The same, with the bucket set as the registry's storage; by the end nothing may have been begun."""
    site.first.inv("registry.storage", s3.AT, *site.server.flags())
    yield site
    for host in site.hosts:
        host.fails("docker", "node", "ls", saying=NO_SWARM)
        assert host.containers() == {}
    site.first.inv_fails("swarm.status", saying="is on no swarm")
    site.first.does("rm", f"{CERTS}/{saved_flags.FILE}")


def test_without_a_bucket_it_is_refused(site: Site) -> None:
    site.first.inv_fails("swarm.up", "--init", *site.named, saying="registry.storage s3://")
    site.first.fails("docker", "node", "ls", saying=NO_SWARM)


def test_a_host_that_is_off_is_named(stored: Site) -> None:
    named, gone = stored.named, stored.hosts[2]
    address = gone.address
    with swarms.off(gone):
        stored.first.inv_fails("swarm.up", "--init", *named, saying=address, seconds=swarms.SECONDS)


def test_an_address_that_another_machine_has_is_refused(stored: Site) -> None:
    taken = stored.client.address
    words = ("swarm.up", "--init", *stored.named, "--address", taken)
    stored.first.inv_fails(*words, saying=f"{taken} is in use", seconds=swarms.SECONDS)


def test_a_port_that_somebody_has_is_refused(stored: Site) -> None:
    other = stored.hosts[1]
    other.begin("python3", "-m", "http.server", "5443", "--directory", "/opt", log="/srv/holds-a-port")
    other.wait_for("it listens", lambda: ":5443" in other.silently("ss", "-ltn").out)
    words = ("swarm.up", "--init", *stored.named)
    said = f"Port 5443 of {other.address} is in use"
    try:
        stored.first.inv_fails(*words, saying=said, seconds=swarms.SECONDS)
    finally:
        other.does("pkill", "-f", "[h]ttp.server 5443")


def test_a_host_of_another_swarm_is_refused(stored: Site) -> None:
    other = stored.hosts[1]
    other.does("docker", "swarm", "init", "--advertise-addr", other.address)
    words = ("swarm.up", "--init", *stored.named)
    try:
        stored.first.inv_fails(*words, saying=f"{other.address} is in another swarm", seconds=swarms.SECONDS)
    finally:
        other.does("docker", "swarm", "leave", "--force")


def test_images_of_one_host_s_volume_go_to_three_hosts_and_back_and_no_client_is_touched(site: Site, run: Run) -> None:
    first, client = site.first, site.client
    first.inv("up")
    site.trusted_by_client(first.address)
    before = _stores(client)
    app, more = f"{first.address}/app:1", f"{first.address}/more:1"
    digest = push(client, app)
    site.inv("registry.move", "--to", s3.AT, *site.server.flags(), "--yes")
    assert pull(client, app) == digest
    said = site.up("--init", *site.named)
    run.notes.append(next(it for it in said.splitlines() if "moved over" in it))
    assert pull(client, app) == digest
    for host in site.hosts[1:]:
        assert pull(host, f"{host.address}/app:1") == digest
    pushed = push(client, more)
    site.inv("swarm.down")
    assert [it.containers() for it in site.hosts] == [{}] * 3
    first.inv("up")
    site.inv("registry.move", "--to", "volume", "--yes")
    site.server.kill()
    assert (pull(client, app), pull(client, more)) == (digest, pushed)
    assert _stores(client) == before
    assert "Nothing had to be changed" in first.inv("up").out


def _stores(host: Host) -> str:
    """Return the names and digests of all that a host trusts registries by, and of its checkout's settings."""
    places = f"/etc/docker /etc/containers /usr/local/share/ca-certificates {HOME}/certs"
    return host.silently("sh", "-c", f"find {places} -type f -exec sha256sum {{}} + | sort -k 2").out
