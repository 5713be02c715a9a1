"""Collects the facts about the bucket that holds the images, by asking it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trusted_registry.doctor.facts import BucketFacts
from trusted_registry.errors import RegistryError
from trusted_registry.settings import Settings

if TYPE_CHECKING:
    from trusted_registry.bucket.client import Bucket

_SECONDS = 5
"""Seconds that a silent server is waited for, once."""


def find(settings: Settings) -> BucketFacts | None:
    """Return the facts about the bucket that holds the images; None if a volume does."""
    if not settings.storage:
        return None
    from trusted_registry.bucket import opening

    try:
        return ask(opening.opened(settings).bounded(_SECONDS))
    except RegistryError as error:  # without boto3, or without a key
        return BucketFacts(settings.storage, error)


def ask(bucket: Bucket) -> BucketFacts:
    """Return the facts about a bucket; one that does not tell its time is asked for nothing more."""
    from trusted_registry.bucket import trial

    at, skew = str(bucket.location), None
    try:
        skew = time.time() - bucket.clock()
        trial.carry_out(bucket)
    except RegistryError as error:
        return BucketFacts(at, error, skew)
    return BucketFacts(at, skew=skew)
