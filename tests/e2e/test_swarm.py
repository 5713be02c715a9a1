"""The registry on three hosts of three generations, with a bucket: pushed and pulled at each, whatever goes away."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import s3
from tests.e2e.steps import CERTS, hand_over, is_refused, pull, push, served_fingerprint
from tests.e2e.suites import SUITES
from tests.e2e.test_bucket import AT, has_boto3
from tests.e2e.test_front import CLIENTS, LOOP, LOOPS
from tests.e2e.test_hosts_many import install_ansible, let_in
from tests.e2e.upstreams import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.s3 import Server

LONG = pytest.mark.timeout(1800)
"""Three hosts are begun with, and replaced one by one."""

PASSWORD = "enough for me"  # noqa: S105 - a test's
NOBODY_S = "nobody:nothing"
AWAY = 30
SPLIT = """
set -eu
place() { sed -n 's/^[Ll]ocation: //p' /srv/head | tr -d '\\r' | sed 's|^https\\{0,1\\}://[^/]*||'; }
anchor=$1 one=$2 two=$3 three=$4
for part in a b c; do head -c 11000000 /dev/urandom > /srv/part-$part; done
digest=sha256:$(cat /srv/part-a /srv/part-b /srv/part-c | sha256sum | cut -d' ' -f1)
ask() {
    curl --silent --fail --cacert "$anchor" --header 'Content-Type: application/octet-stream' \\
        --dump-header /srv/head --output /dev/null "$@"
}
ask --request POST "https://$one:5443/v2/split/blobs/uploads/"
ask --request PATCH --data-binary @/srv/part-a "https://$two:5443$(place)"
ask --request PATCH --data-binary @/srv/part-b "https://$three:5443$(place)"
ask --request PATCH --data-binary @/srv/part-c "https://$two:5443$(place)"
ask --request PUT "https://$one:5443$(place)&digest=$digest"
for host in $one $two $three; do
    curl --silent --fail --cacert "$anchor" "https://$host:5443/v2/split/blobs/$digest" | sha256sum | cut -d' ' -f1
done
echo "${digest#*:}"
"""
"""An upload that is begun at one host, goes on at two others, and ends at the first; then got from each."""
WAITS = """
while [ ! -e /srv/enough ]; do
    curl --silent --output /dev/null --max-time 30 --cacert "$1" --write-out '%{time_total} %{http_code}\\n' \\
        "https://$2/v2/" || echo bad
done
"""


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server with an empty bucket."""
    (host,) = lab.start({"swarm-bucket": "bookworm"})
    yield s3.start(host, tmp_path)
    lab.stop([host.name])


@pytest.fixture
def hosts(lab: Lab, server: Server) -> Iterator[list[Host]]:
    """Three hosts of three generations, the first of which has the checkout, Ansible and the bucket's key."""
    found = lab.start({f"swarm-{name}": name for name in SUITES})
    first, *others = found
    server.is_told_to(first)
    has_boto3(first)
    install_ansible(first)
    let_in(first, *others)
    told = ("--endpoint", server.endpoint, "--ca", s3.AUTHORITY, "--credentials", s3.CREDENTIALS)
    first.inv("registry.storage", AT, *told)
    yield found
    lab.stop([it.name for it in found])


@pytest.fixture
def virtual(lab: Lab, hosts: list[Host]) -> str:
    """The registry on all of them, by a virtual address."""
    address = lab.address()
    _inv(hosts[0], "swarm.up", "--init", "--hosts", _addresses(hosts), "--address", address)
    return address


def _inv(host: Host, *words: str) -> Done:
    """Run a task that may take minutes, of which each host has its share."""
    return host.does("./inv", *words, user="dev", env=host._environment({}), seconds=600)


def _addresses(hosts: list[Host]) -> str:
    return ",".join(it.address for it in hosts)


def _status(first: Host) -> Any:  # noqa: ANN401 - JSON
    return json.loads(first.inv("swarm.status", "--json").out)


def _holder(hosts: list[Host], virtual: str) -> Host:
    return next(it for it in hosts if it.silently("ip", "-o", "addr", "show", "to", virtual).out)


def _leader(hosts: list[Host]) -> Host:
    said = "docker node inspect self --format '{{.ManagerStatus.Leader}}'"
    return next(it for it in hosts if it.silently("sh", "-c", said).out.strip() == "true")


# All of it


@LONG
def test_three_generations_push_at_each_and_pull_at_each_and_a_second_run_changes_nothing(
    hosts: list[Host], client: Host, bystander: Host
) -> None:
    first = hosts[0]
    done = _inv(first, "swarm.up", "--init", "--hosts", _addresses(hosts))
    assert "proof: pushed at" in done.out
    for host in hosts:
        digest = push(host, f"{host.address}/from-{host.name}:1")
        assert {pull(it, f"{it.address}/from-{host.name}:1") for it in hosts} == {digest}
    hand_over(first, client)
    client.write("/srv/split", SPLIT)
    said = client.does("sh", "/srv/split", f"{CERTS}/ca.crt", *(it.address for it in hosts)).out.split()
    assert (len(said), len(set(said))) == (4, 1)
    is_refused(bystander, f"{first.address}/from-{first.name}:1")

    before = [it.containers() for it in hosts]
    assert "Nothing had to be changed." in _inv(first, "swarm.up").out
    assert [it.containers() for it in hosts] == before
    assert {it["problem"] for it in _status(first)["hosts"]} == {""}
    first.inv_fails("up", saying="is on a swarm")


@LONG
def test_a_login_counts_on_every_host_and_nobody_is_let_in_without(hosts: list[Host]) -> None:
    first = hosts[0]
    _inv(first, "swarm.up", "--init", "--hosts", _addresses(hosts))
    first.does("sh", "-c", f"echo '{PASSWORD}' | ./inv registry.user.add ada", user="dev", seconds=400)
    for host in hosts:
        host.fails("docker", "push", f"{host.address}/app:1", saying="")
        host.does("docker", "login", "--username", "ada", "--password", PASSWORD, host.address)
        push(host, f"{host.address}/of-{host.name}:1")
    assert "Nothing had to be changed." in _inv(first, "swarm.up").out


@LONG
def test_a_front_has_one_right_or_none_and_a_registry_has_none(hosts: list[Host]) -> None:
    first = hosts[0]
    _inv(first, "swarm.up", "--init", "--hosts", _addresses(hosts))
    names = {name.partition(".")[0]: number for name, number in first.containers().items()}
    form = "{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}} {{.Config.User}}"
    limits = {
        it: first.does("docker", "inspect", "--format", form, names[f"trusted-registry_{it}"]).out for it in names
    }
    open_ports = int(first.read("/proc/sys/net/ipv4/ip_unprivileged_port_start")) <= 443
    assert limits["registry"].split()[:3] == ["[]", "[ALL]", "true"]
    assert limits["front"].split()[:3] == ["[]" if open_ports else "[NET_BIND_SERVICE]", "[ALL]", "true"]


@LONG
def test_a_registry_on_the_first_host_is_moved_over_and_back_and_no_client_is_told(
    hosts: list[Host], client: Host, run: Run
) -> None:
    first = hosts[0]
    _inv(first, "up")
    hand_over(first, client)
    client.inv("trust.linux")
    reference = f"{first.address}/app:1"
    digest = push(client, reference)
    said = _inv(first, "swarm.up", "--init", "--hosts", _addresses(hosts)).out
    run.notes.append(next(line for line in said.splitlines() if "moved over" in line))
    assert pull(client, reference) == digest
    assert pull(hosts[1], f"{hosts[1].address}/app:1") == digest
    _inv(first, "swarm.down")
    _inv(first, "up")
    _inv(first, "registry.move", "--to", "volume", "--yes")
    assert pull(client, reference) == digest


# What goes away while clients work


@pytest.fixture
def working(virtual: str, hosts: list[Host], client: Host) -> str:
    """A client that connects, pulls, pushes, downloads and uploads all the time; returns the image that it pulls."""
    hand_over(hosts[0], client)
    client.inv("trust.linux")
    reference = f"{virtual}/app:1"
    push(client, reference)
    client.write(CLIENTS, (Path(__file__).parent / "front_clients.py").read_bytes())
    client.begin("python3", CLIENTS, virtual, f"{CERTS}/ca.crt", NOBODY_S, log="/srv/clients")
    client.begin("sh", "-c", WAITS, "sh", f"{CERTS}/ca.crt", virtual, log="/srv/waits")
    client.begin("sh", "-c", LOOP % LOOPS["pulls"], "sh", reference, "pulls", log="/srv/pulls")
    client.wait_for("the first pull", lambda: "good" in client.peek("/srv/pulls"))
    return reference


def _counts(client: Host) -> dict[str, Any]:
    """Have the client end, and return what it met: counts by kind, and the longest wait of a request, in seconds."""
    client.write("/srv/enough", "")
    client.wait_for("the last pull", lambda: "ended" in client.peek("/srv/pulls"), seconds=120)
    client.wait_for("the last words", lambda: "counts" in client.peek("/srv/clients"), seconds=120)
    said: Any = json.loads(next(it for it in client.peek("/srv/clients").splitlines() if it.startswith("{")))
    pulls, waits = client.peek("/srv/pulls").splitlines(), client.peek("/srv/waits").splitlines()
    longest = max(float(it.split()[0]) for it in waits if it and it != "bad")
    return {
        **said["counts"],
        "pulls": {"good": pulls.count("good"), "bad": pulls.count("bad")},
        "longest wait": longest,
        "words": said["words"],
    }


def _pulls(client: Host) -> int:
    return client.peek("/srv/pulls").splitlines().count("good")


@LONG
def test_a_renewal_refuses_no_connection_and_drops_no_pull(
    working: str, hosts: list[Host], client: Host, run: Run
) -> None:
    before = served_fingerprint(client, hosts[2].address)
    while _pulls(client) < 200:
        _inv(hosts[0], "swarm.renew")
    found = _counts(client)
    run.notes.append(f"swarm.renew, again and again: {found}")
    assert served_fingerprint(client, hosts[2].address) != before
    assert (found["new connections"]["good"] >= 2000, found["new connections"]["bad"]) == (True, 0), found
    assert (found["pulls"]["good"] >= 200, found["pulls"]["bad"]) == (True, 0), found
    assert working


@LONG
@pytest.mark.parametrize("who", ["holder", "leader", "another"])
@pytest.mark.parametrize("how", ["off", "hung"])
def test_a_host_that_goes_off_or_hangs_costs_little_and_comes_back(  # noqa: PLR0913, PLR0917 - fixtures
    how: str, who: str, working: str, virtual: str, hosts: list[Host], client: Host, run: Run
) -> None:
    holder, leader = _holder(hosts, virtual), _leader(hosts)
    rest = [it for it in hosts if it not in (holder, leader)]
    gone = {"holder": holder, "leader": leader, "another": rest[-1]}[who]
    good = _pulls(client)
    if how == "off":
        gone.container.kill()
    else:
        gone.container.pause()
    time.sleep(AWAY)
    client.wait_for("pulls go on", lambda: _pulls(client) > good + 5, seconds=120)
    if how == "off":
        gone.container.start()
        gone.wait()
    else:
        gone.container.unpause()
    found = _counts(client)
    run.notes.append(f"the {who} {how} for {AWAY} s: {found}")
    assert found["pulls"]["bad"] <= (2 if who == "holder" or how == "hung" else 0), found
    there = next(it for it in hosts if it is not gone)
    assert pull(there, working.replace(virtual, there.address))
    hosts[0].wait_for(
        "every host is well again",
        lambda: (
            hosts[0]
            .silently("./inv", "swarm.status", user="dev", env={"NO_COLOR": "1"}, folder="/home/dev/trusted-registry")
            .code
            == 0
        ),
        seconds=180,
    )


@LONG
def test_a_bucket_that_is_away_for_half_a_minute_restarts_no_registry(
    working: str, hosts: list[Host], client: Host, server: Server, run: Run
) -> None:
    before = [it.containers() for it in hosts]
    with server.away(SILENT):
        time.sleep(AWAY)
    good = _pulls(client)
    client.wait_for("pulls go on", lambda: _pulls(client) > good + 3, seconds=120)
    found = _counts(client)
    run.notes.append(f"the bucket away for {AWAY} s: {found}")
    assert [it.containers() for it in hosts] == before
    assert pull(client, working)


# Bad input, by real hosts


@LONG
def test_a_host_that_is_off_is_named_and_nothing_is_changed(hosts: list[Host]) -> None:
    first, gone, every = hosts[0], hosts[2].address, _addresses(hosts)
    hosts[2].container.kill()
    first.inv_fails("swarm.up", "--init", "--hosts", every, saying=gone)
    first.fails("docker", "stack", "ls", saying="not a swarm manager")


@LONG
def test_an_address_that_another_machine_has_is_refused(hosts: list[Host], client: Host) -> None:
    said = f"{client.address} is in use"
    first = hosts[0]
    first.inv_fails("swarm.up", "--init", "--hosts", _addresses(hosts), "--address", client.address, saying=said)
    assert first.silently("docker", "service", "ls", "--quiet").out == ""
