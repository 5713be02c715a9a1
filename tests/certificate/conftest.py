"""A machine that stays as it is: engines on the real one may add and remove addresses while a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.certificate.profiles import planned
from tests.conftest import ADDRESS
from tests.recorder import Recorder
from trusted_registry.certificate import issue, make
from trusted_registry.certificate.make import Shape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificate.makers import Maker
    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted_registry.address.all_own", lambda: (ADDRESS, "172.17.0.1"))
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: "box")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """A maker of each shape by each tool, once for all tests: RSA keys are slow."""
    known: dict[tuple[str, Shape], Path] = {}

    def of(tool: str, shape: Shape) -> Path:
        if (tool, shape) not in known:
            folder = tmp_path_factory.mktemp("certs")
            profile = planned("rsa:2048" if shape is Shape.SELF_SIGNED else "ec:P-256")
            make.produce(profile, shape, folder, Recorder(), tool=tool)
            known[tool, shape] = folder
        return known[tool, shape]

    return of


@pytest.fixture
def small_rsa(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep self-signed certificates quick: their key is RSA, of 4096 bits where it counts (test_make.py)."""
    monkeypatch.setattr("trusted_registry.certificate.profile.SELF_SIGNED_KEY", "rsa:2048")


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings that need no program."""
    return make_settings(tool="cryptography")


@pytest.fixture
def issued(settings: Settings, edge: Recorder) -> Path:
    """A folder with an authority and a server certificate."""
    issue.ensure(settings, edge)
    return settings.folder


@pytest.fixture
def self_signed(settings: Settings, edge: Recorder) -> Path:
    """A folder with the document's single certificate."""
    issue.ensure(settings, edge, self_signed=True)
    return settings.folder
