"""A changeover to another authority, on the registry's host and on one that was told by the kit: no pull fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.steps import CERTS, fingerprint, is_refused, pull, push, served_fingerprint

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

KIT = "/srv/kit.sh"
STEPS = ((), ("--switch",), ("--finish",))
STORES = ("/etc/docker", "/etc/containers", "/etc/containerd")


def _hand_out(registry: Host, client: Host) -> None:
    """Run what the registry's checkout hands out now on another host, as root."""
    registry.inv("trust.kit")
    name = registry.does("sh", "-c", f"ls -t {CERTS}/trust-*.sh | head -n 1").out.strip()
    client.write(KIT, registry.read(name))
    client.does("sh", KIT)


def _all_pull(registry: Host, client: Host, reference: str, pushed: str) -> None:
    """Insist that Docker and podman pull, on both hosts."""
    for host in (registry, client):
        assert pull(host, reference) == pushed
        host.run("podman", "rmi", "--force", reference)
        host.does("podman", "pull", reference)


@pytest.mark.long
def test_a_changeover_fails_no_pull_at_any_step_and_leaves_nothing_of_the_old_root(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    _hand_out(registry, client)
    _all_pull(registry, client, reference, pushed)
    old = registry.read(f"{CERTS}/ca.crt").splitlines()[1]
    shown = served_fingerprint(client, registry.address)

    for step in STEPS:
        registry.inv("cert.renew-authority", *step)
        _all_pull(registry, client, reference, pushed)
        if step != ("--finish",):
            _hand_out(registry, client)
            _all_pull(registry, client, reference, pushed)
            registry.inv_fails("doctor", saying="the authority is changed")
        is_refused(bystander, reference)

    assert served_fingerprint(client, registry.address) != shown
    assert served_fingerprint(client, registry.address) == fingerprint(registry, f"{CERTS}/domain.crt")
    for host in (registry, client):
        assert not host.run("grep", "--recursive", "--files-with-matches", "--fixed-strings", old, *STORES).out
    registry.inv("doctor")
