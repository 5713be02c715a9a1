"""Manifests: images, indexes of images, and signatures, as values (OCI image specification; Docker's manifest v2)."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 4 << 20
"""Bytes of a manifest and of a configuration that are read: distribution's own limit of a manifest."""

_MOST_PARTS = 600_000
"""Values in a JSON text: an index of fifty thousand images has fewer."""

_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,128}")
_SIGNATURE = re.compile(r"(?P<algorithm>sha256)-(?P<hex>[0-9a-f]{64})(?:\.(?:sig|att|sbom))?")
"""Tag of a signature, an attestation or a list of contents (cosign; OCI distribution specification, "Referrers Tag
Schema")."""

_INDEXES = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
_IMAGES = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
_CONFIGS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")
_ATTESTATION = "attestation-manifest"
"""Value of BuildKit's annotation vnd.docker.reference.type (BuildKit, docs/attestations/attestation-storage.md)."""


class Kind(str, enum.Enum):
    """Kind of a manifest, in a word for people and for JSON."""

    IMAGE = "image"
    INDEX = "index"
    SIGNATURE = "signature"
    ARTIFACT = "artifact"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        """Return the word."""
        return self.value


@dataclass(frozen=True)
class Descriptor:
    """Reference to a blob or a manifest: digest, size in bytes, media type, platform, annotations.

    An optional one may lie elsewhere: its manifest names other places.
    """

    digest: str
    size: int
    media_type: str = ""
    platform: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_optional: bool = False

    @property
    def is_attestation(self) -> bool:
        """Whether BuildKit put this manifest into an index beside an image, to tell how that was built."""
        return self.annotations.get("vnd.docker.reference.type") == _ATTESTATION


@dataclass(frozen=True)
class Manifest:
    """Manifest: its kind, its blobs, the manifests that an index leads to, and its subject, if any.

    Args:
        digest: Its digest.
        size: Bytes of the manifest itself.
        kind: Its kind.
        media_type: Media type that the manifest itself names.
        config: Configuration; None of an index.
        layers: Layers, or the blobs of an artifact.
        children: Manifests of an index.
        subject: Digest of the manifest that this one is about; "" without one.
        annotations: Annotations.
    """

    digest: str
    size: int
    kind: Kind
    media_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Blobs that the manifest itself needs."""
        return (*([self.config] if self.config else []), *self.layers)

    @property
    def has_platform(self) -> bool:
        """Whether its configuration tells a platform."""
        return self.kind is Kind.IMAGE and self.config is not None


def parse(digest: str, content: bytes) -> Manifest:
    """Return a manifest; one that is no such JSON, or of a type that nobody knows here, is of the kind UNKNOWN."""
    found = json_object(content)
    media_type = _text(found.get("mediaType"))
    layers = _descriptors(found.get("layers", found.get("blobs"))) or _first_schema(found.get("fsLayers"))
    children, config = _descriptors(found.get("manifests")), _descriptor(found.get("config"))
    subject = _descriptor(found.get("subject"))
    return Manifest(
        digest,
        len(content),
        _kind(found, media_type, config, subject),
        media_type,
        config,
        layers,
        children,
        subject.digest if subject else "",
        _texts(found.get("annotations")),
    )


def _kind(found: Mapping[str, Any], media_type: str, config: Descriptor | None, subject: Descriptor | None) -> Kind:
    if media_type in _INDEXES or (not media_type and isinstance(found.get("manifests"), list)):
        return Kind.INDEX
    if subject:
        return Kind.SIGNATURE
    if config and config.media_type in _CONFIGS:
        return Kind.IMAGE
    known = media_type in _IMAGES or (not media_type and config) or found.get("artifactType")
    return Kind.ARTIFACT if known else Kind.UNKNOWN


def subject_of_tag(tag: str) -> str:
    """Return the digest of the manifest that a tag is a signature of, by the tag's form; "" of every other tag."""
    found = _SIGNATURE.fullmatch(tag)
    return f"{found['algorithm']}:{found['hex']}" if found else ""


def is_digest(text: str) -> bool:
    """Whether a text is a digest: an algorithm, and hex."""
    return bool(_DIGEST.fullmatch(text))


def platform(config: bytes) -> str:
    """Return the platform that an image's configuration names, such as linux/arm64/v8; "" if none."""
    return _platform(json_object(config))


def _platform(found: Mapping[str, Any]) -> str:
    parts = [_text(found.get(key)) for key in ("os", "architecture", "variant")]
    return "/".join(filter(None, parts)) if all(parts[:2]) else ""


def _descriptors(found: object) -> tuple[Descriptor, ...]:
    made = [_descriptor(it) for it in found] if isinstance(found, list) else []
    return tuple(it for it in made if it)


def _first_schema(found: object) -> tuple[Descriptor, ...]:
    """Return the layers of a manifest of Docker's first schema, which tells no sizes."""
    named = [_text(it.get("blobSum")) for it in found if isinstance(it, dict)] if isinstance(found, list) else []
    return tuple(Descriptor(it, 0) for it in named if is_digest(it))


def _descriptor(found: object) -> Descriptor | None:
    if not isinstance(found, dict) or not is_digest(_text(found.get("digest"))):
        return None
    size, platform = found.get("size"), found.get("platform")
    return Descriptor(
        found["digest"],
        size if isinstance(size, int) and 0 <= size < 1 << 60 else 0,
        _text(found.get("mediaType")),
        _platform(platform) if isinstance(platform, dict) else "",
        _texts(found.get("annotations")),
        bool(found.get("urls")),
    )


def json_object(content: bytes) -> dict[str, Any]:
    """Return a JSON object, or {} for anything else, and for one of so many parts that no memory would be left."""
    if sum(map(content.count, (b",", b"{", b"["))) > _MOST_PARTS:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _texts(found: object) -> dict[str, str]:
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}
