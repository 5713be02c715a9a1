"""Where there is no .venv yet: what a machine must have, and what is said where it has not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.inv.checkouts import Checkout, assert_ran, assert_refused, fake_python

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.process


class TestFirstUse:
    """No .venv yet: what a machine must have, and what is said where it has not."""

    def test_it_makes_the_environment_and_runs_invoke_in_it(self, fresh: Checkout) -> None:
        done = fresh.inv("up", "--address", "two words", "$(id)")
        assert_ran(done, fresh, ["up", "--address", "two words", "$(id)"])
        assert "making .venv" in done.stderr
        assert fresh.builds == 1

    def test_without_python_it_says_how_to_get_one(self, fresh: Checkout, only: Callable[..., str]) -> None:
        done = fresh.inv("--list", PATH=only())
        assert_refused(done, fresh, "python3 was not found", "3.10", "apt-get install python3")

    def test_a_python_that_is_named_and_missing_is_an_error(self, fresh: Checkout) -> None:
        assert_refused(fresh.inv(PYTHON="python3.99"), fresh, "python3.99 was not found")

    def test_python_3_9_is_too_old(self, fresh: Checkout, only: Callable[..., str]) -> None:
        done = fresh.inv("--list", PATH=only(fake_python("3.9.18")))
        assert_refused(done, fresh, "Python 3.9.18 is too old", "3.10 or later", "PYTHON=python3.12 ./inv")

    @pytest.mark.long
    def test_python_3_10_is_not_and_may_go_by_another_name(self, fresh: Checkout, only: Callable[..., str]) -> None:
        path = only(fake_python("3.10.0"))
        Path(path, "python3").rename(Path(path, "other"))
        assert_ran(fresh.inv("--list", PATH=path, PYTHON="other"), fresh, ["--list"])

    @pytest.mark.parametrize("missing", ["venv", "ensurepip"])
    def test_a_python_without_venv_is_an_error(self, fresh: Checkout, only: Callable[..., str], missing: str) -> None:
        # None in sys.modules makes an import fail as that of a missing module does.
        done = fresh.inv("--list", PATH=only(fake_python(prelude=f"sys.modules['{missing}'] = None; ")))
        assert_refused(done, fresh, "no venv module", "apt-get install python3-venv")

    def test_a_read_only_checkout_is_an_error(self, read_only_checkout: Checkout) -> None:
        assert_refused(read_only_checkout.inv("--list"), read_only_checkout, ".venv cannot be made", "may write to")
