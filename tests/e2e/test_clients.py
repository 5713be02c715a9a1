"""Other programs than Docker: each refuses the registry before it is told of the authority, and takes it after."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, hand_over, is_refused, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

STRICT = """
import ssl, socket, sys
context = ssl.create_default_context(cafile=sys.argv[2] if len(sys.argv) > 2 else None)
context.verify_flags |= ssl.VERIFY_X509_STRICT
with socket.create_connection((sys.argv[1], 443)) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[1]) as wrapped:
        print(wrapped.version())
"""
"""Python 3.13 and later verify so by default; RFC 5280 to the letter."""

IMAGES = {
    "skopeo": ["skopeo", "inspect", "docker://{reference}"],
    "podman": ["podman", "pull", "{reference}"],
    "buildah": ["buildah", "pull", "{reference}"],
}
"""Programs that look into the engine's certs.d too; none of them needs the engine."""

SYSTEM_STORE = {
    "crane": ["crane", "digest", "{reference}"],
    "oras": ["oras", "manifest", "fetch", "{reference}"],
}
"""Programs of Go that ask the system's store, or the file that SSL_CERT_FILE names."""


@pytest.fixture
def reference(registry: Host, client: Host) -> str:
    """An image in a registry whose authority the client has been given as a file, and does not trust yet."""
    registry.inv("up")
    push(registry, f"{registry.address}/app:1")
    hand_over(registry, client)
    return f"{registry.address}/app:1"


def test_of_an_engine_that_read_the_systems_store_trust_remove_says_that_it_must_be_restarted(
    client: Host, reference: str
) -> None:
    client.inv("trust.linux", "--system")  # and asks the engine, which has read nothing before
    said = client.inv("trust.remove").said
    pull(client, reference)
    cures = set(re.findall(r"when restarted: (.+)$", said, re.MULTILINE))
    assert len(cures) == 1, said
    client.does("sh", "-c", *cures, user="dev")
    client.wait()
    is_refused(client, reference)


def test_podman_skopeo_and_buildah_trust_by_the_engines_directory(
    client: Host, bystander: Host, reference: str
) -> None:
    for program in IMAGES:
        client.fails(*_command(IMAGES, program, reference), saying="x509")
    client.inv("trust.linux")
    for program in IMAGES:
        client.does(*_command(IMAGES, program, reference))
        bystander.fails(*_command(IMAGES, program, reference), saying="x509")
    client.inv("trust.remove")
    for program in IMAGES:
        client.does(program, "rmi", "--all", "--force") if program == "podman" else None
        client.fails(*_command(IMAGES, program, reference), saying="x509")


def test_crane_and_oras_trust_the_authoritys_file_where_the_suite_has_them(client: Host, reference: str) -> None:
    authority = {"SSL_CERT_FILE": f"{CERTS}/ca.crt"}
    for program in SYSTEM_STORE:
        command = _command(SYSTEM_STORE, program, reference)
        if not client.suite.has(program):
            client.fails("which", program, saying="")
            continue
        client.fails(*command, saying="x509")
        client.does(*command, env=authority)


def test_curl_and_a_strict_python_accept_the_authority_and_nothing_else(
    registry: Host, client: Host, reference: str
) -> None:
    address, authority = reference.partition("/")[0], f"{CERTS}/ca.crt"
    curl = ["curl", "--silent", "--show-error", "--fail", f"https://{address}/v2/"]
    client.fails(*curl, saying="SSL certificate")
    client.does(*curl, "--cacert", authority)
    strict = ["python3", "-c", STRICT, address]
    client.fails(*strict, saying="CERTIFICATE_VERIFY_FAILED")
    assert "TLSv1.3" in client.does(*strict, authority).out

    registry.does("sh", "-c", 'rm -f "$1"/certs/ca.* "$1"/certs/issuer.* "$1"/certs/domain.*', "sh", HOME)
    registry.inv("cert")
    registry.inv("registry.tls")
    client.fails(*curl, "--cacert", authority, saying="SSL certificate")
    client.fails(*strict, authority, saying="CERTIFICATE_VERIFY_FAILED")


def _command(programs: dict[str, list[str]], program: str, reference: str) -> list[str]:
    return [word.format(reference=reference) for word in programs[program]]
