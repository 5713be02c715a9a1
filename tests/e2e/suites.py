"""The generations of Docker that the lab has: Debian's releases, each with the programs of its time."""

from __future__ import annotations

from dataclasses import dataclass

EVERYWHERE = (
    # the engine, and what it starts
    *("docker.io", "containerd", "runc", "iptables"),
    # what the README takes for granted on a machine
    *("ca-certificates", "openssl", "curl", "sudo", "python3", "python3-venv", "iproute2", "procps"),
    # the other clients
    *("podman", "netavark", "skopeo", "buildah", "python3-requests"),
    # an engine without root
    *("rootlesskit", "uidmap", "slirp4netns", "fuse-overlayfs"),
    # an archive of one package on disk, and a program for images to run
    *("apt-utils", "busybox-static"),
    # a machine reached by ssh, whose server a scenario starts; and certutil, for the databases of browsers
    *("openssh-client", "openssh-server", "libnss3-tools"),
    # for the tests that run on a host (tests/packages.py): other shells, other awks, Java's keytool
    *("git", "zsh", "gawk", "original-awk", "default-jre-headless", "wget"),
    # a front, by the tests that run on a host and by an image that is made there of its package
    "haproxy",
    "keepalived",  # hosts of a swarm have no network to install it from
)

DESKTOP = ("chromium", "firefox-esr", "ant", "default-jdk-headless", "gnutls-bin")
"""What a host with browsers and Java has besides: ant, which fetches a file, jarsigner, and GnuTLS's own programs."""

DESKTOP_WHEELS = ("uv",)
"""What its wheelhouse has besides: a program in Rust, whose TLS is rustls."""


@dataclass(frozen=True)
class Suite:
    """One Debian release: its Python, and what it packages besides what all of them do.

    Args:
        other: A release with another version of the registry, for upgrades.
    """

    name: str
    python: str
    other: str
    extra: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Every package of a host of this suite."""
        return (*EVERYWHERE, *self.extra)

    def has(self, package: str) -> bool:
        """Whether a host of this suite has a package installed because the lab asks for it."""
        return package in self.packages


SUITES = {
    suite.name: suite
    for suite in (
        Suite("bookworm", python="3.11", other="trixie"),
        Suite("trixie", python="3.13", other="bookworm", extra=("docker-cli", "docker-buildx", "oras")),
        Suite("sid", python="3.14", other="bookworm", extra=("docker-cli", "docker-buildx", "oras", "crane")),
    )
}
"""From the oldest engine to the newest."""
