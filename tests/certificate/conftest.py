"""A machine that stays as it is: engines on the real one may add and remove addresses while a test runs."""

from __future__ import annotations

import pytest

from tests.conftest import ADDRESS


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted_registry.address.all_own", lambda: (ADDRESS, "172.17.0.1"))
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: "box")
