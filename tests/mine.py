"""Lets a run die at a chosen step of moving files into place, as a kill would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Killed(BaseException):
    """What no handler expects: as good as a kill."""


class Mine:
    """Counts what changes names on disk, from the first folder's rename on, and raises at the n-th such step.

    All later steps raise too: whoever was killed cleans nothing up.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.steps = 0
        self.decided: dict[str, bytes] = {}
        self._number = number
        for name in ("rename", "replace", "unlink", "rmdir"):
            monkeypatch.setattr(Path, name, self._mined(name, getattr(Path, name)))

    def _mined(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def step(path: Path, *arguments: object, **options: object) -> object:
            if name == "rename":
                self.decided = {file.name: file.read_bytes() for file in path.iterdir()}
            self.steps += bool(self.decided)
            if self.steps >= self._number:
                raise Killed
            return real(path, *arguments, **options)

        return step
