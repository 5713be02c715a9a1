"""Old and new engines together, and the store of images that new ones have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.steps import hand_over, is_refused, pull, push
from tests.e2e.suites import SUITES

if TYPE_CHECKING:
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

CONTAINERD_STORE = '{"features": {"containerd-snapshotter": true}}\n'


@pytest.fixture
def strangers(lab: Lab, suite: Suite, pair: list[Host]) -> list[Host]:
    """Clients of the other suites, beside this one's pair and removed with it."""
    assert pair
    return lab.start({name: name for name in SUITES if name != suite.name})


def test_clients_of_every_other_generation_trust_this_generations_registry(
    registry: Host, strangers: list[Host]
) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    for stranger in strangers:
        is_refused(stranger, reference)
        hand_over(registry, stranger)
        stranger.inv("trust.linux")
        assert pull(stranger, reference) == pushed
        theirs = push(stranger, f"{registry.address}/from-{stranger.name}:1")
        assert pull(registry, f"{registry.address}/from-{stranger.name}:1") == theirs
        stranger.inv("trust.remove")
        is_refused(stranger, reference)


def test_an_engine_with_the_containerd_image_store_trusts_by_the_same_directories(registry: Host, client: Host) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    client.write("/etc/docker/daemon.json", CONTAINERD_STORE)
    client.does("service", "docker", "restart")
    client.wait()
    driver = client.does("docker", "info", "--format", "{{.DriverStatus}}").out
    if client.suite.name == "bookworm":  # the store came with Docker 24; before, the setting is passed over
        assert "io.containerd.snapshotter" not in driver
    else:
        assert "io.containerd.snapshotter" in driver
    client.import_image("/opt/busybox.tar", "busybox:1", "/bin/busybox")  # the other store's images stay behind

    is_refused(client, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    assert pull(client, reference) == pushed
    theirs = push(client, f"{registry.address}/from-client:1")
    assert pull(registry, f"{registry.address}/from-client:1") == theirs
    client.inv("registry.test")
    client.inv("trust.remove")
    is_refused(client, reference)
