"""The registry on three hosts of three generations, with a bucket: pushed and pulled at each, and nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e import s3, swarms
from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, is_refused, pull, push, served_fingerprint
from tests.e2e.swarm_load import Load, connections, cut
from tests.e2e.swarms import PORT
from tests.e2e.test_login import ANONYMOUS, RIGHT, WRONG, _login
from tests.e2e.upstreams import MAKE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite
    from tests.e2e.swarms import Site

pytestmark = [pytest.mark.once("trixie"), pytest.mark.timeout(1800)]
"""Six hosts are begun with, and those of the swarm are replaced one by one."""

NO_RIGHT, ONE_RIGHT = f"{0:016x}", f"{1 << 10:016x}"
"""Capabilities of a process: none, and CAP_NET_BIND_SERVICE alone (capabilities(7))."""
FEWEST_RENEWALS, MOST_RENEWALS = 3, 8
SPLIT = """
set -eu
place() { sed -n 's/^[Ll]ocation: //p' /srv/head | tr -d '\\r' | sed 's|^https\\{0,1\\}://[^/]*||'; }
anchor=$1 one=$2 two=$3 three=$4
for part in a b c; do head -c 11000000 /dev/urandom > /srv/part-$part; done
digest=sha256:$(cat /srv/part-a /srv/part-b /srv/part-c | sha256sum | cut -d' ' -f1)
ask() {
    curl --silent --show-error --fail --cacert "$anchor" --header 'Content-Type: application/octet-stream' \\
        --dump-header /srv/head --output /dev/null "$@"
}
ask --request POST "https://$one:5443/v2/split/blobs/uploads/"
ask --request PATCH --data-binary @/srv/part-a "https://$one:5443$(place)"
ask --request PATCH --data-binary @/srv/part-b "https://$two:5443$(place)"
ask --request PATCH --data-binary @/srv/part-c "https://$three:5443$(place)"
ask --request PUT "https://$two:5443$(place)&digest=$digest"
for host in $one $two $three; do
    curl --silent --fail --cacert "$anchor" "https://$host:5443/v2/split/blobs/$digest" | sha256sum | cut -d' ' -f1
done
echo "${digest#*:}"
"""
"""An upload with a part at each host, which ends at the second; then the content is got from each."""


@pytest.fixture(scope="module")
def site(lab: Lab, suite: Suite, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Iterator[Site]:
    """The registry on all of them, by a virtual address; all scenarios here share that."""
    made = swarms.prepare(lab, suite, tmp_path_factory.mktemp("s3"))
    made.first.inv("registry.storage", s3.AT, *made.server.flags())
    said = made.up("--init", *made.named, "--address", made.virtual)
    run.notes.append(next(it for it in said.splitlines() if "proof: pushed at" in it))
    made.becomes_well()
    made.trusted_by_client(made.virtual)
    yield made
    swarms.remove(lab, made)


def test_three_generations_push_at_each_and_pull_at_each(site: Site, bystander: Host, run: Run) -> None:
    pulled = 0
    for host in site.hosts:
        digest = push(host, f"{host.address}/from-{host.name}:1")
        for it in site.hosts:
            assert pull(it, f"{it.address}/from-{host.name}:1") == digest
            assert pull(it, f"{site.virtual}/from-{host.name}:1") == digest
            pulled += 2
        assert pull(site.client, f"{site.virtual}/from-{host.name}:1") == digest
        is_refused(bystander, f"{host.address}/from-{host.name}:1")
    is_refused(bystander, f"{site.virtual}/from-{site.first.name}:1")
    versions = [it.does("docker", "version", "--format", "{{.Server.Version}}").out.strip() for it in site.hosts]
    assert len(set(versions)) == len(site.hosts)
    run.notes.append(f"Docker {', '.join(versions)}: pushed at each, {pulled} pulls at each host and the address")


def test_an_upload_with_a_part_at_each_host_has_the_digest_of_the_whole(site: Site) -> None:
    site.client.write("/srv/split", SPLIT)
    said = site.client.does("sh", "/srv/split", f"{CERTS}/ca.crt", *site.addresses).out.split()
    assert (len(said), len(set(said))) == (4, 1), said


def test_a_second_run_changes_nothing_that_the_swarm_or_a_host_has(site: Site) -> None:
    before, containers = site.listed(), site.containers()
    assert "Nothing had to be changed." in site.up()
    assert (site.listed(), site.containers()) == (before, containers)
    assert "Nothing had to be changed." in site.up(*site.named, "--address", site.virtual)
    assert (site.listed(), site.containers()) == (before, containers)
    assert {it["problem"] for it in site.status()["hosts"]} == {""}
    for task in ("up", "down", "cert.renew", "registry.stop"):
        site.first.inv_fails(task, saying="is on a swarm")
    assert (site.listed(), site.containers()) == (before, containers)


def test_a_front_has_the_right_to_low_ports_and_no_other_or_none_and_a_registry_has_none(site: Site) -> None:
    assert [_rights(site, it, "front") for it in site.hosts] == [{ONE_RIGHT}] * 3
    _lowest_port(site, 443)
    site.up()
    assert [_rights(site, it, "front") for it in site.hosts] == [{NO_RIGHT}] * 3
    _lowest_port(site, 1024)
    site.up()
    assert [_rights(site, it, "front") for it in site.hosts] == [{ONE_RIGHT}] * 3
    assert [_rights(site, it, "registry") for it in site.hosts] == [{NO_RIGHT}] * 3
    form = "{{.HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}}"
    for host in site.hosts:
        for service in ("registry", "front"):
            said = host.does("docker", "inspect", "--format", form, site.container(host, service)).out
            assert said.split() == ["[ALL]", "true", "false"], said


def _rights(site: Site, host: Host, service: str) -> set[str]:
    """Return the capabilities that a container has, and those that it could get."""
    pid = host.does("docker", "inspect", "--format", "{{.State.Pid}}", site.container(host, service)).out.strip()
    lines = host.read(f"/proc/{pid}/status").splitlines()
    return {it.split()[1] for it in lines if it.startswith(("CapPrm", "CapEff", "CapBnd"))}


def _lowest_port(site: Site, port: int) -> None:
    for host in site.hosts:
        host.does("sh", "-c", f"echo {port} > /proc/sys/net/ipv4/ip_unprivileged_port_start")


def test_a_login_counts_on_every_host_and_a_removal_too(site: Site) -> None:
    site.add_user("ada", RIGHT)
    for host in site.hosts:
        reference = f"{host.address}/of-{host.name}:1"
        is_refused(host, reference, ANONYMOUS)
        host.fails(*_login("docker", host.address, WRONG), saying="401 Unauthorized")
        host.does(*_login("docker", host.address, RIGHT))
        assert push(host, reference) == pull(host, reference)
        assert _codes(site, host) == {"anonymous": "401", "ada": "200", "bob": "401"}
    before = site.listed()
    assert "Nothing had to be changed." in site.up()
    assert site.listed() == before
    site.add_user("bob", RIGHT)
    site.inv("registry.user.remove", "ada", "--yes")
    assert [_codes(site, it) for it in site.hosts] == [{"anonymous": "401", "ada": "401", "bob": "200"}] * 3
    site.inv("registry.user.remove", "bob", "--yes")
    assert [_codes(site, it)["anonymous"] for it in site.hosts] == ["200"] * 3
    for host in site.hosts:
        host.does("docker", "logout", host.address)


def _codes(site: Site, host: Host) -> dict[str, str]:
    """Return how a host's own registry answers nobody, and each user."""
    asks = ("curl", "--silent", "--cacert", f"{CERTS}/ca.crt", "--output", "/dev/null", "--write-out", "%{http_code}")
    url = f"https://{host.address}:{PORT}/v2/"
    users = {name: ("--user", f"{name}:{RIGHT}") for name in ("ada", "bob")}
    return {name: site.client.does(*asks, *words, url).out for name, words in {"anonymous": (), **users}.items()}


def test_images_are_freed_while_no_host_takes_a_push_and_a_killed_run_is_gone_on_with(site: Site, run: Run) -> None:
    client = site.client
    for name in ("freed-1", "freed-2", "kept"):
        client.does("sh", "-c", MAKE)
        push(client, f"{site.virtual}/{name}:1", "made:1")
    said = site.inv("images.remove", "freed-1:1", "--now", "--yes").said
    run.notes.append(next(it for it in said.splitlines() if "pushes were refused for" in it))
    before = site.containers()
    argv = ("su", "dev", "-c", f"{HOME}/inv images.remove freed-2:1 --now --yes")
    site.first.begin(*argv, log="/srv/freeing", env={**site.first.settings, "HOME": "/home/dev"})
    site.first.wait_for("a registry refuses pushes", lambda: "405" in _changes(site), seconds=300)
    site.first.does("pkill", "-KILL", "-f", "[i]mages.remove freed-2:1")
    site.inv("images.clean", "--keep", "10", "--yes")
    assert _changes(site) == ["404"] * 3
    assert site.containers() != before
    assert "nothing is broken" in site.inv("images.check").out
    left = {it["repository"] for it in json.loads(site.inv("images.list", "--json").out)}
    assert left & {"freed-1", "freed-2", "kept"} == {"kept"}
    for host in site.hosts:
        push(host, f"{host.address}/after-{host.name}:1")
        assert pull(host, f"{host.address}/kept:1") == pull(client, f"{site.virtual}/kept:1")
        assert [it for it in host.containers() if "trusted-registry_" not in it] == []


def _changes(site: Site) -> list[str]:
    """Return how each host's own registry answers who would remove what is not there: 405 where it takes no change."""
    asks = ("curl", "--silent", "--cacert", f"{CERTS}/ca.crt", "--output", "/dev/null", "--write-out", "%{http_code}")
    nothing = f"v2/none/manifests/sha256:{'0' * 64}"
    every = [(*asks, "--request", "DELETE", f"https://{it}:{PORT}/{nothing}") for it in site.addresses]
    return [site.client.silently(*it).out for it in every]


def test_a_renewal_refuses_no_connection_and_cuts_one_in_a_thousand_at_most(site: Site, run: Run) -> None:
    def shown() -> set[str]:
        return {served_fingerprint(site.client, it, PORT) for it in site.addresses}

    load, before, renewals = Load(site), shown(), 0
    load.begin()
    try:
        while renewals < FEWEST_RENEWALS or (load.pulls() < 200 and renewals < MOST_RENEWALS):
            site.inv("swarm.renew")
            renewals += 1
    finally:
        load.stop()
    found = load.end()
    run.notes.append(f"swarm.renew {renewals} times: {json.dumps(found)}")
    after = shown()
    assert (len(before), len(after), before & after) == (1, 1, set())
    good, bad = (connections(found, how) + found["pulls"][how] for how in ("good", "bad"))
    assert (connections(found, "good") >= 2000, found["pulls"]["good"] >= 200) == (True, True), found
    # A registry that stops listening resets what its kernel had taken and it had not: in TCP mode nobody repeats that.
    assert (bad, bad * 1000 <= good) == (cut(found), True), found
    for kind in ("kept connections", "downloads", "uploads"):
        assert (found[kind]["bad"], found[kind]["good"] > 0) == (0, True), found
