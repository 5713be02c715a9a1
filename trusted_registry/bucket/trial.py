"""Trial of a bucket: writes, reads, lists and removes an object, in parts too, and tells which right lacks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from trusted_registry.bucket import faults
from trusted_registry.bucket.client import Bucket
from trusted_registry.errors import StorageError, StorageFault

PREFIX = "trusted-registry-trial-"
_CONTENT = b"Made to try what a registry does in this bucket; it may be removed.\n"
_LEFT_SECONDS = 3600
"""Seconds after which an object of a trial is one that a killed run left."""


def carry_out(bucket: Bucket) -> None:
    """Do in a bucket all that a registry does there.

    Raises:
        StorageError: It does not do as it should; one error names every right that lacks.
    """
    path, read, listed, refused = f"{PREFIX}{secrets.token_hex(8)}", list[bytes](), list[str](), list[StorageError]()
    deeds: tuple[Callable[[], object], ...] = (
        lambda: bucket.write(path, _CONTENT),
        lambda: read.append(bucket.read(path) or b""),
        lambda: listed.extend(_find_object(bucket, path)),
        lambda: bucket.remove([path]),
        lambda: bucket.try_parts(path),
    )
    for deed in deeds:
        try:
            deed()
        except StorageError as error:
            if error.fault is not StorageFault.DENIED:
                raise
            refused.append(error)
    if refused:
        rights = ", ".join(it.right for it in refused)
        raise faults.error(StorageFault.DENIED, refused[0].said, bucket.location, rights)
    if (read, listed, bucket.read(path)) != ([_CONTENT], [path], None):
        raise faults.error(StorageFault.OTHER, "an object is not as it was written", bucket.location, "keep objects")


def _find_object(bucket: Bucket, path: str) -> list[str]:
    """Return the path if it is listed; objects that killed runs left are removed."""
    listed = list(bucket.objects(PREFIX))
    left = [it.path for it in listed if it.changed < time.time() - _LEFT_SECONDS]
    if left:
        bucket.remove(left)
    return [it.path for it in listed if it.path == path]
