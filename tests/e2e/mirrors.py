"""A machine that runs the registry and mirrors of the stand-ins, with every client: the steps of its scenarios."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e import cri
from tests.e2e.lab import IMAGES
from tests.e2e.mirror_clients import CLIENTS, CONTAINERD, is_mirrored
from tests.e2e.upstreams import GITHUB, HUB, NAMES, requests
from trusted_registry.instance.model import mirror_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hosts import Done, Host
    from tests.e2e.upstreams import Image, Request, Upstreams

UPSTREAMS = ",".join(NAMES)
FEATURE = '{"features": {"containerd-snapshotter": true}}\n'
SNAPSHOTTER = "io.containerd.snapshotter"
LIST = """
look() {
    find /etc /root /home/dev \\( -path /home/dev/trusted-registry -o -path /root/.docker -o -path /etc/ssh \\
        -o -path /etc/containers/networks -o -path /etc/cni -o -name .local -o -name .cache -o -name .ssh \\
        -o -name .sudo_as_admin_successful \\
        -o -name .ansible \\) -prune -o "$@"
}
look -printf '%y %m %u %g %p\\n'
look -type f -print0 | xargs --null sha256sum
"""
"""Files of a machine that clients read, their rights and their contents; without what programs make when they run."""


@dataclass
class Site:
    """Machines and images of a scenario.

    Args:
        server: Who runs the mirrors.
        host: Whose clients are asked; the same machine, unless another one is told.
        upstreams: The stand-ins.
        store: The store of images of the host's engine.
        images: An image of each upstream.
        before: The files of the host before the mirrors.
        said: The words of `mirror.up`.
        restarted: Whether the engine was restarted since.
    """

    server: Host
    host: Host
    upstreams: Upstreams
    store: str
    images: dict[str, Image]
    before: set[str] = field(default_factory=set)
    said: str = ""
    restarted: bool = False

    def mirrors(self, name: str, upstream: str) -> bool:
        """Whether a client here uses the mirror of an upstream."""
        return is_mirrored(name, upstream, suite=self.host.suite.name, store=self.store)

    def is_ready_for(self, name: str) -> None:
        """Restart the engine if a client takes that: Docker 20.10 builds with the mirrors that it had at its start.

        That is by its source, cmd/dockerd/daemon.go, newRouterOptions.
        """
        if name == "docker build" and self.host.suite.name == "bookworm" and not self.restarted:
            self.restarted = True
            self.restart_engine()

    def restart_engine(self) -> None:
        """Restart the engine: BuildKit in it remembers for ten minutes where it asked for an image.

        That is by its source, util/resolver/pool.go.
        """
        self.host.does("service", "docker", "restart")
        self.host.wait()
        self.serves()

    def requests(self, upstream: str) -> list[Request]:
        """Return the requests that the mirror of an upstream had."""
        return requests(self.server, mirror_name("registry", upstream))

    def comes_through_the_mirror(self, name: str, image: Image) -> None:
        """Insist that a client which has nothing gets an image, its tag and every blob, from the mirror."""
        before = len(self.requests(image.upstream))
        done = self.pull(name, image.reference)
        assert done.code == 0, f"This should have worked:\n{done}"
        missing = image.paths - CLIENTS[name].asked(self.requests(image.upstream)[before:])
        assert not missing, self._unseen(name, image, before, missing)

    def comes_from_the_upstream(self, name: str, image: Image) -> None:
        """Insist that a client which has nothing gets an image from the upstream itself."""
        before, untouched = len(self.upstreams.requests(image.upstream)), len(self.requests(image.upstream))
        done = self.pull(name, image.reference)
        assert done.code == 0, f"This should have worked:\n{done}"
        missing = image.paths - CLIENTS[name].asked(self.upstreams.requests(image.upstream)[before:])
        assert not missing, f"{name} did not ask the upstream for {missing}"
        assert not CLIENTS[name].asked(self.requests(image.upstream)[untouched:])

    def pull(self, name: str, reference: str) -> Done:
        """Have a client pull a reference that it holds nothing of."""
        CLIENTS[name].empty(self.host, reference)
        return CLIENTS[name].pull(self.host, reference)

    def _unseen(self, name: str, image: Image, before: int, missing: frozenset[str]) -> str:
        seen = "\n".join(map(str, self.requests(image.upstream)[before:]))
        return f"{name} did not ask the mirror for {sorted(missing)}, whose log has:\n{seen}"

    def awaits(self, image: Image) -> None:
        """Wait until a mirror, asked by its own name, has fetched an image."""
        own = f"{self.address(image.upstream)}/{image.path}"
        self.server.wait_for("it fetches again", lambda: self.pull("skopeo", own).code == 0, seconds=30)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have no mirror run for a while."""
        names = self.containers
        self.server.does("docker", "stop", "--time", "1", *names)
        try:
            yield
        finally:
            self.server.does("docker", "start", *names)
            self.serves()

    @property
    def containers(self) -> list[str]:
        """Names of the mirrors' containers."""
        return [mirror_name("registry", upstream) for upstream in NAMES]

    def restart(self) -> None:
        """Restart all mirrors, and wait for them."""
        self.server.does("docker", "restart", "--time", "1", *self.containers)
        self.serves()

    def serves(self) -> None:
        """Wait until all mirrors answer."""
        urls = [f"https://{self.address(upstream)}/v2/" for upstream in NAMES]
        asks = ("curl", "--silent", "--insecure", "--fail", "--max-time", "3", *urls)
        self.server.wait_for("the mirrors answer", lambda: self.server.silently(*asks).code == 0)

    def address(self, upstream: str) -> str:
        """Return `host:port` of the mirror of an upstream."""
        return str(self.listed(upstream)["mirror"])

    def listed(self, upstream: str) -> dict[str, object]:
        """Return what `mirror.list` says of the mirror of an upstream."""
        done = self.server.silently("./inv", "mirror.list", "--json", user="dev", env=self.server.settings)
        (found,) = [it for it in json.loads(done.out) if it["upstream"] == upstream]
        return dict(found)


def files(host: Host) -> set[str]:
    """Return the files of a machine that clients read, each with its rights and a digest."""
    return set(host.does("sh", "-c", LIST).out.splitlines())


def prepare(host: Host, upstreams: Upstreams, store: str) -> None:
    """Have a machine reach the stand-ins, and its engine keep images in a store, with every client that it has."""
    upstreams.lead(host)
    if store == CONTAINERD:
        host.does("mkdir", "--parents", "/etc/docker")
        host.write("/etc/docker/daemon.json", FEATURE)
    host.does("service", "docker", "restart")  # its builds ask the name server that it had at its start
    host.wait()
    if store == CONTAINERD:
        for reference, (archive, program) in IMAGES.items():
            host.import_image(archive, reference, program)
    status = host.does("docker", "info", "--format", "{{json .DriverStatus}}").out
    assert (SNAPSHOTTER in status) is (store == CONTAINERD), status
    host.does("mkdir", "--parents", cri.CERTS_D)  # by which a machine with an engine too shows that it is a node
    cri.start(host)


REPOSITORIES = ("library/x", "org/y")
SAMPLES = ((HUB, "library/hello-world", "latest"), (GITHUB, "containerd/busybox", "1.36"))
"""What `mirror.up` pulls to prove that a mirror fetches."""


def start(host: Host, upstreams: Upstreams, store: str) -> Site:
    """Run the registry and the mirrors on a machine, for every client on it."""
    prepare(host, upstreams, store)
    images = {upstream: upstreams.publish(upstream, name) for upstream, name in zip(NAMES, REPOSITORIES, strict=True)}
    for sample in SAMPLES:
        upstreams.publish(*sample)
    host.inv("up")
    before = files(host)
    said = host.inv("mirror.up", UPSTREAMS).said
    return Site(host, host, upstreams, store, images, before, said)
