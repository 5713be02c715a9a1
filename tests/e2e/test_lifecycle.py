"""A registry's life: it comes up, stays the same, is renewed, moves to another address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.steps import (
    CERTS,
    UNTRUSTED,
    fingerprint,
    hand_over,
    is_refused,
    pull,
    push,
    registry_container,
    served_fingerprint,
)

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab

AT_MOST = 600
"""Pulls that the loop below makes, should nobody end it."""

PULL_LOOP = """
turn=0
while [ "$turn" -lt "$1" ] && [ ! -e /srv/enough ]; do
    if docker pull --quiet "$2"; then echo pulled; else echo failed; fi
    turn=$((turn + 1))
done
echo ended
"""
"""Asks the registry again and again: an image that is there is asked for all the same."""


def test_up_makes_everything_from_nothing_and_a_second_up_changes_nothing(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.does("docker", "rmi", "registry:2")
    del registry.settings["INVOKE_REGISTRY_IMAGE"]  # the default, which no registry here answers for
    said = registry.inv("up").out
    assert "image: package docker-registry" in said
    assert f"proof: pushed to {registry.address}" in said, "loopback would prove nothing"
    before = registry_container(registry), fingerprint(registry, f"{CERTS}/domain.crt")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)

    assert "Nothing had to be changed" in registry.inv("up").out
    assert (registry_container(registry), fingerprint(registry, f"{CERTS}/domain.crt")) == before
    hand_over(registry, client)
    client.inv("trust.linux")
    assert pull(client, reference) == pushed
    is_refused(bystander, reference)

    registry.inv("up", registry_port="8443")
    assert registry_container(registry) != before[0], "a change in what is wanted is no second up"
    registry.inv("down", registry_port="8443")
    is_refused(client, reference, "connection refused")


def test_down_with_purge_leaves_nothing_of_it_behind(registry: Host, client: Host) -> None:
    trust_before = _files(registry, "/etc/docker")
    checkout_before = _files(registry, CERTS)
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    registry.inv_fails("down", "--purge", saying="--yes")
    assert "registry" in registry.containers(), "without an answer nothing is removed"

    registry.inv("down", "--purge", "--yes")
    assert registry.containers() == {}
    assert "trusted-registry" not in registry.does("docker", "volume", "ls", "--quiet").out
    assert _files(registry, "/etc/docker") == trust_before
    assert _files(registry, CERTS) == checkout_before, "a lock is no trace: it holds nothing and is never removed"
    is_refused(client, reference, "connection refused")


def _files(host: Host, folder: str) -> str:
    return host.run("find", folder, "-type", "f", "-not", "-name", ".*lock").out


def test_a_renewal_reaches_clients_that_pull_all_the_while_and_touches_none(
    registry: Host, client: Host, run: Run
) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    trusted = client.does("sha256sum", f"/etc/docker/certs.d/{registry.address}/ca.crt").out
    old = served_fingerprint(client, registry.address)
    assert old == fingerprint(registry, f"{CERTS}/domain.crt")

    client.begin("sh", "-c", PULL_LOOP, "sh", str(AT_MOST), reference, log="/srv/pulls")
    client.wait_for("the first pulls", lambda: _pulls(client).count("pulled") > 2)
    registry.inv("cert.renew")
    through = len(_pulls(client))
    client.wait_for("pulls after the renewal", lambda: _pulls(client)[through:].count("pulled") > 2)
    client.write("/srv/enough", "")
    client.wait_for("the last pull", lambda: "ended" in client.peek("/srv/pulls"))
    pulls = _pulls(client)
    run.notes.append(f"{pulls.count('failed')} of {len(pulls)} pulls failed while the certificate was renewed")
    assert pulls[-1] == "pulled"

    new = served_fingerprint(client, registry.address)
    assert new != old
    assert new == fingerprint(registry, f"{CERTS}/domain.crt")
    assert client.does("sha256sum", f"/etc/docker/certs.d/{registry.address}/ca.crt").out == trusted
    assert pull(client, reference) == pushed
    client.does("rm", f"/etc/docker/certs.d/{registry.address}/ca.crt")
    is_refused(client, reference)


def _pulls(client: Host) -> list[str]:
    """Return how each pull of the loop ended, so far."""
    return [line for line in client.peek("/srv/pulls").split() if line in {"pulled", "failed"}]


def test_a_new_address_needs_a_new_certificate_under_the_same_authority_and_one_directory_more(
    registry: Host, client: Host, bystander: Host, lab: Lab
) -> None:
    registry.inv("up")
    old = registry.address
    pushed = push(registry, f"{old}/app:1")
    hand_over(registry, client)
    client.inv("trust.linux")
    assert pull(client, f"{old}/app:1") == pushed
    authority = fingerprint(registry, f"{CERTS}/ca.crt")

    registry.move(lab.address())
    new = registry.address
    assert new != old
    is_refused(client, f"{new}/app:1", f"not {new}")
    said = registry.inv("up").out
    assert f"does not name {new}" in said
    assert fingerprint(registry, f"{CERTS}/ca.crt") == authority
    assert pull(registry, f"{new}/app:1") == pushed, "what was pushed under the old address is there"

    is_refused(client, f"{new}/app:1", UNTRUSTED)
    said = client.inv("trust.linux", registry_address=new).out
    assert f"now in place for {new}" in said
    assert pull(client, f"{new}/app:1") == pushed
    is_refused(bystander, f"{new}/app:1")
