"""Messages of a registry about the bucket that holds its images, as they stand in its log (aws-sdk-go, S3's codes)."""

from __future__ import annotations

from trusted_registry.client_messages.cures import at_registry
from trusted_registry.client_messages.message import Message, Step, server

_S3 = "(?P<peer>s3aws): "
"""The driver's name. As a peer, which no cure takes for the registry: the addresses in such a line are the bucket's."""
_DOCTOR = at_registry("./inv doctor", "asks the bucket itself, and says what is missing")
_KEY = at_registry("./inv registry.storage --credentials FILE", "with a key that is valid; - reads standard input")


def _row(key: str, patterns: tuple[str, ...], cause: str, *cure: Step, beside: str = "") -> Message:
    client = "the registry's own log"
    return server(f"bucket-{key}", patterns, client, cause, (*cure, _DOCTOR), ("bucket",), beside=beside)


MESSAGES = (
    _row(
        "right",
        (rf"{_S3}(?:AccessDenied|AllAccessDisabled|Forbidden)\b",),
        "The bucket knows the registry's access key, and the key lacks a right there. Pulls need s3:GetObject and "
        "s3:ListBucket; pushes need s3:PutObject and s3:DeleteObject too, since a push removes what it used.",
    ),
    _row(
        "gone",
        (rf"{_S3}NoSuchBucket\b",),
        "There is no bucket of that name at the endpoint: it was removed, or is at another one.",
        at_registry("./inv registry.storage", "shows which bucket is meant; make it there, or name the right one"),
    ),
    _row(
        "key",
        (rf"{_S3}(?:SignatureDoesNotMatch|InvalidAccessKeyId|NoCredentialProviders)\b", rf"{_S3}AuthorizationHeader"),
        "The bucket does not know the registry's access key, or the secret is not that key's.",
        _KEY,
        beside=r"SignatureDoes|InvalidAcc|NoCred|Credential is mal-formed",
    ),
    _row(
        "expired",
        (rf"{_S3}(?:ExpiredToken|InvalidToken|TokenRefreshRequired)\b",),
        "The registry's access key was a temporary one, with a session token, and its time is over.",
        _KEY,
    ),
    _row(
        "clock",
        (rf"{_S3}Request(?:TimeTooSkewed|Expired)\b",),
        "The clocks of the registry's machine and of the bucket's differ by more than S3 accepts: 15 minutes.",
        at_registry("sudo timedatectl set-ntp true", "on the machine whose clock is wrong: date --utc"),
    ),
    _row(
        "region",
        (
            rf"{_S3}(?:AuthorizationHeaderMalformed|PermanentRedirect|BucketRegionError|IllegalLocationConstraint)",
            r"panic: invalid region provided",
        ),
        "The bucket is in another region than the one that the registry signs its requests for.",
        at_registry("./inv registry.storage --region REGION", "with the one that the message expects"),
    ),
    _row(
        "untrusted",
        (rf"{_S3}RequestError: send request failed",),
        "The registry does not accept the bucket's certificate: no authority is set that signed it, "
        "or the endpoint has another name or port than the certificate's. Clients have no part in it.",
        at_registry("./inv registry.storage --ca FILE", "with the certificate of the endpoint's authority"),
        beside=r"x509: |: tls: |HTTP response to HTTPS client",
    ),
    _row(
        "full",
        (rf"{_S3}(?:QuotaExceeded|XMinioStorageFull|XMinioAdminBucketQuotaExceeded|InsufficientCapacity)\b",),
        "The bucket is full: its disks, or the quota that was set for it.",
        at_registry("./inv images.usage", "what takes the room, and what would free it; or raise the quota"),
    ),
    _row(
        "away",
        (rf"{_S3}(?:RequestError|RequestCanceled|SlowDown|ServiceUnavailable|InternalError|SerializationError)\b",),
        "The bucket does not answer the registry, or answers that it cannot now. Pushes and pulls fail "
        "meanwhile and work again when it is back: nothing has to be restarted.",
    ),
    _row(
        "other",
        (rf"{_S3}[A-Z]\w{{1,60}}: ", r'"DriverName":"(?P<peer>s3aws)"'),
        "The registry has its images in a bucket, which refuses something or does not answer.",
        at_registry("./inv registry.logs", "says what the bucket answered, behind s3aws"),
    ),
)
