"""What a registry is called: the certificate must say it, and the client's directory too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.steps import CERTS, UNTRUSTED, carry, fingerprint, hand_over, is_refused, pull, push, served_fingerprint

if TYPE_CHECKING:
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab

OTHER_NAMES = ("images.lab.local", "registry-two.lab.local")
"""Names that only the hosts' own files know, as on a network without a name server."""


def test_a_certificate_for_another_address_is_refused_by_name_until_it_is_made_anew(
    registry: Host, client: Host, lab: Lab
) -> None:
    registry.inv("up")
    first, second = registry.address, lab.address()
    pushed = push(registry, f"{first}/app:1")
    registry.does("ip", "address", "add", f"{second}/24", "dev", "eth0")
    hand_over(registry, client)
    client.inv_fails("trust.linux", saying=f"not {second}", registry_address=second)
    assert "valid for" in is_refused(client, f"{second}/app:1", f"not {second}").said
    assert "x509: certificate is valid for" in is_refused(client, f"{second}/app:1", f"not {second}").said
    registry.inv_fails("cert.check", saying=second, registry_address=second)
    registry.inv_fails("registry.tls", saying=second, registry_address=second)

    registry.inv("up", registry_address=second, registry_names=first)
    client.inv("trust.linux", registry_address=second)
    assert pull(client, f"{second}/app:1") == pushed
    client.inv("trust.linux")
    assert pull(client, f"{first}/app:1") == pushed


def test_a_certificate_without_an_address_in_it_is_refused_by_every_host_that_trusts_it(
    registry: Host, client: Host
) -> None:
    registry.inv("up")
    _serve_without_addresses(registry)
    hand_over(registry, client)
    client.inv_fails("trust.linux", saying="any IP SANs")
    is_refused(client, f"{registry.address}/app:1", "it doesn't contain any IP SANs")

    registry.inv_fails("cert.check", saying=registry.address)
    registry.inv("cert.renew")
    pushed = push(registry, f"{registry.address}/app:1")
    assert pull(client, f"{registry.address}/app:1") == pushed


def _serve_without_addresses(registry: Host) -> None:
    """Have the registry serve a certificate of its own authority that has the address for a common name alone."""
    registry.write("/srv/extensions", f"subjectAltName=DNS:{registry.domain_name}\n")
    request = ["openssl", "req", "-new", "-key", f"{CERTS}/domain.key", "-subj", f"/CN={registry.address}"]
    sign = [
        "openssl",
        "x509",
        "-req",
        "-CA",
        f"{CERTS}/issuer.crt",
        "-CAkey",
        f"{CERTS}/issuer.key",
        "-set_serial",
        "7",
    ]
    registry.does(*request, "-out", "/srv/request")
    registry.does(*sign, "-in", "/srv/request", "-extfile", "/srv/extensions", "-out", f"{CERTS}/domain.crt")
    registry.does("sh", "-c", f"cat {CERTS}/issuer.crt >> {CERTS}/domain.crt")
    carry(registry, "domain.crt")


def test_another_port_and_several_names_are_trusted_each_by_its_own_directory(
    registry: Host, client: Host, bystander: Host
) -> None:
    for host in (registry, client, bystander):
        host.does("sh", "-c", 'echo "$1" >> /etc/hosts', "sh", " ".join([registry.address, *OTHER_NAMES]))
    for host in (registry, client):
        host.settings |= {"INVOKE_REGISTRY_PORT": "8443", "INVOKE_REGISTRY_NAMES": ", ".join(OTHER_NAMES)}
    registry.inv("up")
    hand_over(registry, client)
    references = [f"{name}:8443/app:1" for name in (registry.address, *OTHER_NAMES)]
    pushed = push(registry, references[0])
    for reference in references:
        is_refused(client, reference)

    client.inv("trust.linux", registry_names=OTHER_NAMES[0])
    for reference in references[:2]:
        assert pull(client, reference) == pushed
    is_refused(client, references[2], UNTRUSTED)
    client.inv("trust.linux")
    assert pull(client, references[2]) == pushed
    for reference in references:
        is_refused(bystander, reference)
    assert served_fingerprint(client, OTHER_NAMES[1], 8443) == fingerprint(registry, f"{CERTS}/domain.crt")


def test_an_ipv6_address_is_trusted_where_the_engine_can_read_one_in_a_reference(
    registry: Host, client: Host, bystander: Host
) -> None:
    address = registry.address6
    if not address:
        assert not registry.network.attrs["EnableIPv6"], "without IPv6 on the network there is no address to trust"
        return
    registry.settings["INVOKE_REGISTRY_ADDRESS"] = address
    reference = f"[{address}]:443/app:1"
    if client.suite.name == "bookworm":  # Docker 20.10 takes no reference with brackets (distribution/reference #27)
        registry.fails("docker", "pull", reference, saying="invalid reference format")
        registry.inv("cert")
        registry.inv("registry.tls")
        _curl_insists_on_the_authority(registry, client, address)
        return
    registry.inv("up")
    pushed = push(registry, reference)
    is_refused(client, reference)
    hand_over(registry, client)
    client.inv("trust.linux", registry_address=address)
    assert pull(client, reference) == pushed
    is_refused(bystander, reference)
    _curl_insists_on_the_authority(registry, client, address)


def _curl_insists_on_the_authority(registry: Host, client: Host, address: str) -> None:
    hand_over(registry, client)
    there = ["curl", "--silent", "--show-error", "--fail", f"https://[{address}]/v2/"]
    client.does(*there, "--cacert", f"{CERTS}/ca.crt")
    client.fails(*there, saying="SSL certificate")
