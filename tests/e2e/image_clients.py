"""Pushes what no docker pushes by itself: indexes, signatures, manifests without a tag; runs on a host of the lab.

image_clients.py push REGISTRY CA: pushes one of each, and prints their digests as JSON.
image_clients.py delete REGISTRY CA REPOSITORY DIGEST…: deletes manifests.
image_clients.py copy REGISTRY CA REPOSITORY TAG COUNT: gives an image many tags.
Python's own library is all that it needs.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import ssl
import sys
from typing import Any

OCI = "application/vnd.oci.image"
MANIFEST, INDEX = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
LAYERS = {MANIFEST: f"{OCI}.layer.v1.tar", DOCKER: "application/vnd.docker.image.rootfs.diff.tar"}
CONFIGS = {MANIFEST: f"{OCI}.config.v1+json", DOCKER: "application/vnd.docker.container.image.v1+json"}
SIZE = 12 << 20
"""Bytes of a layer: beside these, a link and its folders are less than a hundredth."""


class Registry:
    """A registry, over one connection."""

    def __init__(self, host: str, authority: str) -> None:
        trust = ssl.create_default_context(cafile=authority)
        self._connection = http.client.HTTPSConnection(host, context=trust, timeout=60)

    def ask(self, wanted: int, method: str, path: str, body: bytes = b"", kind: str = "") -> str:
        """Make a request that must be answered with a status, and return where the answer leads to."""
        headers = {"Content-Type": kind} if kind else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == wanted, f"{method} {path}: {answer.status} {said!r}"
        return answer.getheader("Location") or ""

    def get(self, path: str, kind: str = "*/*") -> bytes:
        """Return what is at a path; b"" where that is no success."""
        self._connection.request("GET", path, headers={"Accept": kind})
        answer = self._connection.getresponse()
        said = answer.read()
        return said if answer.status == http.client.OK else b""

    def manifest(self, repository: str, tag: str) -> bytes:
        """Return a manifest of docker's."""
        return self.get(f"/v2/{repository}/manifests/{tag}", DOCKER)

    def blob(self, repository: str, content: bytes, kind: str) -> dict[str, Any]:
        """Push a blob, and return its descriptor."""
        digest = named(content)
        place = self.ask(202, "POST", f"/v2/{repository}/blobs/uploads/")
        path = place[place.index("/v2/") :]
        joint = "&" if "?" in path else "?"
        self.ask(201, "PUT", f"{path}{joint}digest={digest}", content, "application/octet-stream")
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def put(self, repository: str, reference: str, content: dict[str, Any]) -> dict[str, Any]:
        """Push a manifest under a tag, or under its digest where there is none, and return its descriptor."""
        made = json.dumps(content).encode()
        kind = str(content["mediaType"])
        self.ask(201, "PUT", f"/v2/{repository}/manifests/{reference or named(made)}", made, kind)
        return {"mediaType": kind, "digest": named(made), "size": len(made)}

    def image(self, repository: str, reference: str = "", *, kind: str = MANIFEST, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Push an image with a layer of its own, and with others' layers if there are some."""
        architecture = more.pop("architecture", "amd64")
        config = json.dumps({"os": "linux", "architecture": architecture, "seed": os.urandom(8).hex()}).encode()
        others = more.pop("shares", [])
        layers = [self.blob(repository, os.urandom(SIZE), LAYERS[kind]), *others]
        content = {"schemaVersion": 2, "mediaType": kind, "config": self.blob(repository, config, CONFIGS[kind])}
        return {**self.put(repository, reference, {**content, "layers": layers, **more}), "layers": layers}


def named(content: bytes) -> str:
    """Return the digest of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push(registry: Registry) -> dict[str, str]:
    """Push one of each, and return their digests."""
    first = registry.image("app", "1")
    second = registry.image("app", "2", shares=first.pop("layers"))
    second.pop("layers")
    alone = registry.image("lone")
    alone.pop("layers")
    made = {"image": first, "sharing": second, "digest only": alone}
    for name, index, kind in (("list", LIST, DOCKER), ("index", INDEX, MANIFEST)):
        children = []
        for architecture in ("amd64", "arm64"):
            child = registry.image(name, kind=kind, architecture=architecture)
            child.pop("layers")
            children.append({**child, "platform": {"os": "linux", "architecture": architecture}})
            made[f"{name} {architecture}"] = child
        made[name] = registry.put(name, "1", {"schemaVersion": 2, "mediaType": index, "manifests": children})
    made["signature"] = registry.image("app", f"{first['digest'].replace(':', '-')}.sig")
    made["subject"] = registry.image("app", subject=first)
    gone = registry.image("bare", "1")
    registry.ask(202, "DELETE", f"/v2/bare/manifests/{gone['digest']}")
    return {name: str(it["digest"]) for name, it in made.items()}


def copy(registry: Registry, repository: str, tag: str, count: str) -> None:
    """Give an image of docker's further tags."""
    content = registry.manifest(repository, tag)
    for number in range(int(count)):
        registry.ask(201, "PUT", f"/v2/{repository}/manifests/copy-{number}", content, DOCKER)


def main() -> None:
    """Do what the words say."""
    deed, host, authority, *rest = sys.argv[1:]
    registry = Registry(host, authority)
    if deed == "push":
        print(json.dumps(push(registry)))  # noqa: T201 - the result
        return
    if deed == "copy":
        copy(registry, *rest)
        return
    repository, *digests = rest
    for digest in digests:
        registry.ask(202, "DELETE", f"/v2/{repository}/manifests/{digest}")


if __name__ == "__main__":
    main()
