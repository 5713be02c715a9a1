"""All other tests that need no engine, by the Python of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import inner

if TYPE_CHECKING:
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

SECONDS = 2400
"""Seconds for some eleven thousand tests: beside another suite, two processors took 1,100 to over 1,500."""


@pytest.mark.timeout(SECONDS + 60)
def test_every_test_without_an_engine_passes_by_the_python_of_this_suite(lab: Lab, suite: Suite) -> None:
    (host,) = lab.start({"tester": suite.name})
    inner.passes(host, "-m", "not engine and not machine and not browser", seconds=SECONDS)
    lab.stop(["tester"])
