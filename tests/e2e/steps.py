"""What people do in more than one scenario: push, pull, be refused, hand the authority's certificate over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.checkout import DEV, HOME

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host

UNTRUSTED = "x509: certificate signed by unknown authority"
"""What every engine says of a registry that it has no trust for; newer ones put "tls: failed to verify" before it."""

PLAIN = "server gave HTTP response to HTTPS client"
"""What an engine says of a registry without TLS anywhere but on loopback."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CERTS = f"{HOME}/certs"


def push(host: Host, reference: str, image: str = "busybox:1") -> str:
    """Push an image of a host under a name, and return the digest that it got."""
    host.does("docker", "tag", image, reference)
    return _digest(host.does("docker", "push", reference))


def pull(host: Host, reference: str) -> str:
    """Pull a name anew, after forgetting what the host had of it, and return the digest."""
    host.run("docker", "rmi", "--force", reference)
    return _digest(host.does("docker", "pull", reference))


def _digest(done: Done) -> str:
    found = DIGEST.findall(done.out)
    assert found, f"The engine named no digest:\n{done}"
    return str(found[-1])


def is_refused(host: Host, reference: str, saying: str = UNTRUSTED) -> Done:
    """Insist that a pull and a push of a name both fail, with these words; what the host had of it is forgotten."""
    host.run("docker", "rmi", "--force", reference)
    done = host.fails("docker", "pull", reference, saying=saying)
    host.does("docker", "tag", "busybox:1", reference)
    host.fails("docker", "push", reference, saying=saying)
    return done


_FILES = '{{range .Mounts}}{{if eq .Destination "/config"}}{{.Source}}{{end}}{{end}}'


def carry(registry: Host, *names: str, answers: bool = True) -> None:
    """Put files of the certificates' folder into the registry's volume by hand, and restart it, as nobody should.

    Args:
        registry: The registry's host.
        names: Names of the files.
        answers: Whether the registry answers with these files; that is waited for.
    """
    volume = registry.does("docker", "inspect", "--format", _FILES, "registry").out.strip()
    registry.does("cp", *(f"{CERTS}/{name}" for name in names), volume)
    registry.does("docker", "restart", "--time", "1", "registry")
    if answers:
        url = f"https://{registry.address}:{registry.settings.get('INVOKE_REGISTRY_PORT', '443')}/v2/"
        asks = ("curl", "--silent", "--insecure", url)
        registry.wait_for("the registry answers", lambda: registry.silently(*asks).code == 0)


def hand_over(registry: Host, client: Host, certificate: str = "ca.crt") -> None:
    """Copy what clients must trust from the registry's checkout to another's, as the document copies it."""
    client.write(f"{CERTS}/{certificate}", registry.read(f"{CERTS}/{certificate}"), owner=DEV)
    client.settings["INVOKE_REGISTRY_ADDRESS"] = registry.address


def offer(registry: Host, *, log: str = "/srv/serve.log", at: int = 8000, words: tuple[str, ...] = ()) -> list[str]:
    """Have the registry's host offer kit, page and certificate for five minutes, and return the lines that it shows."""
    argv = ["su", "dev", "-c", f"{HOME}/inv trust.serve --minutes 5 --at {at} {' '.join(words)}"]
    registry.begin(*argv, log=log, env={**registry.settings, "HOME": "/home/dev"})
    registry.wait_for("it offers the kit", lambda: "Ctrl-C ends it" in registry.peek(log))
    return [line.strip() for line in registry.read(log).splitlines()]


def serve(registry: Host, *, user: str = "dev") -> None:
    """Have the TLS registry run on a host, with trust on that host itself."""
    registry.inv("up", user=user)


def served_fingerprint(client: Host, at: str, port: int = 443) -> str:
    """Return the SHA-256 fingerprint of the certificate that a client is shown at an address."""
    handshake = client.does("openssl", "s_client", "-connect", f"{at}:{port}", "-showcerts")
    client.write("/srv/served.crt", handshake.out)
    return fingerprint(client, "/srv/served.crt")


def fingerprint(host: Host, path: str) -> str:
    """Return the SHA-256 fingerprint of a certificate on a host."""
    said = host.does("openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256").out
    return said.partition("=")[2].strip()


def registry_container(host: Host) -> tuple[str, str]:
    """Return the number of the registry's container and when it was started: equal pairs mean that nothing was done."""
    said = host.does("docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "registry").out
    number, started = said.split()
    return number, started
