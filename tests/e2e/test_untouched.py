"""What the lab leaves behind on the engine that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.outer import changed, snapshot

if TYPE_CHECKING:
    from tests.e2e.conftest import Run


def test_the_engine_that_carries_the_lab_has_its_configuration_its_trust_and_its_images_as_before(run: Run) -> None:
    others = changed(run.before, snapshot(run.engine))
    assert not others, f"the lab, or somebody else meanwhile, changed on this machine's own engine: {others}"
