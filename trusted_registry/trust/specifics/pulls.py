"""Table of the clients that can prove trust by a pull of their own: commands to run, and patterns of their output."""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import address
from trusted_registry.client_messages.message import REFUSING, Kind
from trusted_registry.registry import prove
from trusted_registry.registry.api import MANIFEST
from trusted_registry.settings import Settings
from trusted_registry.trust.machine import Machine


class Verdict(enum.Enum):
    """Result of a client's pull."""

    ACCEPTED = "accepted"
    UNVERIFIED = "not verified"
    REFUSED = "refused"
    FAILED = "failed"
    ABSENT = "not here"


@dataclass(frozen=True)
class Client:
    """Client that pulls, an entry of the table; `plan` fills in the braces in its commands.

    Args:
        name: Unique name, which --only takes.
        store: Name of the store that the client reads, in the table of stores.
        pull: Command that pulls; the first word is the program that must be installed.
        clean: Commands that remove the image, each run whatever the result of the others.
        version: Arguments that print the program's version; empty if there are none.
        socket: Socket of the service that pulls for the client; without that socket the client counts as absent.
        as_root: Whether that service admits root alone.
        by_host: Whether the client ignores how the port is written, so that one pull for each host is enough.
        text: Text for the command's standard input.
        reached: Pattern of the output if the registry was accepted, and the content is of no use to the client.
        engine: Whether the Docker SDK pulls in place of the command.
    """

    name: str
    store: str
    pull: tuple[str, ...]
    clean: tuple[tuple[str, ...], ...] = ()
    version: tuple[str, ...] = ("--version",)
    socket: str = ""
    as_root: bool = False
    by_host: bool = False
    text: str = ""
    reached: re.Pattern[str] | None = None
    engine: bool = False

    @property
    def program(self) -> str:
        """Program that must be on PATH."""
        return self.pull[0]


_URL = "https://{registry}{path}"
_ACCEPT = f"Accept: {MANIFEST}"
_STRICT = (
    "import ssl, sys, urllib.request as ask; tls = ssl.create_default_context(); "
    "tls.verify_flags |= ssl.VERIFY_X509_STRICT; "
    "ask.urlopen(ask.Request(sys.argv[1], headers={{'Accept': sys.argv[2]}}), context=tls, timeout=20).read()"
)
"""Python program that verifies as Python 3.13 and later do by default; braces are doubled for `plan`."""
_CONTAINERD, _ROOTLESS = "/run/containerd/containerd.sock", "{run}/docker.sock"
_CTR, _NERDCTL = ("ctr", "--namespace", "{space}"), ("nerdctl", "--namespace", "{space}")

_RANCHER, _RKE2 = "/run/k3s/containerd/containerd.sock", "/var/lib/rancher/rke2"
"""Socket of the containerd of k3s and RKE2, and the folder of the latter's programs, which no PATH has."""


def _images(*argv: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the commands that pull an image and remove it, for clients that have Docker's."""
    return (*argv, "pull", "{reference}"), ((*argv, "rmi", "{reference}"),)


CLIENTS: tuple[Client, ...] = (
    Client("docker", "docker", *_images("docker"), engine=True),
    Client("docker-rootless", "docker-rootless", *_images("docker", "--host", f"unix://{_ROOTLESS}"), socket=_ROOTLESS),
    Client("podman", "podman", *_images("podman")),
    Client("buildah", "podman", *_images("buildah")),
    Client("skopeo", "podman", ("skopeo", "copy", "docker://{reference}", "dir:{folder}")),
    Client(
        "ctr",
        "containerd",
        (*_CTR, "images", "pull", "--hosts-dir", "/etc/containerd/certs.d", "{reference}"),
        ((*_CTR, "images", "remove", "--sync", "{reference}"), ("ctr", "namespaces", "remove", "{space}")),
        socket=_CONTAINERD,
        as_root=True,
    ),
    Client(
        "nerdctl",
        "containerd",
        (*_NERDCTL, "pull", "{reference}"),
        ((*_NERDCTL, "rmi", "{reference}"), ("nerdctl", "namespace", "remove", "{space}")),
        socket=_CONTAINERD,
        as_root=True,
    ),
    Client("crictl", "containerd", *_images("crictl"), as_root=True),
    Client("k3s", "k3s", *_images("k3s", "crictl"), socket=_RANCHER, as_root=True),
    Client(
        "rke2",
        "rke2",
        *_images(f"{_RKE2}/bin/crictl", "--config", f"{_RKE2}/agent/etc/crictl.yaml"),
        socket=_RANCHER,
        as_root=True,
    ),
    Client(
        "microk8s",
        "microk8s",
        ("microk8s", "ctr", "images", "pull", "--hosts-dir", "/var/snap/microk8s/current/args/certs.d", "{reference}"),
        (("microk8s", "ctr", "images", "remove", "--sync", "{reference}"),),
        version=("version",),
        socket="/var/snap/microk8s/common/run/containerd.sock",
        as_root=True,
    ),
    Client("crane", "system", ("crane", "pull", "{reference}", "{folder}.tar"), version=("version",)),
    Client("oras", "system", ("oras", "copy", "{reference}", "--to-oci-layout", "{folder}:1"), version=("version",)),
    Client(
        "curl",
        "system",
        ("curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "--header", _ACCEPT, _URL),
        by_host=True,
    ),
    Client("python3", "system", ("python3", "-I", "-c", _STRICT, _URL, MANIFEST), by_host=True),
    Client(
        "openssl",
        "system",
        ("openssl", "s_client", "-quiet", "-verify_return_error", "-verify_{kind}", "{host}", "-connect", "{at}"),
        version=("version",),
        by_host=True,
        text=f"GET {{path}} HTTP/1.0\r\nHost: {{registry}}\r\n{_ACCEPT}\r\n\r\n",
    ),
    # keytool is the one program of a Java runtime that fetches a file: asked for a revocation list, it gets an image
    Client(
        "java",
        "java",
        ("keytool", "-printcrl", "-file", _URL),
        version=(),
        by_host=True,
        reached=re.compile(r"CRLException|Empty input|FileNotFoundException: https:|HTTP response code: 4"),
    ),
)
"""Clients in the order of display."""

NAMES = tuple(client.name for client in CLIENTS)
"""Names that --only takes."""


@dataclass(frozen=True)
class Pull:
    """One pull: the client, the registry host, the commands, and the text for standard input."""

    client: Client
    registry_host: str
    argv: tuple[str, ...]
    clean: tuple[tuple[str, ...], ...]
    text: str


def plan(client: Client, settings: Settings, token: str, folder: Path, machine: Machine) -> list[Pull]:
    """Return a client's pulls, one for each distinct registry host.

    Args:
        client: Client that pulls.
        settings: Settings with the registry's names.
        token: Unique part of this run's image tags.
        folder: Folder for images that a client saves as files.
        machine: Folders of this user.
    """
    spelled = slice(1 if client.by_host else None)
    named = [(host, it) for host in settings.hosts for it in address.registry_hosts((host,), settings.port)[spelled]]
    root = _sudo(client, machine)
    pulls: list[Pull] = []
    for number, (host, registry_host) in enumerate(named):
        words = {
            "reference": f"{registry_host}/{prove.REPOSITORY}:{token}-{client.name}",
            "registry": registry_host,
            "host": host,
            "at": f"{address.bracketed(host)}:{settings.port}",
            "kind": "ip" if address.is_ip(host) else "hostname",
            "path": f"/v2/{prove.REPOSITORY}/manifests/{token}-{client.name}",
            "folder": str(folder / f"{client.name}-{number}"),
            "space": f"trusted-registry-{token}-{client.name}-{number}",
            "run": str(machine.run),
        }
        argv, *clean = ((*root, *(word.format_map(words) for word in it)) for it in (client.pull, *client.clean))
        pulls.append(Pull(client, registry_host, argv, tuple(clean), client.text.format_map(words)))
    return pulls


def _sudo(client: Client, machine: Machine) -> tuple[str, ...]:
    """Return the sudo prefix for a service that admits root alone, or ().

    With -n sudo asks for no password, since clients pull side by side.
    """
    return ("sudo", "-n") if needs_sudo(client, machine) else ()


def needs_sudo(client: Client, machine: Machine) -> bool:
    """Whether a client's service admits root alone, and this is another user."""
    open_to_us = client.socket and os.access(socket(client, machine), os.W_OK)
    return bool(client.as_root and os.geteuid() and not open_to_us)


def socket(client: Client, machine: Machine) -> Path:
    """Return the path of a client's service socket on this machine."""
    return machine.path(client.socket)


_REASON = re.compile(
    r"x509: [^\"\n]*"
    r"|server gave HTTP response to HTTPS client"
    r"|SSL certificate (problem|OpenSSL verify result): [^\n]*|SSL: no alternative certificate[^\n]*"
    r"|certificate verify failed[^\n(\]]*"
    r"|verify error:[^\n]*"
    r"|PKIX path [^\n]*|No subject alternative [^\n]*"
)
"""Part of a refusal that is its reason, in the words of Go, curl, Python, OpenSSL and Java."""

_TOO_OLD = re.compile(r"connect: no such file or directory|unknown option", re.IGNORECASE)
"""Words of a client whose service is not running, or that is too old for the command."""

_LOG_MESSAGE = re.compile(r'\bmsg="(.*)"')
"""Pattern of a logrus line (github.com/sirupsen/logrus), as skopeo and ctr print."""


def judge(client: Client, *, ok: bool, output: str, empty: bool = False) -> tuple[Verdict, str]:
    """Return the verdict on a pull, and the reason in the client's own words.

    Args:
        client: Client that pulled.
        ok: Whether the command succeeded.
        output: The command's output.
        empty: Whether the registry has no such image: a client that learns so was let in.
    """
    if ok:
        return Verdict.ACCEPTED, ""
    found = kinds(output)
    if found & REFUSING:
        return Verdict.REFUSED, _reason(output)
    if client.reached and client.reached.search(output):
        return Verdict.ACCEPTED, ""
    if Kind.LOGIN in found or (empty and Kind.ABSENT in found):
        return Verdict.ACCEPTED, "as far as a registry that wants a login can be asked"
    absent = Kind.SERVICE in found or _TOO_OLD.search(output)
    return Verdict.ABSENT if absent else Verdict.FAILED, _last_line(output)


def kinds(output: str) -> set[Kind]:
    """Return the kinds of trouble that a client's output tells of."""
    from trusted_registry.client_messages import catalogue  # after a failure alone: slow to import

    return {found.kind for found in catalogue.find(output)}


def _reason(output: str) -> str:
    """Return the reason of a refusal without what stands before it; the last line if there is no such part."""
    found = _REASON.search(output)
    return found.group().strip(" :)") if found else _last_line(output)


def _last_line(output: str) -> str:
    """Return the last line with text, without a logger's time and level."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    logged = _LOG_MESSAGE.search(lines[-1])
    return logged.group(1).replace("\\n", " ").replace('\\"', '"').replace("\\t", " ").strip() if logged else lines[-1]
