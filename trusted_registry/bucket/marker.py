"""Marker of a bucket: an object with the id of the installation to which all under the prefix belongs."""

from __future__ import annotations

import json

from trusted_registry.bucket.client import Bucket
from trusted_registry.errors import StorageError, StorageFault
from trusted_registry.images.manifest import json_object

NAME = "trusted-registry-installation.json"
_REGISTRY = "docker/registry/v2/"
_LARGEST = 4096
"""Bytes of a marker that is read."""
_CURE = "./inv registry.storage s3://{}/PREFIX  # one that nobody uses"


def claim(bucket: Bucket, installation: str, *, known: bool = False) -> None:
    """Mark a bucket as an installation's, unless that is done.

    Args:
        bucket: The bucket.
        installation: Id of the installation here.
        known: Whether the images are said to be there already, by another way.

    Raises:
        StorageError: It is another's, has images of a registry that left no marker, or is not the one that is known;
            nothing was changed.
    """
    if _check(bucket, installation):
        return
    if known:
        raise _foreign(bucket, f"at {bucket.location.endpoint or 'Amazon'} is not the one that has the images.")
    if next(bucket.objects(_REGISTRY), None):
        raise _foreign(bucket, "has images of a registry that this project did not set up.")
    bucket.write(NAME, f"{json.dumps({'installation': installation})}\n".encode())
    _check(bucket, installation)  # another one may have claimed it at the same time


def _check(bucket: Bucket, installation: str) -> bool:
    """Whether the marker is the installation's; False where there is none."""
    content = bucket.read(NAME, _LARGEST)
    if content is not None and json_object(content).get("installation") != installation:
        raise _foreign(bucket, "belongs to another installation of this project.")
    return content is not None


def _foreign(bucket: Bucket, whose: str) -> StorageError:
    return StorageError(StorageFault.FOREIGN, f"{bucket.location} {whose}", cure=_CURE.format(bucket.location.bucket))
