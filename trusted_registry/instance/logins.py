"""Logins of a registry that runs: its users are those of the certificates' folder, at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry.instance.model import File
from trusted_registry.registry import users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.registry.users import Login
    from trusted_registry.run import Run


def share(run: Run, engine: Engine) -> None:
    """Have the registry here know the users as they are now, if it asks for a login at all.

    A registry of a version before the volumes of files reads them in place.
    """
    container = engine.find(run.settings.container)
    path = users.users_file(run.settings.folder)
    if container and container.files_volume and path.exists():
        content = File(users.FILE, path, path.read_bytes(), secret=True, live=True)
        engine.fill(container.files_volume, container.installation, container.image, [content])


@contextlib.contextmanager
def temporary_login(run: Run, engine: Engine) -> Iterator[Login | None]:
    """Yield a login that the registry here takes until the context ends; None where it asks for none."""
    with contextlib.ExitStack() as stack:
        if users.is_login_required(run.settings.folder) and not run.console.dry:
            stack.callback(share, run, engine)
        login = stack.enter_context(users.temporary_login(run.settings.folder, run.console))
        if login:
            share(run, engine)
        yield login
