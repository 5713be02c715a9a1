"""One run at a time changes what the registry of a checkout is: its container, its users, its certificate."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings


@contextlib.contextmanager
def taken(settings: Settings, edge: Edge) -> Iterator[None]:
    """Hold it for one run; a second one waits. No password is waited for meanwhile, and a dry run holds nothing."""
    if edge.dry:
        yield
        return
    with files.locked(settings.folder, name=".up.lock"):
        yield
