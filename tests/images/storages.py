"""Storages as a registry leaves them, in a folder: blobs, links, and what a kill or a hand breaks in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import UserDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator

OCI = "application/vnd.oci.image"
MANIFEST, INDEX = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json"
DOCKER, LIST = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
CONFIGS = {MANIFEST: f"{OCI}.config.v1+json", DOCKER: "application/vnd.docker.container.image.v1+json"}


@dataclass
class MadeStorage:
    """Storage of a registry in a folder that stands for /var/lib/registry."""

    folder: Path
    layers: dict[str, bytes] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Folder of all that the registry keeps."""
        return self.folder / "docker/registry/v2"

    def blob(self, content: bytes) -> str:
        """Put a content, and return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.path(digest).parent.mkdir(parents=True, exist_ok=True)
        self.path(digest).write_bytes(content)
        return digest

    def path(self, digest: str) -> Path:
        """Return the file of a content."""
        hexed = digest.partition(":")[2]
        return self.root / "blobs/sha256" / hexed[:2] / hexed / "data"

    def repository(self, name: str) -> Path:
        """Return the folder of a repository."""
        return self.root / "repositories" / name

    def link(self, path: Path, digest: str) -> Path:
        """Write a link."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digest)
        return path

    def layer_link(self, name: str, digest: str) -> Path:
        """Return the link by which a repository knows a layer."""
        return self.repository(name) / "_layers" / digest.replace(":", "/") / "link"

    def revision_link(self, name: str, digest: str) -> Path:
        """Return the link by which a repository knows a manifest."""
        return self.repository(name) / "_manifests/revisions" / digest.replace(":", "/") / "link"

    def tag_link(self, name: str, tag: str) -> Path:
        """Return the link of a tag."""
        return self.repository(name) / "_manifests/tags" / tag / "current/link"

    def put(self, name: str, tag: str, content: dict[str, Any]) -> str:
        """Put a manifest under a tag, or under its digest alone where there is no tag, and return its digest."""
        digest = self.blob(json.dumps(content).encode())
        self.link(self.revision_link(name, digest), digest)
        (self.repository(name) / "_uploads").mkdir(exist_ok=True)
        if tag:
            self.link(self.tag_link(name, tag), digest)
            past = self.repository(name) / "_manifests/tags" / tag / "index" / digest.replace(":", "/") / "link"
            self.link(past, digest)
        return digest

    def image(self, name: str, tag: str = "", seed: str = "a", *, kind: str = MANIFEST, **more: Any) -> str:  # noqa: ANN401
        """Put an image of one layer, and return the digest of its manifest."""
        platform = {"os": "linux", "architecture": more.pop("architecture", "amd64")}
        config = json.dumps({**platform, "seed": seed, "config": more.pop("config", {})}).encode()
        parts = {"config": (config, CONFIGS[kind]), "layer": (seed.encode() * 50_000, f"{OCI}.layer.v1.tar")}
        described = {part: self._described(name, *it) for part, it in parts.items()}
        content = {"schemaVersion": 2, "mediaType": kind, "config": described["config"], "layers": [described["layer"]]}
        return self.put(name, tag, {**content, **more})

    def _described(self, name: str, content: bytes, kind: str) -> dict[str, Any]:
        digest = self.blob(content)
        self.link(self.layer_link(name, digest), digest)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def index(self, name: str, tag: str, children: dict[str, str], kind: str = INDEX) -> str:
        """Put an index of images by their architectures."""
        manifests = [
            {
                "mediaType": MANIFEST if kind == INDEX else DOCKER,
                "digest": digest,
                "size": self.path(digest).stat().st_size,
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in children.items()
        ]
        return self.put(name, tag, {"schemaVersion": 2, "mediaType": kind, "manifests": manifests})

    def signature(self, name: str, subject: str, *, tagged: bool) -> str:
        """Put a signature: under the tag that cosign gives it, or as a manifest with a subject."""
        tag = f"{subject.replace(':', '-')}.sig" if tagged else ""
        about: dict[str, Any] = {} if tagged else {"subject": {"mediaType": MANIFEST, "digest": subject, "size": 1}}
        return self.image(name, tag, f"signature of {subject[-4:]} {tagged}", **about)

    def upload(self, name: str, number: str, content: bytes, *, hours: float = 0) -> Path:
        """Begin an upload that never ended, some hours ago."""
        path = self.repository(name) / "_uploads" / number / "data"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return self.age(path, hours)

    def age(self, path: Path, hours: float) -> Path:
        """Have a file be some hours old."""
        when = path.stat().st_mtime - hours * 3600
        os.utime(path, (when, when))
        return path

    def layer_of(self, digest: str) -> str:
        """Return the digest of an image's only layer."""
        return str(json.loads(self.path(digest).read_bytes())["layers"][0]["digest"])


class Served(UserDict[str, bytes]):
    """What a registry gives of a storage at the moment: tags, and manifests and layers that repositories know."""

    def __init__(self, made: MadeStorage) -> None:
        super().__init__()
        self._made = made
        self.put: dict[str, bytes] = {}
        self.hidden: set[str] = set()

    def items(self) -> ItemsView[str, bytes]:
        """Return all of one moment; a look at the storage for each of them would take seconds."""
        return self.data.items()

    @property
    def data(self) -> dict[str, bytes]:
        """Contents by path."""
        return {path: it for path, it in (*self.put.items(), *self._given()) if path not in self.hidden}

    @data.setter
    def data(self, put: dict[str, bytes]) -> None:
        self.put = put

    def _given(self) -> Iterator[tuple[str, bytes]]:
        repositories = self._made.root / "repositories"
        for link in repositories.rglob("link"):
            name, _, rest = str(link.parent.relative_to(repositories)).partition("/_")
            kind, digest = "blobs" if rest.startswith("layers") else "manifests", ":".join(link.parts[-3:-1])
            if rest.endswith("/current"):
                digest = link.read_text()
                yield from self._given_by(f"/v2/{name}/manifests/{link.parts[-3]}", digest)
            elif "/index/" not in rest:
                yield from self._given_by(f"/v2/{name}/{kind}/{digest}", digest)

    def _given_by(self, path: str, digest: str) -> Iterator[tuple[str, bytes]]:
        if self._made.path(digest).is_file():
            yield path, self._made.path(digest).read_bytes()
