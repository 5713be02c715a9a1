"""A registry of the fake engine whose storage is a folder; its container's programs are this machine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import NAME, FakeEngine, container
from tests.images.storages import MadeStorage

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.engine.protocol import Engine


@pytest.fixture
def made(tmp_path: Path) -> MadeStorage:
    """An empty storage."""
    listing = MadeStorage(tmp_path / "storage")
    listing.folder.mkdir()
    return listing


@pytest.fixture
def engine(made: MadeStorage) -> Engine:
    """An engine whose registry has that storage, and runs."""
    found = FakeEngine()
    found.container = container()
    found.storage = made.folder
    assert NAME in found.containers
    return found
