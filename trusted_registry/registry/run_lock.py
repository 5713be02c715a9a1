"""One run at a time changes what the registry of a checkout is: its container, its users, its certificate."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.console import Console
    from trusted_registry.settings import Settings


@contextlib.contextmanager
def held(settings: Settings, console: Console, *, to_end: bool = False) -> Iterator[None]:
    """Hold the lock for one run; a second run waits for a minute. A dry run holds nothing.

    Callers ask questions and read users' passwords before; sudo's own may be waited for meanwhile.

    Args:
        settings: Of which registry.
        console: Of whom.
        to_end: Whether that run only takes away: then no folder is made for it where there is none.
    """
    if console.dry or (to_end and not settings.folder.exists()):
        yield
        return
    with files.locked(settings.folder, name=".up.lock"):
        yield
