"""What the lab leaves behind on the engine that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.outer import snapshot

if TYPE_CHECKING:
    from tests.e2e.conftest import Run


def test_the_engine_that_carries_the_lab_has_its_configuration_its_trust_and_its_images_as_before(run: Run) -> None:
    assert snapshot(run.engine) == run.before
