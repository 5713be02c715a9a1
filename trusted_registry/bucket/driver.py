"""Storage driver of a registry whose images are in a bucket: its options."""

from __future__ import annotations

from trusted_registry.bucket import credentials, opening
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.settings import Settings


def options(settings: Settings) -> dict[str, str]:
    """Return the values that the registry's configuration has of a bucket; a dry run may have no access key yet."""
    at, keys = opening.location(settings), credentials.read(settings.folder) or Credentials("", "")
    return {
        "bucket": at.bucket,
        "prefix": at.prefix,
        "endpoint": at.endpoint,
        "region": at.region,
        "secure": "false" if at.endpoint.startswith("http://") else "true",
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "token": keys.token,
    }
