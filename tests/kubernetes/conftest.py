"""A registry whose images are in a bucket, and its manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kubernetes.objects import Made
from tests.recorder import Recorder
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakeSettings


@pytest.fixture
def make(certified: MakeSettings) -> Callable[..., Made]:
    """A maker of manifests for a registry with a certificate and a bucket; keyword arguments are settings."""

    def make(**given: str) -> Made:
        settings = certified(**{"storage": "s3://images/lan", "storage_endpoint": "https://192.168.0.9:8333", **given})
        Credentials("AKIA", "topsecret").keep(settings.folder)
        return Made(Run(settings, Recorder()))

    return make
