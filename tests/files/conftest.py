"""What tests of the disk share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes nothing away, so that a file is as private as the code makes it."""
    before = os.umask(0)
    yield
    os.umask(before)
