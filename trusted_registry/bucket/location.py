"""Location of a registry's images in S3 storage: bucket, prefix, and the way to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Location:
    """Bucket, and prefix of the keys in it; endpoint is "" for Amazon's own of the region.

    Args:
        bucket: Name of the bucket.
        prefix: First part of all keys, without slashes at its ends; "" for none.
        endpoint: URL of the store, such as https://192.168.0.9:8333; "" for Amazon's.
        region: Region by which requests are signed.
        authority: File of the authorities that vouch for the endpoint; None for those of this machine.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    authority: Path | None = None

    def __str__(self) -> str:
        """Return the form that a person types."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    def key(self, path: str) -> str:
        """Return the key of a path below the prefix, as the registry's storage driver forms it."""
        return f"{self.prefix}/{path}" if self.prefix else path
