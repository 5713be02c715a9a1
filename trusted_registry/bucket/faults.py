"""Faults of a bucket: codes of S3 and errors of a connection, each as a kind with its message and cure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from trusted_registry.bucket.location import DEFAULT_REGION, Location
from trusted_registry.console import pasteable, visible
from trusted_registry.errors import StorageError, StorageFault

_KEYS = "{again} --credentials FILE  # with an access key that is valid"
_CLOCK = "sudo timedatectl set-ntp true"

_MISSING = {"NoSuchKey", "404", "NotFound"}
"""Codes of an object that is not there; a HEAD has no body, so that its status is all that is said."""

_CODES = {
    "AccessDenied": StorageFault.DENIED,
    "403": StorageFault.DENIED,
    "AllAccessDisabled": StorageFault.DENIED,
    "InvalidAccessKeyId": StorageFault.CREDENTIALS,
    "SignatureDoesNotMatch": StorageFault.CREDENTIALS,
    "InvalidToken": StorageFault.CREDENTIALS,
    "ExpiredToken": StorageFault.EXPIRED,
    "RequestTimeTooSkewed": StorageFault.CLOCK,
    "RequestExpired": StorageFault.CLOCK,
    "NoSuchBucket": StorageFault.NO_BUCKET,
    "InvalidBucketName": StorageFault.NO_BUCKET,
    "AuthorizationHeaderMalformed": StorageFault.REGION,
    "PermanentRedirect": StorageFault.REGION,
    "IllegalLocationConstraintException": StorageFault.REGION,
    "301": StorageFault.REGION,
    "QuotaExceeded": StorageFault.FULL,
    "XMinioStorageFull": StorageFault.FULL,
    "507": StorageFault.FULL,
    "ServiceUnavailable": StorageFault.AWAY,
    "SlowDown": StorageFault.AWAY,
    "InternalError": StorageFault.AWAY,
    "500": StorageFault.AWAY,
    "503": StorageFault.AWAY,
}
"""Faults by the codes of S3 (API reference, error responses), and of stores that speak it."""

_SAID = {
    StorageFault.AWAY: ("{at} does not answer: {said}", "See that the store runs and is reached from here."),
    StorageFault.DENIED: ("{at} refuses to {right}: {said}", "Give its access key that right."),
    StorageFault.CREDENTIALS: ("{at} does not know this access key or its secret: {said}", _KEYS),
    StorageFault.EXPIRED: ("The credentials of {at} have expired.", _KEYS),
    StorageFault.CLOCK: ("{at} refuses this machine's clock: {said}", _CLOCK),
    StorageFault.NO_BUCKET: ("There is no bucket {bucket} at {endpoint}.", "Make it there, or name another one."),
    StorageFault.REGION: (
        "The bucket {bucket} is in another region than {region}: {said}",
        "{again} --region REGION",
    ),
    StorageFault.UNTRUSTED: ("The certificate of {endpoint} is not trusted: {said}", "{again} --ca FILE"),
    StorageFault.FULL: ("{at} takes no more: {said}", "Make room there, or raise its quota."),
    StorageFault.OTHER: ("{at} refuses to {right}: {said}", "./inv doctor"),
}


def of(code: str, said: str, location: Location, right: str) -> StorageError:
    """Return the error of a code that a store gave.

    Args:
        code: The code.
        said: The words with it.
        location: The bucket.
        right: The right that was made use of: list, read, write, delete, or upload in parts.
    """
    if code in _MISSING:
        return StorageError(StorageFault.MISSING, f"An object is not in {location}.", cure="./inv images.check")
    return error(_CODES.get(code, StorageFault.OTHER), f"{code}: {said}" if said else code, location, right)


def error(fault: StorageFault, said: str, location: Location, right: str) -> StorageError:
    """Return the error of a fault, with words of the store, which are cleaned."""
    message, cure = _SAID[fault]
    endpoint = location.endpoint or f"Amazon S3, region {location.region}"
    said = visible(said, keep="")[:200]
    words = {"said": said, "right": right, "at": location, "endpoint": endpoint}
    message = message.format(**words, bucket=location.bucket, region=location.region)
    region = DEFAULT_REGION if fault is StorageFault.REGION else location.region
    authority = None if fault is StorageFault.UNTRUSTED else location.authority
    again = pasteable(replace(location, region=region, authority=authority).command)
    return StorageError(fault, message, cure=cure.format(again=again), right=right, said=said)


@contextlib.contextmanager
def told(location: Location, right: str) -> Iterator[None]:
    """Have errors of boto3 be a StorageError."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as wrong:
        found = wrong.response.get("Error", {})
        raise of(str(found.get("Code", "")), str(found.get("Message", "")), location, right) from wrong
    except exceptions.SSLError as wrong:
        raise error(StorageFault.UNTRUSTED, str(wrong), location, right) from wrong
    except (exceptions.BotoCoreError, OSError) as wrong:
        raise error(StorageFault.AWAY, str(wrong), location, right) from wrong
    except (KeyError, TypeError, ValueError) as wrong:
        raise error(StorageFault.OTHER, f"no answer of S3: {wrong}", location, right) from wrong


@contextlib.contextmanager
def absent() -> Iterator[None]:
    """Leave the context quietly where an object is not there."""
    try:
        yield
    except StorageError as error:
        if error.fault is not StorageFault.MISSING:
            raise
