"""Containers that look like nodes of clusters, on the engine of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import rights

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab

MAKE = """
set -eu
reference=$1
shift
tree=$(mktemp -d)
mkdir -p "$tree/bin" "$tree/etc" "$tree/var"
for applet in $(busybox --list); do ln -s busybox "$tree/bin/$applet"; done
cp --remove-destination /bin/busybox "$tree/bin/"
for program; do
    path=$(command -v "$program")
    cp --parents --dereference "$path" "$tree"
    for library in $(ldd "$path" | grep -o '/[^ ]*'); do cp --parents --dereference "$library" "$tree"; done
done
tar --create --directory "$tree" . | docker import - "$reference"
rm -rf "$tree"
"""
"""An image of programs of the host's own and busybox for the rest: no registry is within reach that has others."""

RUNTIMES = ("containerd", "containerd-shim-runc-v2", "runc")
IDLE = ("sh", "-c", "trap exit TERM; sleep 3600 & wait")
KIND = ("io.x-k8s.kind.cluster=dev", "io.x-k8s.kind.role=worker")
K3D = ("app=k3d", "k3d.cluster=dev", "k3d.role=server")
DIND = ("mirantis.kubeadm_dind_cluster=1",)
CERTS_D = "/etc/containerd/certs.d"


def make_images(host: Host) -> None:
    """Make images for nodes, as far as they matter here: of containerd, of an engine, and of neither."""
    host.does("sh", "-c", MAKE, "sh", "kind:1", *RUNTIMES, "ctr")
    host.does("sh", "-c", MAKE, "sh", "dind:1", *RUNTIMES, "docker", "dockerd")
    host.does("sh", "-c", MAKE, "sh", "plain:1")


def runner(lab: Lab, host: Host) -> Callable[..., None]:
    """Return a maker of containers that look like nodes, on a host's engine and network."""
    all_rights = ["--privileged"] if lab.privileged else [f"--cap-add={name}" for name in rights.bounding()]
    options = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
    allowed = [*all_rights, *([] if lab.privileged else [f"--security-opt={it}" for it in options])]

    def run(name: str, image: str, labels: tuple[str, ...], *argv: str) -> None:
        marks = [f"--label={it}" for it in labels]
        # kind mounts these over /tmp and /run too, where `docker cp` would write below them
        mounts = ["--tmpfs=/tmp", "--tmpfs=/run:exec", f"--volume={name}:/var"]
        host.does(
            "docker", "run", "--detach", "--name", name, "--network=host", *marks, *mounts, *allowed, image, *argv
        )

    return run


def inside(host: Host, node: str, *argv: str) -> str:
    """Return the output of a command in a node, which must succeed."""
    return host.does("docker", "exec", node, *argv).out


def runs(host: Host, node: str, program: str) -> bool:
    """Whether a program in a node has the server that it asks."""
    return host.silently("docker", "exec", node, program, "version").code == 0
