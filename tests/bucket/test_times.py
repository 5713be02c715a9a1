"""Times of pushes of what was copied into a real store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.bucket.memory_store import content, image, tag
from trusted_registry.bucket import times
from trusted_registry.bucket.client import Object
from trusted_registry.bucket.stores import BucketStore
from trusted_registry.images.listing import TRASH

if TYPE_CHECKING:
    from tests.s3_store import S3Store

pytestmark = pytest.mark.process
PUSHED = 1_700_000_000


def test_a_link_that_was_copied_has_the_time_of_its_push_until_it_is_pushed_again(
    s3_store: S3Store, prefix: str
) -> None:
    store, files = BucketStore(s3_store.bucket(prefix)), {**image("app", "1", b"one"), **image("app", "2", b"two")}
    entries = {path: Object(path, len(data), PUSHED, "") for path, data in files.items()}
    store.write((entries[path], [data]) for path, data in files.items())
    assert min(it.changed for it in store.entries().values()) > PUSHED
    store.keep_times(entries)
    changed = {path: it.changed for path, it in store.entries().items()}
    assert {path for path, when in changed.items() if when == PUSHED} == {it for it in files if "/_manifests/" in it}
    assert changed[content(b"one")[0]] > PUSHED
    time.sleep(1.1)  # a store's times are whole seconds
    again, link = tag("app", "1", b"one")
    store.bucket.write(again, link)
    assert store.entries()[again].changed > PUSHED
    assert store.entries()[tag("app", "2", b"two")[0]].changed == PUSHED
    assert times.NAME not in store.entries()
    assert not any(TRASH in it for it in store.entries())


def test_only_the_last_times_are_kept(s3_store: S3Store, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "_MOST", 2)
    bucket = s3_store.bucket(prefix)
    times.add(bucket, {"a": (5, 1), "b": (5, 2)})
    times.add(bucket, {"c": (6, 3), "a": (6, 4)})
    assert times.read(bucket) == {"c": (6, 3), "a": (6, 4)}
