"""Checks of the bucket that holds the images: whether it takes, gives, lists and removes objects, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding

SKEW = 300.0
"""Seconds of clock difference that yield a finding: S3 refuses what was signed 15 minutes before or after."""


def bucket(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a bucket that does not do as it should, and for a clock that it will not accept."""
    found = facts.bucket
    if found is None:
        return
    if found.error:
        cause = f"The registry keeps its images in {found.location}: pushes fail, and pulls of what it cannot read."
        yield Finding("bucket", found.error.message, cause, (found.error.cure,))
    if found.skew is not None and abs(found.skew) > SKEW:
        way = "ahead of" if found.skew > 0 else "behind"
        evidence = f"this machine's clock is {abs(found.skew):.0f} seconds {way} that of {found.location}"
        cause = "The registry signs its requests with the time, and S3 refuses those of another quarter of an hour."
        cure = "sudo timedatectl set-ntp true  # on the machine whose clock is wrong: date --utc"
        yield Finding("clock", evidence, cause, (cure,))
