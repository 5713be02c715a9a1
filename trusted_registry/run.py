"""Run: one task's settings and the console of whoever runs it, which go everywhere together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
