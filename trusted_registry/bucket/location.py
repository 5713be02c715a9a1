"""Location of a registry's images in S3 storage: bucket, prefix, and the way to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trusted_registry.defaults import DEFAULTS

DEFAULT_REGION = DEFAULTS["registry"]["storage_region"]
STORAGE, MOVE = ("registry.storage",), ("registry.move", "--to")
"""Words of the tasks that name a bucket."""


@dataclass(frozen=True)
class Location:
    """Bucket, and prefix of the keys in it; endpoint is "" for Amazon's own of the region.

    Args:
        bucket: Name of the bucket.
        prefix: First part of all keys, without slashes at its ends; "" for none.
        endpoint: URL of the store, such as https://192.168.0.9:8333; "" for Amazon's.
        region: Region by which requests are signed.
        authority: File of the authorities that vouch for the endpoint; None for those that boto3 comes with.
        task: Words of the task that names the bucket, for cures.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = DEFAULT_REGION
    authority: Path | None = None
    task: tuple[str, ...] = STORAGE

    def __str__(self) -> str:
        """Return the form that a person types."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @property
    def words(self) -> list[str]:
        """The bucket and the way there, as a person types them."""
        flags = {"--endpoint": self.endpoint, "--region": self.region if self.region != DEFAULT_REGION else ""}
        flags["--ca"] = str(self.authority or "")
        insecure = ["--insecure-storage"] if self.endpoint.startswith("http:") else []
        return [str(self), *(word for flag, value in flags.items() if value for word in (flag, value)), *insecure]

    @property
    def command(self) -> list[str]:
        """The command that names the bucket, to be given again with another flag."""
        return ["./inv", *self.task, *self.words]

    def key(self, path: str) -> str:
        """Return the key of a path below the prefix, as the registry's storage driver forms it."""
        return f"{self.prefix}/{path}" if self.prefix else path
