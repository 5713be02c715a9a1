"""The tests that take a program which a fresh machine lacks, on a machine that has them all: a host of the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e import inner

if TYPE_CHECKING:
    import pytest

    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite


def test_every_test_that_takes_a_program_of_a_host_passes_on_one(
    lab: Lab, suite: Suite, pytestconfig: pytest.Config
) -> None:
    (host,) = lab.start({"tester": suite.name})
    inner.passes(host, "--on-host", "-m", pytestconfig.option.markexpr)  # the test command leaves the long ones out
    lab.stop(["tester"])
