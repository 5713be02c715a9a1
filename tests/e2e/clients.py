"""Clients of the lab's hosts, each asked with what it is told to trust by a file, a store or a database of its own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

OURS, THEIRS = "/srv/ours", "/srv/theirs"
"""What clients are told, in every form that they take: the root; and the authority of an earlier version."""

CTR = ("ctr", "--address", "/run/docker/containerd/containerd.sock", "--namespace", "lab", "images")
PYTHON = (
    "import ssl, sys, urllib.request; tls = ssl.create_default_context(cafile=sys.argv[1]); "
    "tls.verify_flags |= ssl.VERIFY_X509_STRICT; urllib.request.urlopen(sys.argv[2], context=tls)"
)
CA, NSS, FILE = f"{OURS}/ca.crt", f"sql:{OURS}/nss", "/srv/Trusts.java"
JAVA = f"java -Djavax.net.ssl.trustStore={OURS}/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit {FILE}"


@dataclass(frozen=True)
class Asks:
    """What a client is asked with, and words of its refusal."""

    command: str
    refusal: str = "x509: "


ASKED = {
    "docker": Asks("docker pull {reference}"),
    "podman": Asks("podman pull {reference}"),
    "skopeo": Asks("skopeo inspect docker://{reference}"),
    "ctr": Asks(f"{shlex.join(CTR)} pull --hosts-dir /srv/hosts {{reference}}"),
    "OpenSSL": Asks(
        f"openssl s_client -verify_return_error {{verify}} {{host}} -CAfile {CA} -connect {{bracketed}}:443",
        "verify error",
    ),
    "curl": Asks(f"curl --silent --show-error --fail --cacert {CA} {{url}}", "curl: (60) SSL certificate"),
    "Python": Asks(f"python3 -c {shlex.quote(PYTHON)} {CA} {{url}}", "CERTIFICATE_VERIFY_FAILED"),
    "GnuTLS": Asks(f"gnutls-cli --x509cafile {CA} --port 443 {{host}}", "NOT trusted"),
    "wget": Asks(
        f"wget --no-verbose --no-hsts --tries 1 --ca-certificate {CA} --output-document /dev/null {{url}}",
        "The certificate of",
    ),
    "NSS": Asks(f"tstclnt -Q -d {NSS} -h {{host}} -p 443", "authentication of server cert failed"),
    "Java": Asks(f"{JAVA} server {{url}}", "SSLHandshakeException"),
}
FORGET = (("docker", "rmi", "--force"), ("podman", "rmi", "--force"), (*CTR, "rm"))

TELL = """
rm -rf nss trust.p12 && mkdir nss && certutil -N -d sql:nss --empty-password
certutil -A -d sql:nss -n root -t CT,C,C -i ca.crt
keytool -importcert -noprompt -alias root -file ca.crt -keystore trust.p12 -storetype PKCS12 -storepass changeit
"""


def words_for(host: str) -> dict[str, str]:
    """Return the words of the commands for a name or an address."""
    bracketed = f"[{host}]" if ":" in host else host
    return {
        "host": host,
        "bracketed": bracketed,
        "reference": f"{bracketed}:443/app:1" if ":" in host else f"{host}/app:1",
        "url": f"https://{bracketed}/v2/",
        "verify": "-verify_ip" if host[-1].isdigit() else "-verify_hostname",
    }


def tell(host: Host, folder: str, authority: str) -> None:
    """Give programs that take a file, a database or a store of their own an authority."""
    host.does("mkdir", "--parents", folder)
    host.write(f"{folder}/ca.crt", authority)
    assert host.run("sh", "-c", TELL, folder=folder).code == 0


def tell_engines(host: Host, registry_host: str, authority: str) -> None:
    """Give engines, podman, skopeo and ctr an authority for a registry host."""
    for folder in (f"/etc/docker/certs.d/{registry_host}", f"/srv/hosts/{registry_host}"):
        host.does("mkdir", "--parents", folder)
        host.write(f"{folder}/ca.crt", authority)
    server, ca = f'"https://{registry_host}"', f'"/srv/hosts/{registry_host}/ca.crt"'
    toml = f'server = {server}\nca = {ca}\n[host.{server}]\n  capabilities = ["pull", "resolve"]\n  ca = {ca}\n'
    host.write(f"/srv/hosts/{registry_host}/hosts.toml", toml)
