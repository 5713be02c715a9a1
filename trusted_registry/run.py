"""Run: one task's settings and its user's console, which go everywhere together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trusted_registry.console import Console
from trusted_registry.settings import Settings


@dataclass(frozen=True)
class Run:
    """One run of a task.

    Args:
        settings: The registry's settings.
        console: The console that shows commands and results, and asks.
        reread: Reads the settings anew, from the files as they are now.
    """

    settings: Settings
    console: Console
    reread: Callable[[], Settings] | None = None

    def anew(self) -> Run:
        """Return this run with the settings as the files have them now."""
        return dataclasses.replace(self, settings=self.reread()) if self.reread else self

    def with_settings(self, **changes: Any) -> Run:  # noqa: ANN401 - each setting has a type of its own
        """Return this run with some settings changed, and everything else unchanged."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **changes))
