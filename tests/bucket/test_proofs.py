"""Objects that a proof leaves in a bucket: removed, and nobody else's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from trusted_registry.bucket import proofs

if TYPE_CHECKING:
    from tests.s3_store import S3Store

pytestmark = pytest.mark.process

ROOT = "docker/registry/v2/"


def put(s3_store: S3Store, prefix: str, repository: str, layer: bytes) -> str:
    """Write what an image of two contents is in a bucket, without its links of manifests; return its digest."""
    bucket = s3_store.bucket(prefix)
    named = [hashlib.sha256(it).hexdigest() for it in (b"config of " + layer, layer)]
    manifest = f'{{"config": {{"digest": "sha256:{named[0]}"}}, "layers": [{{"digest": "sha256:{named[1]}"}}]}}'
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    for it in named:
        bucket.write(f"{ROOT}repositories/{repository}/_layers/sha256/{it}/link", f"sha256:{it}".encode())
    for it in (*named, digest):
        bucket.write(f"{ROOT}blobs/sha256/{it[:2]}/{it}/data", manifest.encode())
    return f"sha256:{digest}"


def test_a_deleted_proof_goes_with_all_that_it_names_and_nothing_else(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    put(s3_store, prefix, "app", b"one")
    put(s3_store, prefix, "trusted-registry-proof", b"two")
    before = list(bucket.objects())
    digest = put(s3_store, prefix, "trusted-registry-proof", b"three")
    assert len(list(bucket.objects())) == len(before) + 5
    proofs.clear(bucket, digest)
    assert list(bucket.objects()) == before


def test_a_proof_that_is_gone_already_is_no_error(s3_store: S3Store, prefix: str) -> None:
    proofs.clear(s3_store.bucket(prefix), f"sha256:{'0' * 64}")
    assert list(s3_store.bucket(prefix).objects()) == []
