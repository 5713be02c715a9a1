"""Source of a move, removed when a person says so: a bucket with this installation's marker, and no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bucket.memory_store import image
from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry import installation, saved_flags
from trusted_registry.bucket import marker
from trusted_registry.bucket.moving import Note, read_note
from trusted_registry.errors import RegistryError, StorageError
from trusted_registry.run import Run
from trusted_registry.tasks import registry_move

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.s3_store import S3Store
    from trusted_registry.bucket.client import Bucket

pytestmark = pytest.mark.process

OTHERS = "notes/of-somebody.txt"


@pytest.fixture
def bucket(s3_store: S3Store, prefix: str) -> Bucket:
    """A bucket with an image, and with an object that is no registry's."""
    made = s3_store.bucket(prefix)
    for path, content in {**image("app", "1", b"one"), OTHERS: b"mine"}.items():
        made.write(path, content)
    return made


def _moved(bucket: Bucket, store: S3Store, make_settings: MakeSettings, *, answer: bool = True) -> Run:
    """Return the run of a registry whose images were moved from the bucket to its volume."""
    run = Run(make_settings(), Recorder(answer=answer))
    folder, at = run.settings.folder, str(bucket.location)
    installation.ensure(folder, run.console)
    Note(at, "the volume registry", done=True).save(folder)
    (folder / saved_flags.STORAGE_KEY).write_bytes(store.keys().read_bytes())
    (folder / saved_flags.STORAGE_CA).write_bytes(store.authority.read_bytes())
    return run.with_settings(storage_endpoint=bucket.location.endpoint)


def _paths(bucket: Bucket) -> list[str]:
    return [it.path for it in bucket.objects()]


def test_images_are_removed_from_a_bucket_and_nothing_else(
    bucket: Bucket, s3_store: S3Store, make_settings: MakeSettings
) -> None:
    run = _moved(bucket, s3_store, make_settings)
    bucket.write(marker.NAME, f'{{"installation": "{installation.known(run.settings.folder).id}"}}'.encode())
    registry_move._purge(run, FakeEngine())
    assert _paths(bucket) == [OTHERS, marker.NAME]
    assert read_note(run.settings.folder).source == ""


@pytest.mark.parametrize("content", [b'{"installation": "ff"}', None], ids=["another's", "nobody's"])
def test_a_bucket_that_is_not_this_installation_s_keeps_all(
    content: bytes | None, bucket: Bucket, s3_store: S3Store, make_settings: MakeSettings
) -> None:
    if content:
        bucket.write(marker.NAME, content)
    before = _paths(bucket)
    with pytest.raises(StorageError, match=r"another installation|is not the one that has the images"):
        registry_move._purge(_moved(bucket, s3_store, make_settings), FakeEngine())
    assert _paths(bucket) == before


def test_who_does_not_consent_keeps_all(bucket: Bucket, s3_store: S3Store, make_settings: MakeSettings) -> None:
    before = _paths(bucket)
    with pytest.raises(RegistryError, match="Nothing was removed"):
        registry_move._purge(_moved(bucket, s3_store, make_settings, answer=False), FakeEngine())
    assert _paths(bucket) == before
