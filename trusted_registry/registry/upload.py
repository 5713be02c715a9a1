"""Upload of a tiny image to a registry over HTTPS, with no engine (OCI distribution specification, "Pushing")."""

from __future__ import annotations

import gzip
import json
import platform
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from trusted_registry.registry import layer
from trusted_registry.registry.api import MANIFEST, Manifest, RegistryClient, digest
from trusted_registry.registry.probe import Endpoint

_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
"""Architectures in images (Go's GOARCH) by Linux's name of the machine; the rest have one name."""


@dataclass(frozen=True)
class Image:
    """An image in a registry: three files."""

    config: bytes
    layer: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """The digest by which the registry knows the image."""
        return digest(self.manifest)


def tiny(machine: str = "") -> Image:
    """Return an image of one small random file.

    `machine` is the kind of machine in Linux's words, such as aarch64; this one's by default.
    """
    tar = layer.random_tar()
    packed = gzip.compress(tar, mtime=0)
    machine = machine or platform.machine()
    made = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
    }
    config = json.dumps(made).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(_CONFIG, config),
        "layers": [_described(_LAYER, packed)],
    }
    return Image(config, packed, json.dumps(manifest).encode())


def put(image: Image, at: Endpoint, repository: str, tags: Iterable[str], tls: ssl.SSLContext | None) -> None:
    """Upload an image to a registry under some tags.

    Raises:
        LoginRequiredError: The registry accepts no push without a login.
        RegistryError: The registry refuses for another reason.
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
        http.client.HTTPException: The answer is not HTTP.
    """
    client = RegistryClient(at, tls)
    for blob in (image.config, image.layer):
        client.upload(repository, blob)
    for tag in tags:
        client.put_manifest(repository, tag, Manifest(MANIFEST, image.digest, image.manifest))


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": digest(content)}
