"""Proofs in a bucket: the objects that a proof leaves whose manifest was deleted."""

from __future__ import annotations

import re

from trusted_registry.bucket.client import Bucket
from trusted_registry.images.listing import path_of
from trusted_registry.registry.prove import REPOSITORY

_REGISTRY = "docker/registry/v2/"
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_MANIFEST = 4096
"""Bytes of a proof's manifest that are read; it has 500."""


def clear(bucket: Bucket, digest: str) -> None:
    """Remove the contents of a proof: a manifest, its configuration and its layer, made for that proof alone.

    Args:
        bucket: The registry's bucket.
        digest: Digest of the manifest, which was deleted.
    """
    named = [it.decode() for it in _DIGEST.findall(bucket.read(_REGISTRY + path_of(digest), _MANIFEST) or b"")]
    links = [f"repositories/{REPOSITORY}/_layers/{it.replace(':', '/')}/link" for it in named]
    bucket.remove(_REGISTRY + it for it in (*links, *map(path_of, (*named, digest))))
