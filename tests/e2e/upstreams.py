"""Stand-ins for docker.io and ghcr.io: registries with these names and the certificates of a company's authority.

A host of the lab runs them, each at an address of its own, with a name server that leads there. They can be cut off in
each way in which a network fails, and replaced by a server that answers wrongly.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.e2e.standins import AUTH, ELSEWHERE, ISSUER
from tests.e2e.steps import push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hosts import Host

HUB, GITHUB = "docker.io", "ghcr.io"
NAMES = {HUB: ("registry-1.docker.io", "docker.io", "index.docker.io"), GITHUB: ("ghcr.io",)}
"""Names under which each is asked."""

REFUSED, SILENT, UNKNOWN, MUTE = "refused", "silent", "unknown", "mute"
CUTS = {
    REFUSED: ("--protocol tcp --dport 443 --jump REJECT --reject-with tcp-reset",),
    SILENT: ("--protocol tcp --dport 443 --jump DROP",),
    # Whom the name server does not know any more; and who kept a connection must ask again.
    UNKNOWN: (
        "--protocol udp --dport 53 --jump REJECT",
        "--protocol tcp --dport 443 --jump REJECT --reject-with tcp-reset",
    ),
    MUTE: ("--protocol udp --dport 53 --jump DROP", "--protocol tcp --dport 443 --jump DROP"),
}
"""Ways to be away, with what the packet filter does: a closed port, a black hole, no name server, a silent one."""

FOLDER, PROGRAM = "/srv/upstreams", "/srv/standins.py"
CONFIG = """version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}
http:
  addr: "{address}:443"
  tls: {{certificate: {folder}/upstream.crt, key: {folder}/upstream.key}}
"""
TOKENS = f"""auth:
  token:
    realm: "https://{AUTH}/token"
    service: upstream
    issuer: {ISSUER}
    rootcertbundle: {{folder}}/upstream.crt
"""
"""What docker.io has besides; the other one asks for no token."""

MAKE = """
set -eu
tree=$(mktemp -d)
mkdir "$tree/bin"
cp /bin/busybox "$tree/bin/"
head -c 100000 /dev/urandom > "$tree/seed"
tar --create --directory "$tree" . | docker import --change 'ENTRYPOINT ["/bin/busybox"]' - made:1
rm -rf "$tree"
"""
"""An image with a layer that no other has."""

REQUEST = re.compile(r'"([A-Z]+) (/[^ ?]*)\S* HTTP/[\d.]+" (\d{3}) \d+ "[^"]*" "((?:[^"\\]|\\.)*)"')
"""A line of the combined log format (httpd.apache.org/docs/2.4/logs.html), in which registries tell of requests."""


@dataclass(frozen=True)
class Request:
    """A request as a registry's log has it, without its query."""

    method: str
    path: str
    status: int
    agent: str


@dataclass(frozen=True)
class Image:
    """An image of an upstream.

    Args:
        upstream: Its registry's name in references.
        repository: Its repository.
        tag: Its tag.
        paths: Paths of its tag and of each of its blobs, which a pull asks for.
    """

    upstream: str
    repository: str
    tag: str
    paths: frozenset[str]

    @property
    def path(self) -> str:
        """Repository and tag, as they follow the name of a registry."""
        return f"{self.repository}:{self.tag}"

    @property
    def reference(self) -> str:
        """The name under which everybody knows it."""
        return f"{self.upstream}/{self.path}"


def requests(host: Host, container: str) -> list[Request]:
    """Return the requests in the log of a container with a registry, in their order."""
    return parsed(host.silently("docker", "logs", container).said)


def parsed(log: str) -> list[Request]:
    """Return the requests of a registry's log."""
    return [Request(it[1], it[2], int(it[3]), it[4]) for it in REQUEST.finditer(log)]


@dataclass
class Upstreams:
    """A host with the stand-ins: the address of each, and the authority's certificate."""

    host: Host
    addresses: dict[str, str]
    authority: str

    def lead(self, host: Host) -> None:
        """Have a machine ask the stand-ins' name server, and trust the company as all its machines do."""
        resolver = f"nameserver {self.host.address}\noptions timeout:1 attempts:1\n"
        host.does("sh", "-c", 'printf %s "$1" > /etc/resolv.conf', "sh", resolver)  # mounted: never replaced
        host.write("/usr/local/share/ca-certificates/company.crt", self.authority)
        host.does("update-ca-certificates")

    def publish(self, upstream: str, repository: str, tag: str = "1") -> Image:
        """Push a new image to a stand-in."""
        self.host.does("sh", "-c", MAKE)
        at = self.addresses[upstream]
        push(self.host, f"{at}/{repository}:{tag}", "made:1")
        path = f"/v2/{repository}/manifests/{tag}"
        said = self.host.does("skopeo", "inspect", "--raw", f"docker://{at}/{repository}:{tag}").out
        manifest = json.loads(said)
        digests = [it["digest"] for it in (manifest["config"], *manifest["layers"])]
        blobs = [f"/v2/{repository}/blobs/{it}" for it in digests]
        return Image(upstream, repository, tag, frozenset([path, *blobs]))

    def requests(self, upstream: str) -> list[Request]:
        """Return the requests that a stand-in had."""
        return requests(self.host, upstream)

    @contextlib.contextmanager
    def away(self, cut: str) -> Iterator[None]:
        """Cut all stand-ins off for a while, connections that are open too."""
        self._filter("--insert", cut)
        try:
            yield
        finally:
            self._filter("--delete", cut)

    def _filter(self, deed: str, cut: str) -> None:
        for rule in CUTS[cut]:
            self.host.does("iptables", "--wait", deed, "INPUT", *rule.split())

    @contextlib.contextmanager
    def answering(self, upstream: str, kind: str, *, stem: str = "upstream") -> Iterator[None]:
        """Have a server that answers wrongly in a stand-in's place for a while, or one that shows another certificate.

        Args:
            upstream: Whose place it takes.
            kind: A key of `standins.WRONG`.
            stem: Name of the files of its certificate and key.
        """
        self.host.does("docker", "stop", "--time", "1", upstream)
        at, pid = self.addresses[upstream], f"/srv/{upstream}.pid"
        argv = ["python3", PROGRAM, "answers", at, f"{FOLDER}/{stem}.crt", f"{FOLDER}/{stem}.key", kind]
        self.host.begin("sh", "-c", f"echo $$ > {pid}; exec {shlex.join(argv)}", log=f"/srv/{upstream}.log")
        try:
            self.answers(upstream)
            yield
        finally:
            self.host.run("sh", "-c", f"kill $(cat {pid})")
            self.host.does("docker", "start", upstream)
            self.answers(upstream)

    def answers(self, upstream: str) -> None:
        """Wait until a stand-in answers."""
        url = f"https://{self.addresses[upstream]}/v2/"
        asks = ("curl", "--silent", "--insecure", "--output", "/dev/null", "--max-time", "5", url)
        self.host.wait_for(f"{upstream} answers", lambda: self.host.silently(*asks).code == 0)


def start(host: Host, others: tuple[str, str], folder: Path) -> Upstreams:
    """Start the stand-ins on a host of the lab.

    Args:
        host: The host.
        others: Other addresses of the network, for the second of them and for the server of tokens.
        folder: A folder here, for keys.
    """
    for other in others:
        host.does("ip", "address", "add", f"{other}/24", "dev", "eth0")
    company = forge.authority(permitted=None, subject="the company's authority")
    pem = company.certificate.public_bytes(serialization.Encoding.PEM).decode()
    made = Upstreams(host, {HUB: host.address, GITHUB: others[0]}, pem)
    host.does("mkdir", "--parents", FOLDER)
    names = [*(name for several in NAMES.values() for name in several), AUTH, ELSEWHERE, host.address, *others]
    for stem, signer in (("upstream", company), ("untrusted", forge.authority(permitted=None, subject="nobody's"))):
        forge.save(forge.server(signer, names=tuple(names)), folder, stem)
        for suffix in ("crt", "key"):
            host.write(f"{FOLDER}/{stem}.{suffix}", (folder / f"{stem}.{suffix}").read_bytes())
    _serve_names(made, others[1])
    made.lead(host)
    for upstream, address in made.addresses.items():
        config = CONFIG.format(address=address, folder=FOLDER)
        config += TOKENS.format(folder=FOLDER) if upstream == HUB else ""
        host.write(f"{FOLDER}/{upstream}.yml", config)
        run = ["docker", "run", "--detach", "--name", upstream, "--network", "host", "--volume", f"{FOLDER}:{FOLDER}"]
        host.does(*run, "--volume", f"{upstream}:/var/lib/registry", "registry:2", "serve", f"{FOLDER}/{upstream}.yml")
        made.answers(upstream)
    return made


def _serve_names(made: Upstreams, tokens: str) -> None:
    """Start the servers of names and of tokens."""
    made.host.write(PROGRAM, Path(__file__).with_name("standins.py").read_bytes())
    known = [f"{name}={made.addresses[upstream]}" for upstream, names in NAMES.items() for name in names]
    words = (*known, f"{ELSEWHERE}={made.addresses[GITHUB]}", f"{AUTH}={tokens}")
    made.host.begin("python3", PROGRAM, "names", made.host.address, *words, log="/srv/names.log")
    pair = (f"{FOLDER}/upstream.crt", f"{FOLDER}/upstream.key")
    made.host.begin("python3", PROGRAM, "tokens", tokens, *pair, log="/srv/tokens.log")
