"""Threads: a wait for others, and work of our own meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def beside(wait: Callable[[], _Result], meanwhile: Callable[[], None]) -> _Result:
    """Return the result of a call that waits for others, and make another call meanwhile.

    An error of either comes when both have ended, that of the other call first.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting = thread.submit(wait)
        meanwhile()
        return waiting.result()
