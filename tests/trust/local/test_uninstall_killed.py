"""A run that was killed, however far it came, is finished by the next one or taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.trust.boxes import Box, states
from tests.trust.local.uninstalls import FILES, START, others, remove, trust
from trusted_registry.trust.local import apply, ledger
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.console import Console
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.plan import Plan

pytestmark = pytest.mark.usefixtures("this_machine")


class Killed(BaseException):
    """What no handler expects: as good as a kill."""


def _killed_after(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let a run die at its n-th store, after the ledger was told and before anything is written."""
    real, done = apply.carry_out, []

    def carry_out(plan: Plan, console: Console) -> None:
        done.append(plan.store)
        if len(done) == number:
            raise Killed
        real(plan, console)

    monkeypatch.setattr(apply, "carry_out", carry_out)


@START
@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_run_that_was_killed_can_be_taken_back(
    number: int, start: Callable[[Box], None], box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(box)
    before = snapshot(box.root)
    with monkeypatch.context() as patch:
        _killed_after(patch, number)
        with pytest.raises(Killed):
            trust(settings)
    remove(settings)
    assert (snapshot(box.root), ledger.read(ledger.path())) == (before, [])


@START
@pytest.mark.parametrize("number", [1, 3, 6, 9])
def test_a_run_that_was_killed_between_two_files_is_finished_by_the_next_and_taken_back(
    number: int, start: Callable[[Box], None], box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(box)
    before = snapshot(box.root)
    steps = []
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if box.root in target.parents:
            steps.append(target)
            if len(steps) == number:
                raise Killed
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            trust(settings)
    trust(settings)
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}
    remove(settings)
    assert snapshot(box.root) == before


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_removal_that_was_killed_is_finished_by_the_next(
    number: int, box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    others(box)
    before = snapshot(box.root)
    trust(settings)
    with monkeypatch.context() as patch:
        _killed_after(patch, number)
        with pytest.raises(Killed):
            remove(settings)
    remove(settings)
    assert (snapshot(box.root), ledger.read(ledger.path())) == (before, [])


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_removal_that_was_killed_between_a_file_and_its_folders_is_finished_by_the_next(
    number: int, box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(box.root)
    trust(settings)
    real, steps = Path.rmdir, []

    def rmdir(path: Path) -> None:
        steps.append(path)
        if len(steps) == number:
            raise Killed
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", rmdir)
        with pytest.raises(Killed):
            remove(settings)
    remove(settings)
    assert (snapshot(box.root), ledger.read(ledger.path())) == (before, [])
