"""The storage that a registry is asked for is the one that it has, whichever is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import FakeEngine, container
from trusted_registry.errors import RegistryError
from trusted_registry.images import storages
from trusted_registry.images.volume import VolumeStorage

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

SET = ("", "s3://set", "s3://has/it")


@pytest.mark.parametrize("storage", SET)
def test_a_container_with_a_volume_has_its_images_there(storage: str, make_settings: MakeSettings) -> None:
    found = storages.of(container(volume="registry-data"), make_settings(storage=storage), FakeEngine())
    assert isinstance(found, VolumeStorage)


@pytest.mark.parametrize("storage", SET)
def test_a_container_without_one_has_them_in_the_bucket_of_its_label(storage: str, make_settings: MakeSettings) -> None:
    with pytest.raises(RegistryError, match=r"no access key of s3://has/it\."):
        storages.of(container(volume="", bucket="s3://has/it"), make_settings(storage=storage), FakeEngine())
