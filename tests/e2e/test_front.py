"""Behind a front no pull is dropped, whatever replaces the registry; without one, the counts say how many are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import client_loops
from tests.e2e.steps import hand_over, pull, push

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host

OWN, OTHER = "registry:2", "registry:other"


@pytest.mark.parametrize("front", ["on", "off"])
def test_whatever_replaces_the_registry_no_pull_is_dropped_behind_a_front(
    front: str, registry: Host, client: Host, run: Run
) -> None:
    registry.inv("up", "--front", front)
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    password = client_loops.LOGIN.partition(":")[2]
    client.does("docker", "login", "--username", "ada", "--password", password, registry.address)
    client.does("podman", "login", "--username", "ada", "--password", password, registry.address)
    client_loops.begin(client, registry.address, reference)

    for _ in range(3):
        registry.inv("cert.renew")
    versions = _version(registry), _upgraded(registry, OTHER), _upgraded(registry, OWN)
    assert versions[0] == versions[2] != versions[1]
    _add_user(registry)
    registry.inv("registry.user.remove", "ada", "--yes")
    registry.inv("up", "--names", "registry.local")
    found, words = client_loops.end(client)
    run.notes.append(f"front {front}, registry {versions[0]} to {versions[1]} and back: {json.dumps(found)}")
    assert all(counts["good"] for counts in found.values()), found
    if front == "on":
        assert {name: counts["bad"] for name, counts in found.items()} == dict.fromkeys(found, 0), words
    assert pull(client, reference) == pushed


def _upgraded(registry: Host, image: str) -> str:
    """Have the registry run an image with all that it holds, and return the version that it says then."""
    if image == OTHER:
        registry.import_image("/opt/other-registry.tar", OTHER, "/entrypoint.sh")
    assert "are the same with both" in registry.inv("registry.upgrade", "--image", image).out
    return _version(registry)


def _version(registry: Host) -> str:
    status: Any = json.loads(registry.inv("status", "--json").out)
    return str(status["registry"]["version"])


def test_an_image_that_shows_other_images_or_is_no_registry_is_refused_and_all_goes_on(
    registry: Host, client: Host
) -> None:
    registry.inv("up", "--front", "on")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    registry.does("docker", "create", "--name", "forgetful", OWN)
    elsewhere = "ENV REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/tmp/elsewhere"
    registry.does("docker", "commit", "--change", elsewhere, "forgetful", "forgetful:1")
    before = registry.containers()
    for check in ((), ("--check",)):
        registry.inv_fails("registry.upgrade", "--image", "forgetful:1", *check, saying="manifests differ: app:1")
        registry.inv_fails("registry.upgrade", "--image", "busybox:1", *check, saying="error:")
        assert pull(client, reference) == pushed
    assert registry.containers() == before
    assert "Nothing had to be changed" in registry.inv("up").out


def _add_user(registry: Host) -> None:
    password = client_loops.LOGIN.partition(":")[2]
    registry.does("su", "dev", "-c", f"echo '{password}' | ~/trusted-registry/inv registry.user.add ada")


def test_a_front_a_registry_and_an_engine_that_are_killed_come_back(registry: Host, client: Host) -> None:
    registry.inv("up", "--front", "on")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    for line in ("[h]aproxy -W", "[r]egistry serve"):  # the brackets, so that pkill's own line does not match
        registry.does("pkill", "-9", "-f", line)
        client.wait_for(f"{line} is back", lambda: client.run("docker", "pull", reference).code == 0)
    registry.lose_power()
    client.wait_for("all is back", lambda: client.run("docker", "pull", reference).code == 0)
    assert pull(client, reference) == pushed
    assert "Nothing had to be changed" in registry.inv("up").out


def test_a_front_stands_where_ports_below_1024_are_root_s(registry: Host, client: Host) -> None:
    lowest = "/proc/sys/net/ipv4/ip_unprivileged_port_start"  # 0 on the lab's hosts, and 1024 on most machines
    registry.does("sh", "-c", f"echo 1024 >{lowest}")
    registry.inv("up", "--front", "on")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    registry.inv("cert.renew")
    assert (pull(client, reference), registry.does("cat", lowest).out.strip()) == (pushed, "1024")
