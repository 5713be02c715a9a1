"""What the lab leaves behind on the engine that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.outer import left, snapshot

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.lab import Lab


def test_the_lab_changes_nothing_of_the_configuration_the_trust_and_the_images_of_the_engine_that_carries_it(
    run: Run, lab: Lab
) -> None:
    assert left(run.before, snapshot(run.engine), lab.marks) == []
