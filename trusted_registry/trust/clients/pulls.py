"""One table of the clients that can prove trust by a pull of their own: what to type, and how to read what they say."""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.registry import prove
from trusted_registry.registry.upload import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from trusted_registry.settings import Settings
    from trusted_registry.trust.machine import Machine


class Verdict(enum.Enum):
    """What came of a client's pull."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    ABSENT = "not here"


@dataclass(frozen=True)
class Client:
    """One row. What stands in braces in its commands is filled in by `plan`.

    Args:
        name: Unique; what --only takes.
        store: The name, in the table of stores, of what it reads.
        pull: The command; its first word is the program that must be here.
        clean: What takes the image away again, each whatever came of the others.
        version: What the program is asked for its version with; nothing where it has no such question.
        socket: Where the service that pulls for it listens; it is not here where that is missing.
        as_root: Whether that service lets in root alone.
        by_host: Whether the port's spelling makes no difference to it.
        text: What it reads from standard input.
        reached: What it says where the registry was accepted and what came is of no use to it.
        engine: Whether the Docker SDK pulls instead, as the command would.
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
    reached: re.Pattern[str] | None = field(default=None)
    engine: bool = False

    @property
    def program(self) -> str:
        """What must be on PATH."""
        return self.pull[0]


_URL = "https://{registry}{path}"
_ACCEPT = f"Accept: {MANIFEST}"
_STRICT = (
    "import ssl, sys, urllib.request as ask; tls = ssl.create_default_context(); "
    "tls.verify_flags |= ssl.VERIFY_X509_STRICT; "
    "ask.urlopen(ask.Request(sys.argv[1], headers={{'Accept': sys.argv[2]}}), context=tls, timeout=20).read()"
)
"""Python 3.13 and later verify so by themselves; the braces are doubled for `filled`."""
_CONTAINERD = "/run/containerd/containerd.sock"
_CTR = ("ctr", "--namespace", "{space}")

CLIENTS: tuple[Client, ...] = (
    Client(
        "docker",
        "docker",
        ("docker", "pull", "{reference}"),
        clean=(("docker", "rmi", "{reference}"),),
        engine=True,
    ),
    Client(
        "docker-rootless",
        "docker-rootless",
        ("docker", "--host", "unix://{run}/docker.sock", "pull", "{reference}"),
        clean=(("docker", "--host", "unix://{run}/docker.sock", "rmi", "{reference}"),),
        socket="{run}/docker.sock",
    ),
    Client("podman", "podman", ("podman", "pull", "{reference}"), clean=(("podman", "rmi", "{reference}"),)),
    Client("buildah", "podman", ("buildah", "pull", "{reference}"), clean=(("buildah", "rmi", "{reference}"),)),
    Client("skopeo", "podman", ("skopeo", "copy", "docker://{reference}", "dir:{folder}")),
    Client(
        "ctr",
        "containerd",
        (*_CTR, "images", "pull", "--hosts-dir", "/etc/containerd/certs.d", "{reference}"),
        clean=((*_CTR, "images", "remove", "--sync", "{reference}"), ("ctr", "namespaces", "remove", "{space}")),
        socket=_CONTAINERD,
        as_root=True,
    ),
    Client(
        "nerdctl",
        "containerd",
        ("nerdctl", "--namespace", "{space}", "pull", "{reference}"),
        clean=(
            ("nerdctl", "--namespace", "{space}", "rmi", "{reference}"),
            ("nerdctl", "namespace", "remove", "{space}"),
        ),
        socket=_CONTAINERD,
        as_root=True,
    ),
    Client(
        "crictl", "containerd", ("crictl", "pull", "{reference}"), (("crictl", "rmi", "{reference}"),), as_root=True
    ),
    Client(
        "k3s",
        "k3s",
        ("k3s", "crictl", "pull", "{reference}"),
        clean=(("k3s", "crictl", "rmi", "{reference}"),),
        socket="/run/k3s/containerd/containerd.sock",
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
    # Of what a Java runtime has, the one program that fetches a file: it asks for a revocation list and gets an image
    Client(
        "java",
        "java",
        ("keytool", "-printcrl", "-file", _URL),
        version=(),
        by_host=True,
        reached=re.compile(r"CRLException|Empty input|FileNotFoundException: https:|HTTP response code: 4"),
    ),
)
"""The order is the one in which they are shown."""

NAMES = tuple(client.name for client in CLIENTS)
"""What --only takes."""


@dataclass(frozen=True)
class Pull:
    """One pull: whose, under which spelling, and the commands for it."""

    client: Client
    registry_host: str
    argv: tuple[str, ...]
    clean: tuple[tuple[str, ...], ...]
    text: str


def plan(client: Client, settings: Settings, token: str, folder: Path, machine: Machine) -> list[Pull]:
    """Return what a client is asked: one pull for each spelling that makes a difference to it.

    Args:
        client: The client.
        settings: The registry's names.
        token: What sets this run's image apart.
        folder: Where images may be put that go into files.
        machine: This user's folders.
    """
    if client.by_host:
        named = [(host, address.registry_host(host, settings.port)) for host in settings.hosts]
    else:
        named = [(host, it) for host in settings.hosts for it in address.registry_hosts((host,), settings.port)]
    asks = []
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
        root = _sudo(client, machine)
        clean = tuple((*root, *_filled(argv, words)) for argv in client.clean)
        asks.append(
            Pull(client, registry_host, (*root, *_filled(client.pull, words)), clean, client.text.format_map(words))
        )
    return asks


def _filled(argv: Iterable[str], words: dict[str, str]) -> tuple[str, ...]:
    return tuple(word.format_map(words) for word in argv)


def _sudo(client: Client, machine: Machine) -> tuple[str, ...]:
    """Return what goes before a command whose service lets in root alone; a password is not asked for side by side."""
    open_to_us = client.socket and os.access(socket(client, machine), os.W_OK)
    return ("sudo", "-n") if client.as_root and os.geteuid() and not open_to_us else ()


def socket(client: Client, machine: Machine) -> Path:
    """Return where a client's service listens here."""
    return machine.path(client.socket)


_DISTRUST = re.compile(
    r"x509: [^\"\n]*"
    r"|server gave HTTP response to HTTPS client"
    r"|SSL certificate (problem|OpenSSL verify result): [^\n]*|SSL: no alternative certificate[^\n]*"
    r"|certificate verify failed[^\n(\]]*"
    r"|verify error:[^\n]*"
    r"|PKIX path [^\n]*|No subject alternative [^\n]*"
)
"""What clients say of a registry that they do not trust: those of Go, curl, Python, OpenSSL, Java."""

_NO_ANSWER = re.compile(
    r"connect: no such file or directory|Cannot connect to the Docker daemon|unknown service runtime\."
    r"|unknown option|Unknown option",
    re.IGNORECASE,
)
"""What a client says whose service is not running, or that is too old to be asked."""


_LOGIN = re.compile(
    r"unauthorized|authentication required|no basic auth credentials|requested access to the resource is denied"
    r"|(error:?|code:?) 401",
    re.IGNORECASE,
)
"""What clients say of a registry that they trust, and that wants a login."""

_NO_IMAGE = re.compile(r"manifest unknown|: not found|(error:?|code:?) 404", re.IGNORECASE)
"""What clients say of a registry that they trust, and that has no such image."""


_LOG_MESSAGE = re.compile(r'\bmsg="(.*)"')
"""How logrus writes a line (github.com/sirupsen/logrus), as skopeo and ctr do."""


def judge(client: Client, *, ok: bool, output: str, empty: bool = False) -> tuple[Verdict, str]:
    """Return what came of a pull, and the reason in the client's own last words where there is one.

    Args:
        client: Whose pull it was.
        ok: Whether it said that it succeeded.
        output: What it wrote.
        empty: Whether the registry has no such image: whoever hears that was let in.
    """
    if ok:
        return Verdict.ACCEPTED, ""
    if distrust := _DISTRUST.search(output):
        return Verdict.REFUSED, distrust.group().strip(" :)")
    if client.reached and client.reached.search(output):
        return Verdict.ACCEPTED, ""
    if _LOGIN.search(output) or (empty and _NO_IMAGE.search(output)):
        return Verdict.ACCEPTED, "as far as a registry that wants a login can be asked"
    return Verdict.ABSENT if _NO_ANSWER.search(output) else Verdict.FAILED, _last_line(output)


def is_distrust(reason: str) -> bool:
    """Whether a client's reason is that it does not trust what answers."""
    return bool(_DISTRUST.search(reason))


def _last_line(output: str) -> str:
    """Return the last line that says something, without the time and the level that some put before it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    logged = _LOG_MESSAGE.search(lines[-1])
    return logged.group(1).replace("\\n", " ").replace('\\"', '"').replace("\\t", " ").strip() if logged else lines[-1]
