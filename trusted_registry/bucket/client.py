"""Client of one bucket: its objects under the registry's prefix, listed, read, written, copied and removed by boto3."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import functools
import hashlib
import io
import itertools
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from trusted_registry.bucket import faults
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.errors import RegistryError, StorageFault

_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 30, 2
_PIECE = 1 << 20
"""Bytes that are read at once."""
_PART = 16 << 20
"""Bytes of a part of an upload; ten thousand parts are the most (S3 API, limits)."""
_AT_ONCE = 1000
"""Keys of one request to delete (S3 API, DeleteObjects)."""
AT_ONCE = 8
"""Questions at a time."""
MOST = 64 << 20
"""Bytes of an object that is read whole."""

_CONTENT = re.compile(r"docker/registry/v2/blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})/data")


class Object(NamedTuple):
    """A file of a registry: path, bytes, last change in seconds since the epoch, and a mark that changes with it."""

    path: str
    size: int
    changed: float
    mark: str

    @property
    def sha256(self) -> str:
        """SHA-256 of a content, in hex, as its path has it; "" of any other file."""
        found = _CONTENT.fullmatch(self.path)
        return found[1] if found else ""


class Bucket:
    """Objects of a bucket under one prefix; paths are relative to the prefix, and are those of a volume's files.

    Every method raises StorageError: no answer, no right, no bucket, and so on.

    Args:
        location: The bucket and the way there.
        credentials: Its access key.
        seconds: Seconds that a silent store is waited for.
    """

    def __init__(self, location: Location, credentials: Credentials, seconds: int = _READ_SECONDS) -> None:
        self.location = location
        self._credentials = credentials
        _require_boto3()  # of which the next line knows the errors
        with faults.told(location, "answer"):
            self._client = _client(location, credentials, seconds)

    def bounded(self, seconds: int) -> Bucket:
        """Return the same bucket for somebody who does not wait for longer."""
        return Bucket(self.location, self._credentials, seconds)

    def clock(self) -> float:
        """Return the store's time in whole seconds since the epoch: no later write has an earlier one."""
        with faults.told(self.location, "list"):
            said = self._client.list_objects_v2(
                Bucket=self.location.bucket, Prefix=self.location.key("clock"), MaxKeys=1
            )
        with contextlib.suppress(ValueError, TypeError):
            return email.utils.parsedate_to_datetime(said["ResponseMetadata"]["HTTPHeaders"].get("date")).timestamp()
        return time.time()

    def objects(self, path: str = "") -> Iterator[Object]:
        """Yield the objects whose paths begin so, in the order of their keys."""
        cut = len(self.location.key(""))
        with faults.told(self.location, "list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=self.location.key(path)
            )
            for it in itertools.chain.from_iterable(self._listed(page) for page in pages):
                if it["Key"].startswith(self.location.key("")):
                    changed = it["LastModified"].timestamp()
                    yield Object(it["Key"][cut:], int(it["Size"]), changed, str(it.get("ETag", "")).strip('"'))

    def _listed(self, page: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Return the objects of a page, which says whether there is another one.

        Raises:
            StorageError: So it does not: nobody takes a list that is none, or is cut short, for all that there is.
        """
        if "IsTruncated" not in page or (page["IsTruncated"] and not page.get("NextContinuationToken")):
            raise faults.error(StorageFault.OTHER, "its list is cut short", self.location, "list")
        found: Iterable[Mapping[str, Any]] = page.get("Contents", ())
        return found

    def read(self, path: str, most: int = MOST) -> bytes | None:
        """Return an object's first bytes, `most` of them; None where there is none."""
        with faults.absent(), faults.told(self.location, "read"):
            got = self._client.get_object(Bucket=self.location.bucket, Key=self.location.key(path))
            with contextlib.closing(got["Body"]) as body:
                return bytes(body.read(most))
        return None

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield an object's bytes in pieces.

        Raises:
            StorageError: It is not there, among others, or ends before its length.
        """
        with faults.told(self.location, "read"):
            got = self._client.get_object(Bucket=self.location.bucket, Key=self.location.key(path))
            with contextlib.closing(got["Body"]) as body:
                yield from body.iter_chunks(_PIECE)

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of an object's bytes in hex, as they are read now; "" where there is none."""
        with faults.absent():
            return sha256(self.stream(path))
        return ""

    def write(self, path: str, content: bytes) -> None:
        """Write an object, over one that is there."""
        with faults.told(self.location, "write"):
            self._client.put_object(Bucket=self.location.bucket, Key=self.location.key(path), Body=content)

    def upload(self, path: str, source: IO[bytes]) -> None:
        """Write an object of any size from a stream, in parts; nothing is there before all of it is."""
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=2)
        with faults.told(self.location, "write"):
            self._client.upload_fileobj(source, self.location.bucket, self.location.key(path), Config=config)

    def try_parts(self, path: str) -> None:
        """Begin an upload in parts, look for such ones, and end it without an object."""
        at = {"Bucket": self.location.bucket, "Key": self.location.key(path)}
        with faults.told(self.location, "upload in parts"):
            upload = {**at, "UploadId": self._client.create_multipart_upload(**at)["UploadId"]}
            try:
                self._client.list_multipart_uploads(Bucket=at["Bucket"], Prefix=at["Key"])
                self._client.list_parts(**upload)
            finally:
                self._client.abort_multipart_upload(**upload)

    def copy(self, source: str, target: str) -> None:
        """Copy an object of up to 5 GB within the bucket (S3 API, CopyObject)."""
        key = {"Bucket": self.location.bucket, "Key": self.location.key(source)}
        with faults.told(self.location, "write"):
            self._client.copy_object(CopySource=key, Bucket=self.location.bucket, Key=self.location.key(target))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error."""
        every = list(paths)
        # SeaweedFS keeps the folders of keys that went, and lists them; one with something in it stays.
        folders = {it.rpartition("/")[0] for it in every if self.location.endpoint}
        folders |= {"/".join(parts[:at]) for parts in (it.split("/") for it in folders) for at in range(1, len(parts))}
        deepest_first = sorted((f"{it}/" for it in folders if it), key=lambda it: -it.count("/"))
        left = itertools.chain(every, deepest_first)
        while some := list(itertools.islice(left, _AT_ONCE)):
            self._remove(some)

    def _remove(self, paths: Sequence[str]) -> None:
        keys = [{"Key": self.location.key(it)} for it in paths]
        with faults.told(self.location, "delete"):
            said = self._client.delete_objects(Bucket=self.location.bucket, Delete={"Objects": keys, "Quiet": True})
        for wrong in said.get("Errors", ()):
            if wrong.get("Code") != "NoSuchKey" and not str(wrong.get("Key")).endswith("/"):
                raise faults.of(str(wrong.get("Code")), str(wrong.get("Message")), self.location, "delete")


def sha256(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256 of a content, in hex."""
    hashed = hashlib.sha256()
    for chunk in chunks:
        hashed.update(chunk)
    return hashed.hexdigest()


def _require_boto3() -> None:
    try:
        import boto3  # noqa: F401 - it brings botocore
    except ImportError:
        cure = ".venv/bin/python -m pip install boto3"
        raise RegistryError("Images in a bucket need the package boto3, which is not installed.", cure=cure) from None


@functools.cache
def _client(location: Location, credentials: Credentials, seconds: int) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
    import boto3
    from botocore.config import Config
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as VARIABLES
    from botocore.session import Session

    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # of a retry it says more than of its reason
    config = Config(
        signature_version="s3v4",
        proxies={},  # the registry uses none either
        connect_timeout=min(_CONNECT_SECONDS, seconds),
        read_timeout=seconds,
        retries={"total_max_attempts": _ATTEMPTS if seconds == _READ_SECONDS else 1, "mode": "standard"},
        max_pool_connections=AT_ONCE,
        s3={"addressing_style": "path" if location.endpoint else "auto"},
        # Other stores than Amazon's know no checksums behind the body.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # The registry knows the key, and nothing of this person's variables, profiles and files.
    without = {name: (None, None, default, kind) for name, (_, _, default, kind) in VARIABLES.items()}
    without |= dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    without |= {"s3": (None, None, {}, None), "ignore_configured_endpoint_urls": (None, None, True, None)}
    session = boto3.session.Session(
        botocore_session=Session(without),
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token or None,
        region_name=location.region,
    )
    verify = str(location.authority) if location.authority else None
    client = session.client("s3", endpoint_url=location.endpoint or None, verify=verify, config=config)
    for operation in ("DeleteObjects", "PutObject"):
        client.meta.events.register(f"before-call.s3.{operation}", _with_md5)
    return client


def _with_md5(params: dict[str, Any], **_: object) -> None:
    """Send the MD5 of a body, which no checksum of boto3 replaces.

    Stores of before 2025 insist on one where objects are deleted, and SeaweedFS 4 takes an upload that was cut after
    its headers, as a kill cuts it, for an empty object, over the one that is there.
    """
    body = io.BytesIO(params["body"]) if isinstance(params["body"], bytes) else params["body"]
    begun, hashed = body.tell(), hashlib.md5(usedforsecurity=False)
    for chunk in iter(lambda: body.read(_PIECE), b""):
        hashed.update(chunk)
    body.seek(begun)
    params["headers"]["Content-MD5"] = base64.b64encode(hashed.digest()).decode()
