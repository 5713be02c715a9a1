"""One run at a time changes the registry of a checkout: its container, its users, its certificate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trusted_registry import files, key_folder
from trusted_registry.run import Run


@contextlib.contextmanager
def held(run: Run, *, to_end: bool = False) -> Iterator[None]:
    """Hold the lock for one run; a second run waits for a minute. A dry run holds nothing.

    Callers ask questions and read users' passwords before; sudo's own may be waited for meanwhile.

    Args:
        run: The task that wants the lock.
        to_end: Whether that run only takes away: then a missing folder is not made for the lock.

    Raises:
        RegistryError: The folder may be changed by others, so that no key is safe there.
    """
    if not to_end:
        key_folder.check(run.settings.folder, run.console)
    if run.console.dry or (to_end and not files.exists(run.settings.folder)):
        yield
        return
    with files.locked(run.settings.folder, name=".up.lock"):
        yield
