"""What tests of instances share with those of a registry on loopback."""

from __future__ import annotations

from tests.registry.conftest import settings

__all__ = ["settings"]
