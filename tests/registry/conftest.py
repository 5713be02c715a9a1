"""What tests of a registry on loopback share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


@pytest.fixture
def settings(certified: MakeSettings) -> Iterator[Settings]:
    """Settings for a registry on loopback, with a certificate."""
    with loopback.silence() as port:
        yield certified(listen=loopback.HOST, port=str(port), plain_port=str(port))
