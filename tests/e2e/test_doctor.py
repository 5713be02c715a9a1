"""What doctor says of machines that are well, of machines that are not, and what it mends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.e2e.steps import CERTS, carry, fingerprint, hand_over, is_refused, pull, push, served_fingerprint

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

NOTHING = "nothing is wrong"
QUICK = 2.0
"""Seconds that a look at a healthy machine may take."""
LOOKS = 3

FOREIGN = "-----BEGIN CERTIFICATE-----\nsomebody else's\n-----END CERTIFICATE-----\n"


def is_well(host: Host, *where: str) -> None:
    """Insist that doctor finds nothing, and soon: the least of three looks is doctor's, more is the machine's."""
    looks: list[float] = []
    while len(looks) < LOOKS and min(looks, default=QUICK) >= QUICK:
        begun = time.monotonic()
        said = host.inv("doctor", *where).out
        looks.append(time.monotonic() - begun)
        assert NOTHING in said
    assert min(looks) < QUICK, f"doctor took {', '.join(f'{it:.1f}' for it in looks)} s"


def findings(host: Host, *where: str) -> dict[str, list[str]]:
    """Return the cures of what doctor finds, by the key of the check."""
    done = host.run("./inv", "doctor", "--json", *where, user="dev", env=host.settings)
    assert done.code == 1, f"doctor should have found something:\n{done}"
    return {finding["check"]: finding["cure"] for finding in json.loads(done.out)}


def test_nothing_is_reported_of_a_healthy_registry_and_its_client_within_two_seconds(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.inv("up")
    is_well(registry)
    client.inv_fails("doctor", saying="./inv up")
    hand_over(registry, client)
    assert [*findings(client, "--remote", registry.address)] == ["certs.d"]
    client.inv("trust.linux")
    is_well(client)
    is_well(client, "--remote", registry.address)
    is_well(client, "--remote", f"{registry.address}:443", "--client", "podman")
    bystander.inv_fails("doctor", "--remote", "nobody.lab.local", saying="nobody.lab.local")


def test_what_is_ours_is_mended_and_what_is_others_is_left_as_it_is(registry: Host, client: Host) -> None:
    registry.inv("up")
    pushed = push(registry, f"{registry.address}/app:1")
    foreign = [
        f"/etc/docker/certs.d/{registry.address}:443/ca.crt",
        f"/etc/docker/certs.d/{registry.address}/ca.pem",
        "/etc/docker/certs.d/10.1.1.1/ca.crt",
        "/etc/containers/certs.d/10.1.1.1/ca.crt",
        "/usr/local/share/ca-certificates/theirs.crt",
    ]
    registry.does("mkdir", "--parents", *(path.rpartition("/")[0] for path in foreign))
    for path in foreign:
        registry.write(path, FOREIGN)
    registry.does("docker", "run", "--detach", "--name", "theirs", "busybox:1", "sleep", "3600")
    registry.inv("cert.renew", registry_container="another")  # leaves the running one with what it has
    assert served_fingerprint(registry, registry.address) != fingerprint(registry, f"{CERTS}/domain.crt")
    registry.does("chmod", "0644", f"{CERTS}/issuer.key")
    before = registry.does("sh", "-c", 'ls -l "$@"; cat "$@"', "sh", *foreign).out

    assert {"served", "keys", "certs.d"} <= findings(registry).keys()
    registry.fails("./inv", "doctor", "--fix", "--yes", saying=foreign[0], user="dev", env=registry.settings)
    assert served_fingerprint(registry, registry.address) == fingerprint(registry, f"{CERTS}/domain.crt")
    assert registry.does("stat", "--format", "%a", f"{CERTS}/issuer.key").out == "600\n"
    assert registry.does("sh", "-c", 'ls -l "$@"; cat "$@"', "sh", *foreign).out == before
    assert "theirs" in registry.containers()

    registry.does("rm", *foreign[:2])
    registry.does("docker", "stop", "registry")
    assert {"container", "certs.d"} <= findings(registry).keys()
    registry.inv("doctor", "--fix", "--yes")
    is_well(registry)
    hand_over(registry, client)
    client.inv("trust.linux")
    assert pull(client, f"{registry.address}/app:1") == pushed


def test_a_registry_that_does_not_send_its_issuer_is_told_from_a_machine_without_trust(
    registry: Host, client: Host
) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    hand_over(registry, client)
    client.inv("trust.linux")
    whole = registry.read(f"{CERTS}/domain.crt")
    registry.does("openssl", "x509", "-in", f"{CERTS}/domain.crt", "-out", "/srv/leaf.crt")
    registry.does("sh", "-c", f"cat /srv/leaf.crt > {CERTS}/domain.crt")
    carry(registry, "domain.crt")
    is_refused(client, reference)
    for host in (registry, client):
        said = host.inv_fails("doctor", saying="issuer").said
        assert "send" in said
        assert "copy certs/ca.crt" not in said, "the root that is here is the right one"

    registry.inv("cert.renew")
    assert registry.read(f"{CERTS}/domain.crt").count("BEGIN") == whole.count("BEGIN") == 2
    assert pull(client, reference) == pushed
    is_well(client)
