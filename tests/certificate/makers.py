"""Both makers and both shapes, made once for all tests: RSA keys are slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trusted_registry.certificate.make import Shape

Maker = Callable[[str, Shape], Path]

TOOLS = ("openssl", "cryptography")
SHAPES = (Shape.AUTHORITY, Shape.SELF_SIGNED)
ANCHORS = {Shape.AUTHORITY: "ca.crt", Shape.SELF_SIGNED: "domain.crt"}
both_tools = pytest.mark.parametrize("tool", TOOLS)
both_shapes = pytest.mark.parametrize("shape", SHAPES, ids=["authority", "self-signed"])
