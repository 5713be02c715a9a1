"""Run: one task's settings and the console of whoever runs it, which go everywhere together."""

from __future__ import annotations

import dataclasses
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
    """

    settings: Settings
    console: Console

    def with_settings(self, **changes: Any) -> Run:  # noqa: ANN401 - each setting has a type of its own
        """Return this run with some settings changed, and everything else as it is."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **changes))
