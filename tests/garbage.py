"""Garbage of a test, collected before that ends: the Docker SDK closes some sockets only then."""

from __future__ import annotations

import contextlib
import gc
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def collected(*, quietly: bool = False) -> Iterator[None]:
    """Collect what was left since the beginning; to look through all that was there before takes seconds.

    Args:
        quietly: Whether no warning tells of a socket that is closed so.
    """
    gc.freeze()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            if quietly:
                warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        gc.unfreeze()
