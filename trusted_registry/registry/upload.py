"""Puts a tiny image into a registry over HTTPS, with no engine (OCI distribution specification, "Pushing")."""

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
"""The format that every client reads, the oldest too (distribution/distribution, docs/spec/manifest-v2-2)."""

_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_BINARY = "application/octet-stream"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
"""What images call a machine that Linux calls otherwise (Go's GOARCH); the rest have one name."""


@dataclass(frozen=True)
class Image:
    """An image as a registry holds it: three files."""

    config: bytes
    layer: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """What the registry knows it by."""
        return _digest(self.manifest)


def tiny(machine: str = "") -> Image:
    """Return an image of one small random file, for a kind of machine: this one by default."""
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
    """Have a registry hold an image under some tags.

    Raises:
        LoginWanted: It lets nobody push without a login.
        RegistryError: It refuses for another reason.
        OSError: Nothing answers, or TLS fails (ssl.SSLError).
        http.client.HTTPException: What answers does not speak HTTP.
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
    """Make one request, insist on its status, and return what the answer's head says."""
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
