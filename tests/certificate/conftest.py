"""A machine that stays as it is: engines on the real one may add and remove addresses while a test runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.certificate.profiles import planned
from tests.conftest import ADDRESS
from tests.recorder import Recorder
from trusted_registry.certificate import issue, make
from trusted_registry.certificate.make import CertificateKind
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificate.makers import Maker
    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted_registry.address.own_addresses", lambda: (ADDRESS, "172.17.0.1"))
    monkeypatch.setattr("trusted_registry.address.own_name", lambda: "box.local")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """A maker of each shape by each tool, once for all tests: RSA keys are slow."""
    known: dict[tuple[str, CertificateKind], Path] = {}

    def of(tool: str, kind: CertificateKind) -> Path:
        if (tool, kind) not in known:
            folder = tmp_path_factory.mktemp("certs")
            profile = planned("rsa:2048" if kind is CertificateKind.SELF_SIGNED else "ec:P-256")
            make.make(profile, kind, folder, Recorder(), tool=tool)
            known[tool, kind] = folder
        return known[tool, kind]

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
def issued(settings: Settings, console: Recorder) -> Path:
    """A folder with an authority and a server certificate."""
    issue.ensure(Run(settings, console))
    return settings.folder


@pytest.fixture
def self_signed(settings: Settings, console: Recorder) -> Path:
    """A folder with the document's single certificate."""
    issue.ensure(Run(settings, console), self_signed=True)
    return settings.folder
