"""Both makers and both shapes, made once for all tests: RSA keys are slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trusted_registry.certificate.make import CertificateKind

Maker = Callable[[str, CertificateKind], Path]

TOOLS = ("openssl", "cryptography")
KINDS = (CertificateKind.AUTHORITY, CertificateKind.SELF_SIGNED)
ANCHORS = {CertificateKind.AUTHORITY: "ca.crt", CertificateKind.SELF_SIGNED: "domain.crt"}
both_tools = pytest.mark.parametrize("tool", TOOLS)
both_kinds = pytest.mark.parametrize("kind", KINDS, ids=["authority", "self-signed"])
