"""Clients that pull through mirrors: each with its pull, what empties its copy, and how a registry's log names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e import cri
from tests.e2e.upstreams import GITHUB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.hosts import Done, Host
    from tests.e2e.upstreams import Request

CLASSIC, CONTAINERD = "classic", "containerd"
"""The two stores that an engine keeps images in."""

PATIENCE = 300
"""Seconds that a pull may take: containerd 1.6 waits half a minute for each answer of a mirror that is silent."""

BUILD = (
    "rm -rf /srv/build && mkdir /srv/build && printf 'FROM %s\\nLABEL lab=1\\n' \"$1\" > /srv/build/Dockerfile && "
    "docker build --tag built:1 /srv/build"
)
COPY = 'rm -rf /srv/copied && skopeo copy --quiet "docker://$1" dir:/srv/copied'
EMPTY = """
for space in $(ctr namespaces list --quiet); do
    ctr --namespace "$space" images list --quiet | xargs --no-run-if-empty ctr --namespace "$space" images remove --sync
    ctr --namespace "$space" leases list --quiet | xargs --no-run-if-empty ctr --namespace "$space" leases delete --sync
done
for space in $(ctr namespaces list --quiet); do ctr --namespace "$space" content list --quiet; done
"""
"""Its namespaces share what they hold, and who finds it there asks no registry for it; prints what is left.

A pull that failed leaves a lease, which keeps for a day what had come."""


@dataclass(frozen=True)
class Client:
    """A client of registries.

    Args:
        agents: Beginnings of its User-Agent, by one of which a registry's log tells it from others.
        pulls: Command that pulls a reference; none is CRI's, which has no program.
        empties: Command that removes a reference and all that came with it.
    """

    agents: tuple[str, ...]
    pulls: tuple[str, ...]
    empties: tuple[str, ...] = ()

    @property
    def is_containerd(self) -> bool:
        """Whether it is containerd, the node's and not an engine's."""
        return self.agents == _CONTAINERD

    def pull(self, host: Host, reference: str) -> Done:
        """Pull a reference, to whatever end."""
        if not self.pulls:
            return cri.pulled(host, reference)
        argv = [it.replace("{}", reference) for it in self.pulls]
        return host.run(*argv, env={"DOCKER_BUILDKIT": "1"}, seconds=PATIENCE)

    def empty(self, host: Host, reference: str) -> None:
        """Have it forget a reference, and all that it holds of that."""
        if self.is_containerd:
            cri.forget(host, reference)
            left = host.silently("sh", "-c", EMPTY).out
            host.wait_for("containerd is empty", lambda: not left or not host.silently("sh", "-c", EMPTY).out)
        elif self.empties:
            host.run(*(it.replace("{}", reference) for it in self.empties))

    def asked(self, requests: Iterable[Request]) -> set[str]:
        """Return the paths that it asked for, and got, among requests."""
        return {it.path for it in requests if it.agent.startswith(self.agents) and it.status < 400}


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", "{}")


_CONTAINERD = ("containerd/",)
_DOCKER = _sh('docker rmi --force "$1" built:1; docker builder prune --all --force')
"""What was built of an image has its layers too."""
_LIBPOD = ("podman", "rmi", "--all", "--force")
CLIENTS = {
    "docker": Client(("docker/",), ("docker", "pull", "{}"), _DOCKER),
    "docker build": Client(("docker/", "buildkit/", "containerd/"), _sh(BUILD), _DOCKER),
    "podman": Client(("libpod/", "podman/", "containers/"), ("podman", "pull", "{}"), _LIBPOD),
    "skopeo": Client(("skopeo/",), _sh(COPY)),
    "buildah": Client(("Buildah/", "buildah/"), ("buildah", "pull", "--policy", "always", "{}"), _LIBPOD),
    "ctr": Client(_CONTAINERD, ("ctr", "--namespace", "lab", "images", "pull", "--hosts-dir", cri.CERTS_D, "{}")),
    "CRI": Client(_CONTAINERD, ()),
}
ENGINES = ("docker", "docker build")


def is_mirrored(name: str, upstream: str, *, suite: str, store: str) -> bool:
    """Whether a client uses the mirror of an upstream.

    Docker does for others than its Hub since 28, where it reads hosts.toml: in the containerd store, and in builds.
    """
    if upstream != GITHUB or name not in ENGINES:
        return True
    return suite == "sid" and (name == "docker build" or store == CONTAINERD)
