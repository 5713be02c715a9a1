"""What goes wrong by itself: programs that die, machines that lose power. Nothing that was pushed is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.steps import hand_over, is_refused, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

BIG = 150
"""Mebibytes of an image whose push lasts long enough to be cut short."""

UPLOADS = "/var/lib/docker/volumes/trusted-registry/_data/docker/registry/v2/repositories/big/_uploads"
"""Where the registry keeps what it has of a push that is not complete."""


def test_nothing_pushed_is_lost_when_the_registry_or_the_engine_is_killed_or_the_host_loses_power(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.inv("up")
    hand_over(registry, client)
    client.inv("trust.linux")
    small, big = f"{registry.address}/app:1", f"{registry.address}/big:1"
    pushed = push(registry, small)
    _make_big_image(client)

    _push_in_the_background(registry, client, big)
    registry.does("pkill", "-9", "-f", "[r]egistry serve")  # the brackets, so that pkill's own line does not match
    # Two pushes of one image side by side are another matter: one may read a link while the other writes it.
    client.does("pkill", "-f", "[d]ocker push")
    client.wait_for("the push is given up", lambda: client.silently("pgrep", "-f", "[d]ocker push").code != 0)
    _is_whole_again(registry, client, small, pushed)
    digest = push(client, big, "big:1")

    registry.does("pkill", "-9", "dockerd")
    client.fails("docker", "pull", f"{registry.address}/none:1", saying="Error")
    registry.does("service", "docker", "start")
    registry.wait()
    _is_whole_again(registry, client, small, pushed)

    registry.lose_power()
    _is_whole_again(registry, client, small, pushed)
    assert pull(client, big) == digest
    assert push(client, big, big) == digest, "a push can be repeated"
    is_refused(bystander, small)


def _make_big_image(client: Host) -> None:
    client.does("dd", "if=/dev/urandom", "of=/disk/big", "bs=1M", f"count={BIG}", "status=none")
    client.does("tar", "--create", "--file", "/disk/big.tar", "--directory", "/disk", "big")
    client.does("docker", "import", "/disk/big.tar", "big:1")


def _push_in_the_background(registry: Host, client: Host, reference: str) -> None:
    """Start a push, and return while the registry has a part of it and not all."""
    client.does("docker", "tag", "big:1", reference)
    client.begin("docker", "push", reference, log="/srv/push")
    registry.wait_for("a part of the push", lambda: _uploaded(registry) > BIG // 10)
    assert "digest:" not in client.peek("/srv/push"), "the push was through before it could be cut short"


def _uploaded(registry: Host) -> int:
    """Return how many mebibytes of a push the registry has so far."""
    said = registry.silently("du", "--summarize", "--block-size=1M", UPLOADS).out
    return int(said.split()[0]) if said else 0


def _is_whole_again(registry: Host, client: Host, reference: str, pushed: str) -> None:
    """Wait until the registry answers without anybody's help, and insist that it has what was pushed before."""
    there = ["curl", "--silent", "--fail", "--insecure", f"https://{registry.address}/v2/"]
    client.wait_for("the registry answers", lambda: client.silently(*there).code == 0)
    assert pull(client, reference) == pushed
