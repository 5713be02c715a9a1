"""Upstreams: registries that are mirrored, by the host in a reference and the address that is asked."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from trusted_registry import address
from trusted_registry.errors import SettingError

DOCKER_HUB = "docker.io"

_NAME = re.compile(
    r"(?=.{4,128}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?::[1-9][0-9]{0,4})?"
)
_ALIASES = {
    "hub.docker.com": DOCKER_HUB,
    "index.docker.io": DOCKER_HUB,
    "registry-1.docker.io": DOCKER_HUB,
    "registry.hub.docker.com": DOCKER_HUB,
}
_ADDRESSES = {DOCKER_HUB: "registry-1.docker.io"}
"""Where a registry answers whose name in references is another one (distribution/reference, normalize.go)."""

_HTTPS = 443
_HIGHEST = (1 << 16) - 1

_PRIVATE = re.compile(
    r"(?:.*\.)?(?:local|internal|lan|home\.arpa|localdomain|home|corp|private|intranet|test|invalid|localhost|example)"
)
"""Names that no public registry has (RFC 6761, 6762 with its appendix G, and 8375; ICANN's resolution on .internal)."""
_EXAMPLES = "docker.io, ghcr.io, quay.io or registry.k8s.io for example"
_OPEN = "A mirror asks for no login and has no password of its upstream, so that it gives nobody what is not public."


@dataclass(frozen=True)
class Sample:
    """A small image that everybody may pull: a repository that surely is there, and a tag."""

    repository: str
    tag: str = "latest"


_SAMPLES = {
    DOCKER_HUB: Sample("library/hello-world"),
    "ghcr.io": Sample("containerd/busybox", "1.36"),
    "quay.io": Sample("podman/hello"),
    "registry.k8s.io": Sample("pause", "3.9"),
    "public.ecr.aws": Sample("docker/library/hello-world"),
    "mcr.microsoft.com": Sample("hello-world"),
}


@dataclass(frozen=True)
class Upstream:
    """A registry that is mirrored.

    Args:
        name: Its host in a reference, such as ghcr.io.
    """

    name: str

    @property
    def url(self) -> str:
        """URL that a mirror asks."""
        return f"https://{_ADDRESSES.get(self.name, self.name)}"

    @property
    def sample(self) -> Sample | None:
        """Small image of the upstream; None if none is known."""
        return _SAMPLES.get(self.name)


def canonical(host: str) -> str:
    """Return the name of a registry in references: the Docker Hub has several, and the port of https is none's name."""
    name = host.strip().lower().removesuffix(f":{_HTTPS}")
    return _ALIASES.get(name, name)


def is_name(text: str) -> bool:
    """Whether a text is a registry's name in references, in its noted form: safe in paths, files and commands."""
    port = text.partition(":")[2]
    return bool(_NAME.fullmatch(text)) and canonical(text) == text and int(port or 1) <= _HIGHEST


def parse(text: str, own: Collection[str] = ()) -> Upstream:
    """Return an upstream.

    A name that leads to private addresses alone is none of the refused: so does a public one behind split DNS, NAT64
    or a company's cache, and a mirror without a password holds only images that its upstream gives anybody.

    Args:
        text: Its host, as a person types it.
        own: Addresses and names of the registry here.

    Raises:
        SettingError: The text has a path, a user or a scheme, is no public host, or is the registry here.
    """
    name = canonical(text)
    host = name.partition(":")[0]
    cure = f"Use its host as references have it, {_EXAMPLES}."
    scheme, _, rest = name.partition("://")
    if scheme in {"http", "https"} and is_name(bare := canonical(rest.partition("/")[0])):
        raise SettingError(f"{text!r} is a URL.", cure=f"Leave out {scheme}://: {bare}")
    if "/" in text.strip() and _NAME.fullmatch(name.partition("/")[0]):
        raise SettingError(f"{text!r} has a path, and a mirror is of a whole registry.", cure=cure)
    if host in own:
        raise SettingError(f"{text!r} is the registry here, which needs no mirror.", cure=cure)
    if address.is_ip(host) or "." not in host or _PRIVATE.fullmatch(host):
        raise SettingError(f"{text!r} is no public registry. {_OPEN}", cure=cure)
    if not text.isascii() or not is_name(name):
        raise SettingError(f"{text!r} is no registry that can be mirrored.", cure=cure)
    return Upstream(name)
