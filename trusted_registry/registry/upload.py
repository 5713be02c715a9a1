"""Upload of a tiny image to a registry over HTTPS, with no engine (OCI distribution specification, "Pushing")."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trusted_registry.errors import LoginRequiredError, RegistryError
from trusted_registry.registry import layer, probe

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from trusted_registry.registry.probe import Endpoint

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""Media type that every client reads, the oldest too (distribution/distribution, docs/spec/manifest-v2-2)."""

_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_BINARY = "application/octet-stream"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
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
        return _digest(self.manifest)


def tiny(machine: str = "") -> Image:
    """Return an image of one small random file.

    `machine` is the kind of machine in Linux's words, such as aarch64; this one's by default.
    """
    tar = layer.random_tar()
    packed = gzip.compress(tar, mtime=0)
    machine = machine or platform.machine()
    made = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
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
    for blob in (image.config, image.layer):
        begun = _ask(at, "POST", f"/v2/{repository}/blobs/uploads/", tls, 202)
        place = urlsplit(begun.get("location", ""))
        query = "&".join(filter(None, (place.query, f"digest={_digest(blob)}")))
        _ask(at, "PUT", f"{place.path}?{query}", tls, 201, _BINARY, blob)
    for tag in tags:
        _ask(at, "PUT", f"/v2/{repository}/manifests/{tag}", tls, 201, MANIFEST, image.manifest)


def _ask(  # noqa: PLR0913, PLR0917 - a request has so many parts
    at: Endpoint, method: str, path: str, tls: ssl.SSLContext | None, wanted: int, kind: str = "", body: bytes = b""
) -> dict[str, str]:
    """Make one request, check its status, and return the answer's headers."""
    headers = {"Content-Type": kind} if kind else {}
    status, said, words = probe.request(at, method, path, tls, headers, body)
    if status == http.client.UNAUTHORIZED:
        raise LoginRequiredError(f"{at} wants a login.", cure="docker login, or the like, for each client.")
    if status != wanted:
        reason = words.decode(errors="replace").strip()[:200]
        raise RegistryError(
            f"{at} did not take an image: {method} was answered with status {status} {reason}".rstrip(),
            cure="Is that a registry? On its machine: ./inv status; ./inv registry.logs",
        )
    return said


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
