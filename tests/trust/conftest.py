"""What tests of trust share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder of this test's own that every user may enter; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """Settings with a certificate made for them."""
    return certified()
