"""Client of a bucket, and the trial and the marker, in a real store."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.bucket.canned import EMPTY, served
from tests.loopback import silence
from tests.s3_store import ABSENT, BUCKET
from trusted_registry.bucket import client, marker, trial
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.errors import StorageError, StorageFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.s3_store import S3Store

pytestmark = pytest.mark.process

REGISTRY = "docker/registry/v2/blobs/sha256/ab/x/data"


def faulty(deed: Callable[[], object]) -> StorageError:
    """Return the error of a deed."""
    with pytest.raises(StorageError) as caught:
        deed()
    return caught.value


def test_an_object_is_read_as_it_was_written_listed_and_gone_once_removed(s3_store: S3Store, prefix: str) -> None:
    bucket, other = s3_store.bucket(prefix), s3_store.bucket(f"{prefix}-other")
    assert (bucket.read("a/b"), bucket.sha256("a/b"), list(bucket.objects())) == (None, "", [])
    bucket.write("a/b", b"one")
    bucket.write("a/c", b"")
    other.write("a/b", b"other")
    bucket.write("a/b", b"three")
    assert (bucket.read("a/b"), bucket.read("a/b", 2), b"".join(bucket.stream("a/b"))) == (b"three", b"th", b"three")
    assert [(it.path, it.size) for it in bucket.objects("a/")] == [("a/b", 5), ("a/c", 0)]
    found = next(bucket.objects())
    assert abs(found.changed - time.time()) < 60
    assert found.mark
    bucket.copy("a/b", "d")
    bucket.remove(["a/b", "a/c", "not/there"])
    assert [it.path for it in bucket.objects()] == ["d"]
    assert other.read("a/b") == b"other"


def test_no_folder_is_left_of_what_went(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    for path in ("tags/1/current/link", "tags/1/index/a/link", "tags/2/current/link"):
        bucket.write(path, b"x")
    bucket.remove(["tags/1/current/link", "tags/1/index/a/link"])
    said = bucket._client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/tags/", Delimiter="/")
    assert [it["Prefix"] for it in said["CommonPrefixes"]] == [f"{prefix}/tags/2/"]
    assert [it.path for it in bucket.objects()] == ["tags/2/current/link"]


def test_no_later_write_has_an_earlier_time_than_the_clock(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    before = bucket.clock()
    bucket.write("a", b"x")
    (found,) = bucket.objects()
    assert before <= found.changed <= bucket.clock()


def test_keys_that_begin_with_the_prefix_s_letters_alone_are_not_under_it(s3_store: S3Store, prefix: str) -> None:
    s3_store.bucket(f"{prefix}x").write("a", b"1")
    assert list(s3_store.bucket(prefix).objects()) == []


def test_a_large_object_is_uploaded_in_parts_and_streamed(s3_store: S3Store, prefix: str) -> None:
    content, bucket = os.urandom((client._PART * 2) + 7), s3_store.bucket(prefix)
    bucket.upload("large", io.BytesIO(content))
    assert b"".join(bucket.stream("large")) == content
    bucket.copy("large", "copied")
    assert bucket.sha256("copied") == bucket.sha256("large")


def test_more_objects_are_listed_and_removed_than_one_answer_has(
    s3_store: S3Store, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_AT_ONCE", 7)
    bucket = s3_store.bucket(prefix)
    names = [f"{number:02}" for number in range(20)]
    for name in names:
        bucket.write(name, b"x")
    pages = bucket._client.get_paginator("list_objects_v2").paginate(
        Bucket="images", Prefix=prefix, PaginationConfig={"PageSize": 5}
    )
    assert len(list(pages)) >= 4
    assert [it.path for it in bucket.objects()] == names
    bucket.remove(names)
    assert list(bucket.objects()) == []


@pytest.mark.parametrize(
    "answer",
    [
        "<html>Welcome!</html>",
        "<ListBucketResult></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        EMPTY.replace("false", "true"),
        EMPTY.replace("</List", "<Contents><Key>lan/a</Key><Size>1</Size></Contents></List"),
        EMPTY.replace("</List", "<Contents><Key>lan/a</Key><LastModified>soon</LastModified></Contents></List"),
    ],
)
def test_what_is_no_list_or_is_cut_short_is_never_taken_for_all_that_there_is(answer: str) -> None:
    with served(answer) as bucket:
        assert "s3://images/lan" in faulty(lambda: list(bucket.objects())).message
    with served() as bucket:
        assert list(bucket.objects()) == []


def test_a_removal_has_the_checksum_that_older_stores_insist_on(s3_store: S3Store, prefix: str) -> None:
    bucket, sent = s3_store.bucket(prefix), list[tuple[bytes, str]]()

    def note(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        sent.append((request.body, request.headers["Content-MD5"].decode()))

    events = bucket._client.meta.events
    events.register("before-send.s3.DeleteObjects", note)
    bucket.write("a", b"x")
    bucket.remove(["a"])
    events.unregister("before-send.s3.DeleteObjects", note)
    assert [base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() for body, _ in sent] == [
        md5 for _, md5 in sent
    ]
    assert (len(sent), bucket.read("a")) == (1, None)


@pytest.mark.parametrize(
    ("way", "size", "in_body"),
    [("write", 300, False), ("write", 300, True), ("upload", 3 << 20, False), ("upload", 3 << 20, True)],
)
def test_a_write_that_is_cut_after_its_headers_or_later_leaves_what_was_there(  # noqa: PLR0913 - one case each
    *, way: str, size: int, in_body: bool, s3_store: S3Store, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_store.bucket(prefix)
    bucket.write("record", b"as it was")
    with monkeypatch.context() as patched:
        cut(patched, in_body=in_body)
        with pytest.raises(StorageError):
            bucket.write("record", bytes(size)) if way == "write" else bucket.upload("record", io.BytesIO(bytes(size)))
    time.sleep(0.5)  # in which a store that takes a part for the whole would write that
    assert bucket.read("record") == b"as it was"
    bucket.write("record", b"anew")
    assert bucket.read("record") == b"anew"


def cut(patched: pytest.MonkeyPatch, *, in_body: bool) -> None:
    """Have connections end as those of a killed process do: after the headers, or in the middle of what follows."""
    whole, sent = http.client.HTTPConnection.send, []

    def send(self: http.client.HTTPConnection, data: Any) -> None:  # noqa: ANN401 - bytes, or what has them
        sent.append(data)
        if len(sent) == 1:
            whole(self, data)
            return
        if in_body:
            whole(self, data[: len(data) // 2] if isinstance(data, bytes) else data.read(100))
        os.close(self.sock.detach())
        raise ConnectionResetError

    patched.setattr(http.client.HTTPConnection, "send", send)


def test_a_stream_of_what_is_not_there_is_an_error(s3_store: S3Store, prefix: str) -> None:
    assert "is not in s3://" in faulty(lambda: list(s3_store.bucket(prefix).stream("gone"))).message


@pytest.mark.parametrize(
    ("identity", "secret", "bucket", "fault", "words"),
    [
        ("all", "wrong", "images", StorageFault.CREDENTIALS, "does not know this access key"),
        ("nobody", "nobody-secret", "images", StorageFault.CREDENTIALS, "does not know this access key"),
        ("reader", "reader-secret", "images", StorageFault.DENIED, "refuses to write"),
        ("stranger", "stranger-secret", "images", StorageFault.DENIED, "refuses to write"),
    ],
)
def test_a_store_that_refuses_is_told_with_its_kind_and_no_secret(  # noqa: PLR0913, PLR0917 - one case each
    identity: str, secret: str, bucket: str, fault: StorageFault, words: str, s3_store: S3Store
) -> None:
    opened = Bucket(s3_store.location("x", bucket), Credentials(identity, secret))
    error = faulty(lambda: opened.write("a", b"1"))
    assert (error.fault, words in error.message) == (fault, True), error.message
    assert secret not in f"{error.message}{error.cure}{opened.location}".replace(identity, "")
    assert "\n" not in error.message


def test_a_bucket_that_does_not_exist_is_told(s3_store: S3Store) -> None:
    error = faulty(lambda: trial.carry_out(s3_store.bucket("x", bucket=ABSENT)))
    assert (error.fault, error.message) == (
        StorageFault.NO_BUCKET,
        f"There is no bucket absent at {s3_store.endpoint}.",
    )


def test_an_endpoint_whose_authority_is_not_given_is_not_trusted(s3_store: S3Store) -> None:
    at = Location("images", "x", s3_store.endpoint)
    error = faulty(lambda: Bucket(at, Credentials("all", "all-secret")).read("a"))
    again = f"./inv registry.storage s3://images/x --endpoint {s3_store.endpoint} --ca FILE"
    assert (error.fault, error.cure) == (StorageFault.UNTRUSTED, again)


def test_no_variable_and_no_file_of_a_person_s_own_is_heeded(
    s3_store: S3Store, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ns3 =\n  addressing_style = virtual\n  use_accelerate_endpoint = true\n")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(config))
    for name in ("PROFILE", "REGION", "ACCESS_KEY_ID", "SESSION_TOKEN", "RETRY_MODE", "CA_BUNDLE", "MAX_ATTEMPTS"):
        monkeypatch.setenv(f"AWS_{name}", "nobody's")
    for name in ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    bucket = s3_store.bucket(prefix)
    bucket.write("a", b"1")
    assert bucket.read("a") == b"1"
    amazon = Bucket(Location("images", region="eu-central-1"), Credentials("KEY", "secret"))
    assert amazon._client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"


def test_a_store_that_is_away_is_told_soon() -> None:
    with silence() as port:
        since = time.monotonic()
        opened = Bucket(Location("images", "x", f"https://127.0.0.1:{port}"), Credentials("all", "all-secret"))
        assert faulty(lambda: opened.read("a")).fault is StorageFault.AWAY
    assert time.monotonic() - since < 20


def test_a_trial_leaves_nothing(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    bucket.write(f"{trial.PREFIX}left", b"by a run that was killed just now")
    trial.carry_out(bucket)
    assert [it.path for it in bucket.objects()] == [f"{trial.PREFIX}left"]
    assert "Uploads" not in bucket._client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)


def test_what_a_killed_trial_left_goes_after_an_hour(
    s3_store: S3Store, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_store.bucket(prefix)
    bucket.write(f"{trial.PREFIX}left", b"1")
    monkeypatch.setattr(trial, "_LEFT_SECONDS", -60)
    trial.carry_out(bucket)
    assert list(bucket.objects()) == []


@pytest.mark.parametrize(
    ("identity", "rights"),
    [
        ("reader", "write, delete, upload in parts"),
        ("writer", "read, list, upload in parts"),
        ("stranger", "write, read, list, delete, upload in parts"),
    ],
)
def test_a_trial_names_every_right_that_lacks(identity: str, rights: str, s3_store: S3Store, prefix: str) -> None:
    error = faulty(lambda: trial.carry_out(s3_store.bucket(prefix, identity)))
    assert error.fault is StorageFault.DENIED
    assert error.message.startswith(f"s3://images/{prefix} refuses to {rights}: "), error.message


def test_a_bucket_belongs_to_who_claimed_it_first(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    marker.claim(bucket, "mine")
    bucket.write(REGISTRY, b"1")
    marker.claim(bucket, "mine")
    error = faulty(lambda: marker.claim(bucket, "yours"))
    assert (error.fault, "belongs to another installation" in error.message) == (StorageFault.FOREIGN, True)
    assert b"mine" in (bucket.read(marker.NAME) or b"")


def test_a_bucket_with_a_registry_that_left_no_marker_is_refused(s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    bucket.write(REGISTRY, b"1")
    assert faulty(lambda: marker.claim(bucket, "mine")).fault is StorageFault.FOREIGN
    assert bucket.read(marker.NAME) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"installation": ["mine"]}', b"[" * 4000])
def test_a_marker_that_is_none_is_somebody_else_s(content: bytes, s3_store: S3Store, prefix: str) -> None:
    bucket = s3_store.bucket(prefix)
    bucket.write(marker.NAME, content)
    assert faulty(lambda: marker.claim(bucket, "mine")).fault is StorageFault.FOREIGN
