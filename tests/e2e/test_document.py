"""The how-to, step by step: its first registry, its certificates, its trust."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.steps import CERTS, PLAIN, UNTRUSTED, hand_over, is_refused, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

KEY_IDS = re.compile(r"^ *(keyid:)?([0-9A-F]{2}:)+[0-9A-F]{2}$", re.MULTILINE)
"""Key identifiers in openssl's text: they differ with every key."""


def test_plain_http_works_on_loopback_and_on_the_lan_only_where_the_engine_is_told_to(
    registry: Host, client: Host, bystander: Host
) -> None:
    on_loopback, on_lan = "localhost:5000/app:1", f"{registry.address}:5000/app:1"
    registry.does("docker", "run", "--detach", "--name", "neighbour", "busybox:1", "sleep", "3600")
    registry.inv("registry.basic")
    pushed = push(registry, on_loopback)
    assert pull(registry, on_loopback) == pushed
    client.fails("curl", "--silent", "--show-error", f"http://{registry.address}:5000/v2/", saying="Failed to connect")

    registry.inv("registry.basic", "--lan")
    assert pull(registry, on_loopback) == pushed, "what was pushed before is still there"
    for host in (registry, client, bystander):
        is_refused(host, on_lan, PLAIN)

    running = registry.containers()
    registry.inv("trust.insecure")
    assert registry.containers() == running, "the engine's containers ran on"
    assert push(registry, on_lan) == pushed
    client.settings["INVOKE_REGISTRY_ADDRESS"] = registry.address
    client.inv("trust.insecure")
    assert pull(client, on_lan) == pushed
    is_refused(bystander, on_lan, PLAIN)

    for host in (registry, client):
        host.inv("trust.remove")
        is_refused(host, on_lan, PLAIN)


def test_the_certificate_for_an_address_is_trusted_by_every_spelling_and_by_nobody_unasked(
    registry: Host, client: Host, bystander: Host
) -> None:
    follow_the_document(registry, client, bystander, user="dev")


def test_the_self_signed_certificate_is_trusted_by_every_spelling_and_by_nobody_unasked(
    registry: Host, client: Host, bystander: Host
) -> None:
    follow_the_document(registry, client, bystander, "--self-signed", user="root")


def test_without_openssl_the_certificates_say_the_same_and_are_trusted_alike(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.settings["INVOKE_REGISTRY_NAMES"] = registry.domain_name
    registry.inv("cert")
    with_openssl = {name: _extensions(registry, client, name) for name in ("ca.crt", "domain.crt")}
    registry.does("rm", "/usr/bin/openssl")
    registry.inv_fails("cert", "--force", "--tool", "openssl", saying="openssl")
    registry.does("sh", "-c", 'rm -f "$1"/ca.* "$1"/issuer.* "$1"/domain.*', "sh", CERTS)

    follow_the_document(registry, client, bystander, user="dev")
    for name, extensions in with_openssl.items():
        assert _extensions(registry, client, name) == extensions


def follow_the_document(registry: Host, client: Host, bystander: Host, *how: str, user: str) -> None:
    """Make certificates, serve them, and have one host trust them, while another never does."""
    trusted = "domain.crt" if "--self-signed" in how else "ca.crt"
    for host in (registry, client):
        host.settings["INVOKE_REGISTRY_NAMES"] = registry.domain_name
    registry.inv("cert", *how, user=user)
    assert f"IP Address:{registry.address}" in registry.inv("cert.show", user=user).out or "cert" not in how
    registry.inv("cert.check", user=user)
    registry.inv("registry.tls", user=user)
    no_key_but_the_servers_is_in_the_container(registry)

    registry_hosts = [registry.address, f"{registry.address}:443", registry.domain_name, f"{registry.domain_name}:443"]
    references = [f"{registry_host}/app:1" for registry_host in registry_hosts]
    for reference in references:
        is_refused(client, reference)
    said = registry.inv_fails("registry.test", "--echo", saying=UNTRUSTED, user=user).said
    assert "$ docker push" in said
    assert "$ docker pull" not in said, "a push that failed is told as such, and nothing goes on as if it had not"
    registry.inv("trust.linux", user=user)
    assert f"pushed to {registry.address}" in registry.inv("registry.test", user=user).out
    pushed = push(registry, references[0])

    hand_over(registry, client, trusted)
    client.inv("trust.linux", user=user)
    for reference in references:
        assert pull(client, reference) == pushed
        is_refused(bystander, reference)
    client.inv("trust.remove", user=user)
    for reference in references:
        is_refused(client, reference)
    assert pull(registry, references[0]) == pushed


def no_key_but_the_servers_is_in_the_container(registry: Host) -> None:
    """Insist that what the container can read of certs/ is the server's pair: no authority's key, no whole folder."""
    said = registry.does("docker", "inspect", "--format", "{{range .Mounts}}{{println .Source}}{{end}}", "registry").out
    assert CERTS not in said
    read = registry.does("docker", "exec", "registry", "ls", "/config").out.split()
    assert {"domain.crt", "domain.key"} <= {*read}
    assert "issuer.key" not in read


def _extensions(registry: Host, reader: Host, name: str) -> str:
    """Return a certificate's extensions in openssl's words, read on a host that has the program."""
    reader.write(f"/srv/{name}", registry.read(f"{CERTS}/{name}"))
    text = reader.does("openssl", "x509", "-in", f"/srv/{name}", "-noout", "-text").out
    return KEY_IDS.sub("", text.partition("X509v3 extensions:")[2].partition("Signature Algorithm:")[0])
