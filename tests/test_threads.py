"""Work of our own goes on while others are waited for, and no error is lost with either."""

from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from trusted_registry import threads


def _fail() -> NoReturn:
    raise LookupError


def test_a_call_is_made_while_another_waits() -> None:
    began, ended = threading.Event(), threading.Event()

    def wait() -> str:
        began.set()
        assert ended.wait(5)
        return "answer"

    def meanwhile() -> None:
        assert began.wait(5)
        ended.set()

    assert threads.beside(wait, meanwhile) == "answer"


def test_an_error_of_either_comes_when_both_have_ended() -> None:
    done: list[str] = []
    with pytest.raises(LookupError):
        threads.beside(_fail, lambda: done.append("meanwhile"))
    with pytest.raises(LookupError):
        threads.beside(lambda: done.append("wait"), _fail)
    assert done == ["meanwhile", "wait"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_of_two_errors_that_of_the_call_meanwhile_comes(error: type[BaseException]) -> None:
    def fail() -> NoReturn:
        raise error

    with pytest.raises(error):
        threads.beside(_fail, fail)
