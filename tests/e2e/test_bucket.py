"""Images in a bucket: every client, kills in the middle of pushes, a server that is away, and moving there and back."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e import s3
from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, hand_over, is_refused, pull, push, registry_container
from tests.e2e.test_carry import digests_of, hand, missing, typed
from tests.e2e.upstreams import REFUSED, SILENT

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.s3 import Server
    from tests.e2e.suites import Suite

PUSHED = "/srv/pushed.json"
"""File of a client with the pushes that were acknowledged."""
ENOUGH = 100
AWAY = 30
AGAIN = "echo again > /srv/again && tar --create --directory /srv again | docker import - again:1"
"""An image that nobody pushed before."""
LARGE = """
set -eu
cd /srv && head -c 200000000 /dev/urandom > large
tar --create large | docker import --change 'ENTRYPOINT ["/large"]' - large:1 && rm large
"""
"""An image of one layer, which its registry gets in twenty parts."""
LOOP = """
while [ ! -e /srv/enough ]; do
    if { rm -rf /srv/pulled && skopeo copy --quiet docker://$1 dir:/srv/pulled; } >/srv/said 2>&1
    then echo good; else echo bad; cat /srv/said; fi
done
echo ended
"""


@pytest.fixture
def trusting(server: Server, registry: Host, client: Host) -> Host:
    """A client of a registry whose images are in the bucket, with the program that pushes until it is told to stop."""
    s3.install_boto3(registry)
    registry.inv("up")
    registry.inv("registry.move", "--to", s3.AT, *server.flags(), "--yes")
    return _trusting(registry, client)


def _trusting(registry: Host, client: Host) -> Host:
    hand_over(registry, client)
    client.inv("trust.linux")
    for name in ("image_clients.py", "image_loops.py"):
        client.write(f"/srv/{name}", (Path(__file__).parent / name).read_bytes())
    return client


def _begin_pushes(client: Host, registry: Host) -> None:
    client.begin("python3", "/srv/image_loops.py", "push", registry.address, f"{CERTS}/ca.crt", log="/srv/pushes")


def _taken(registry: Host) -> int:
    """Return how many pushes the registry has acknowledged, by its log."""
    said = registry.silently("docker", "logs", "registry").said
    return sum('"PUT /v2/pushed/manifests/' in line and '" 201 ' in line for line in said.splitlines())


def _lost(client: Host, registry: Host) -> tuple[list[str], dict[str, int]]:
    """Have the pushes end, pull all that were acknowledged, and return those that are not whole, with the counts."""
    client.write("/srv/enough", "")
    client.wait_for("the last pushes", lambda: "{" in client.peek("/srv/pushes"), seconds=180)
    pushed = json.loads(next(it for it in client.peek("/srv/pushes").splitlines() if it.startswith("{")))
    client.write(PUSHED, json.dumps(pushed["taken"]))
    lost = _not_given(client, registry)
    return lost, {"taken": len(pushed["taken"]), "refused": pushed["refused"], "lost": len(lost)}


def _not_given(client: Host, registry: Host) -> list[str]:
    """Return the acknowledged pushes that cannot be pulled."""
    argv = ("python3", "/srv/image_loops.py", "pull", registry.address, f"{CERTS}/ca.crt", PUSHED)
    found: list[str] = json.loads(client.does(*argv, seconds=300).out)
    return found


def test_docker_podman_and_skopeo_push_to_a_bucket_and_pull_from_it_and_a_layer_of_200_mb_too(
    trusting: Host, registry: Host, server: Server, bystander: Host
) -> None:
    host = registry.address
    digest = push(trusting, f"{host}/app:1")
    assert pull(trusting, f"{host}/app:1") == digest
    trusting.does("podman", "pull", f"{host}/app:1")
    trusting.does("podman", "push", f"{host}/app:1", f"{host}/podman:1")
    trusting.does("skopeo", "copy", f"docker://{host}/podman:1", f"docker://{host}/skopeo:1")
    trusting.does("skopeo", "inspect", f"docker://{host}/skopeo:1")
    trusting.does("sh", "-c", LARGE)
    large = push(trusting, f"{host}/large:1", "large:1")
    assert pull(trusting, f"{host}/large:1") == large
    trusting.does("podman", "pull", f"{host}/large:1")
    is_refused(bystander, f"{host}/app:1")
    repositories = server.objects(f"{s3.PREFIX}/docker/registry/v2/repositories")
    assert {"app", "large", "podman", "skopeo"} <= set(repositories)
    nobody = ("--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}")
    assert trusting.does("curl", *nobody, f"{server.endpoint}/{s3.BUCKET}/").out == "403"
    assert "Nothing" in registry.inv("doctor").out or "nothing is wrong" in registry.inv("doctor").out


def test_registry_and_server_killed_in_the_middle_of_a_hundred_pushes_lose_none_that_was_acknowledged(
    trusting: Host, registry: Host, server: Server, run: Run
) -> None:
    _begin_pushes(trusting, registry)
    trusting.wait_for("the first pushes", lambda: _taken(registry) > 10)
    begun = registry_container(registry)
    registry.does("pkill", "-KILL", "-x", "registry")
    registry.wait_for("it was started anew", lambda: registry_container(registry) != begun)
    counted = _taken(registry)
    trusting.wait_for("pushes are taken again", lambda: _taken(registry) > counted + 10)
    server.kill()
    time.sleep(5)
    server.serve()
    trusting.wait_for("a hundred pushes", lambda: _taken(registry) > ENOUGH, seconds=240)
    lost, counts = _lost(trusting, registry)
    run.notes.append(f"registry and server killed while clients push to a bucket: {counts}")
    assert (lost, counts["taken"] > ENOUGH, counts["refused"] > 0) == ([], True, True), counts
    # A push that was killed between its two links has left a tag that nobody was told of.
    registry.inv("images.check", "--fix", "--yes")
    assert "nothing is broken" in registry.inv("images.check").out
    assert _not_given(trusting, registry) == []


def test_a_bucket_that_is_away_for_half_a_minute_restarts_nothing_and_loses_nothing(
    trusting: Host, registry: Host, server: Server, run: Run
) -> None:
    reference = f"{registry.address}/app:1"
    digest = push(trusting, reference)
    before = registry_container(registry)
    _begin_pushes(trusting, registry)
    trusting.wait_for("the first pushes", lambda: _taken(registry) > 10)
    with server.away(SILENT):
        time.sleep(AWAY)
    counted = _taken(registry)
    trusting.wait_for("pushes are taken again", lambda: _taken(registry) > counted + 10, seconds=120)
    lost, counts = _lost(trusting, registry)
    run.notes.append(f"a server away for {AWAY} s while clients push: {counts}")
    assert (lost, registry_container(registry)) == ([], before), counts
    assert pull(trusting, reference) == digest


def test_what_client_registry_and_doctor_say_of_a_bucket_that_is_away_is_explained(
    trusting: Host, registry: Host, server: Server
) -> None:
    with server.away(REFUSED):
        trusting.run("docker", "rmi", "--force", "busybox:none")
        said = trusting.fails("docker", "pull", f"{registry.address}/app:1", saying="500 Internal Server Error").said
        assert "a bucket that is away" in trusting.does("./inv", "explain", said, user="dev").out
        log = registry.does("docker", "logs", "registry").said
        registry.write("/srv/log", log)
        explained = registry.does("su", "dev", "-c", "cd ~/trusted-registry && ./inv explain < /srv/log").out
        assert "The bucket does not answer the registry" in explained
        registry.inv_fails("doctor", saying="does not answer")
    assert "nothing is wrong" in registry.inv("doctor").out


def test_images_move_to_a_bucket_and_back_while_clients_pull_and_nothing_is_changed_for_them(
    server: Server, registry: Host, client: Host, run: Run
) -> None:
    s3.install_boto3(registry)
    registry.inv("up", "--front", "on")
    _trusting(registry, client)
    reference = f"{registry.address}/app:1"
    digest = push(client, reference)
    client.begin("sh", "-c", LOOP, "sh", reference, log="/srv/pulls")
    client.wait_for("the first pull", lambda: "good" in client.peek("/srv/pulls"))
    registry.inv("registry.move", "--to", s3.AT, *server.flags(), "--yes")
    assert "app" in server.objects(f"{s3.PREFIX}/docker/registry/v2/repositories")
    assert pull(client, reference) == digest
    pushed = push(client, f"{registry.address}/bucket:1")
    registry.inv("registry.move", "--to", "volume", "--yes")
    server.kill()
    assert pull(client, reference) == digest
    assert pull(client, f"{registry.address}/bucket:1") == pushed
    client.write("/srv/enough", "")
    client.wait_for("the last pull", lambda: "ended" in client.peek("/srv/pulls"))
    lines = client.peek("/srv/pulls").splitlines()
    run.notes.append(
        f"moved to a bucket and back behind a front: {lines.count('good')} pulls, {lines.count('bad')} failed"
    )
    assert (lines.count("bad"), lines.count("good") > 2) == (0, True), lines


def test_a_key_that_may_not_write_is_refused_and_the_images_stay(server: Server, registry: Host) -> None:
    s3.install_boto3(registry)
    registry.inv("up")
    before = registry_container(registry)
    server.is_told_to(registry, "reader")
    registry.inv_fails("registry.move", "--to", s3.AT, *server.flags(), "--yes", saying="write")
    assert registry_container(registry) == before


def test_another_machine_takes_over_with_a_backup_and_the_bucket_and_no_client_is_told(
    trusting: Host, registry: Host, lab: Lab, suite: Suite, run: Run
) -> None:
    address = registry.address
    push(trusting, f"{address}/moved:1")
    _begin_pushes(trusting, registry)
    trusting.wait_for("the first pushes", lambda: _taken(registry) > 10)
    before = digests_of(registry)
    said = typed(registry, "registry.backup", f"{HOME}/backup.tar")
    lost, counts = _lost(trusting, registry)
    assert lost == []
    trusting.does("sh", "-c", AGAIN)
    pushed = push(trusting, f"{address}/moved:1", "again:1")
    registry.inv("down")
    (second,) = lab.start({"second": suite.name})
    try:
        hand(registry, f"{HOME}/backup.tar", second, f"{HOME}/backup.tar")
        registry.move(lab.address())
        second.move(address)
        s3.install_boto3(second)
        assert "stay as they are" in typed(second, "registry.restore", "backup.tar")
        second.inv("up")
        after = digests_of(second)
        assert missing(before, after) == {"moved:1"}  # which is another image by now
        assert pull(trusting, f"{address}/moved:1") == pushed
        there = sum(it.startswith("pushed:") for it in after)
        assert there >= counts["taken"]
        assert "nothing is broken" in second.inv("images.check").out
        saved = re.findall("saved: .*", said)
        run.notes.append(f"registry.backup of a bucket while four clients push: {saved}; {len(before)} images before")
    finally:
        lab.stop([second.name])
