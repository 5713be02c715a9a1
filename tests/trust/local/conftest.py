"""What tests of this machine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trust.machines import Machine, subject

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.trust.row import Subject


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path / "machine")


@pytest.fixture
def ours(tmp_path: Path) -> Subject:
    """What is to be trusted."""
    return subject(tmp_path / "ours")
