"""Collects the facts about the bucket that holds the images, by asking it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from trusted_registry import defaults
from trusted_registry.bucket.location import Location
from trusted_registry.doctor.facts import BucketFacts
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe, probe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.settings import Settings


def find(settings: Settings) -> BucketFacts | None:
    """Return the facts about the bucket that holds the images; None if a volume does."""
    if not settings.storage:
        return None
    from trusted_registry.bucket import opening, trial

    try:
        opened = opening.opened(settings)
    except RegistryError as error:  # without boto3, or without a key
        return BucketFacts(settings.storage, error)
    return gather(opened.location, lambda: trial.carry_out(opened))


def gather(location: Location, attempt: Callable[[], object]) -> BucketFacts:
    """Return the facts about a bucket, within ten seconds if its server is silent.

    Args:
        location: The bucket.
        attempt: Trial of all that a registry does there; raises a RegistryError.
    """
    url = urlsplit(location.endpoint or f"https://s3.{location.region}.amazonaws.com")
    at = Endpoint(url.hostname or "", url.port or (80 if url.scheme == "http" else defaults.HTTPS))
    try:
        # Whether its certificate is trusted is the trial's to say; by the clock alone nothing is believed.
        answer = probe.request(at, "GET", "/", None if url.scheme == "http" else probe.unverified())
    except probe.NO_ANSWER as error:
        cure = f"See that the server at {at} runs, and is reached from here."
        return BucketFacts(str(location), RegistryError(f"{location} does not answer: {error}", cure=cure))
    skew = observe.skew(answer.headers.get("date", ""))
    try:
        attempt()
    except RegistryError as error:
        return BucketFacts(str(location), error, skew)
    return BucketFacts(str(location), skew=skew)
