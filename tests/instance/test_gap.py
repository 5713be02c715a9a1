"""How long there is no answer while a registry is replaced is told; that it ends slowly, before that is waited for."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry.instance import predecessor, running
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

ENDING = "registry: it ends what is under way first, up to 8 s"
SLOW = 0.3


class Busy(FakeEngine):
    """An engine whose registries have requests under way when they are told to stop."""

    seconds = 0.0

    def retire(self, name: str) -> None:
        super().retire(name)
        time.sleep(self.seconds)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Busy]:
    """An engine whose registry runs."""
    made = Busy(settings.folder / "domain.crt")
    running.run_tls(Run(settings, Recorder()), made)
    yield made
    made.end()


def _replaced(settings: Settings, engine: Busy) -> list[str]:
    """Have it replaced by a registry of another image, and return what was said of it."""
    engine.images["registry:2"] = "registry:2"
    console = Recorder()
    running.run_tls(Run(dataclasses.replace(settings, image="registry:2"), console), engine)
    return [line for line in console.said if line.startswith("registry: ")]


def test_the_seconds_are_told_in_which_nobody_was_answered(settings: Settings, engine: Busy) -> None:
    engine.seconds = SLOW
    begun = time.monotonic()
    (said,) = _replaced(settings, engine)
    found = re.fullmatch(r"registry: replaced; no answer for (\d+\.\d) s", said)
    assert found
    assert SLOW <= float(found[1]) <= round(time.monotonic() - begun, 1)


@pytest.mark.parametrize(("quick", "said"), [(SLOW / 6, [ENDING]), (SLOW * 10, [])])
def test_that_it_ends_slowly_is_said_before_that_is_waited_for_and_not_of_one_that_ends_at_once(
    quick: float, said: list[str], settings: Settings, engine: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predecessor, "_QUICK", quick)
    engine.seconds = SLOW
    assert _replaced(settings, engine)[:-1] == said


def test_of_one_that_was_not_replaced_nothing_is_told(settings: Settings, engine: Busy, console: Recorder) -> None:
    running.run_tls(Run(settings, console), engine)
    running.stop(Run(settings, console), engine, purge=False)
    running.run_tls(Run(settings, console), engine)
    assert [line for line in console.said if "nobody" in line] == []
