"""Roles: the TLS registry and the document's first one, from the settings and the files beside the certificates."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trusted_registry import files, installation, templates
from trusted_registry.instance.model import (
    DRAIN_SECONDS,
    FILES_FOLDER,
    IMAGES_FOLDER,
    LINGER_SECONDS,
    LOOPBACK,
    PORT,
    File,
    Image,
    Instance,
    Published,
    Role,
    Storage,
)
from trusted_registry.registry import users
from trusted_registry.settings import Settings

CONFIG = "registry.yml"

START_SCRIPT = "start.sh"
"""Script that starts the registry and waits for its end, at the engine's own restarts too: templates/start.sh.j2."""

AWAIT = 'trap "exit 143" TERM; until [ -s "$0" ]; do sleep 0.01; done; exec /bin/sh "$0" "$@"'
"""Command of a container that may be started while the engine takes its files, of which the start script is the last.

It takes them in a tenth of a second, and starts a container in three; either may be slow.
"""

REPAIR_SECONDS = 20
"""Seconds that the repair of the storage may take: a hundred thousand blobs take two, or ten from a cold disk."""


def tls(settings: Settings, image: Image, entrypoint: tuple[str, ...] = ()) -> Instance:
    """Return the TLS registry; with users, it requires a login.

    Args:
        settings: The registry's settings.
        image: The image to run.
        entrypoint: The image's entrypoint, if the image has a shell; the result of `Engine.entrypoint`.
    """
    folder = settings.folder
    handed = bool(entrypoint)  # it takes the start script to have another registry take over
    read = [_read(folder, "domain.crt", handed=handed), _read(folder, "domain.key", secret=True, handed=handed)]
    if users.is_login_required(folder):
        path = users.users_file(folder)
        read.append(File(users.FILE, path, _content(path), secret=True, live=True))
    return _instance(Role.TLS, settings, image, entrypoint, Published(settings.listen, settings.port), tuple(read))


def plain(settings: Settings, image: Image, entrypoint: tuple[str, ...] = (), *, lan: bool) -> Instance:
    """Return the document's first registry, which speaks plain HTTP, on loopback unless `lan`."""
    published = Published(settings.listen if lan else LOOPBACK, settings.plain_port)
    return _instance(Role.PLAIN, settings, image, entrypoint, published, ())


def _instance(  # noqa: PLR0913, PLR0917 - all that makes one role another
    role: Role,
    settings: Settings,
    image: Image,
    entrypoint: tuple[str, ...],
    published: Published,
    read: tuple[File, ...],
) -> Instance:
    serve = ("serve", f"{FILES_FOLDER}/{CONFIG}")
    script = File(START_SCRIPT, settings.folder / START_SCRIPT, _start_script(), made=True)
    return Instance(
        role=role,
        name=settings.container,
        image=image,
        command=("-c", AWAIT, f"{FILES_FOLDER}/{START_SCRIPT}", *entrypoint, *serve) if entrypoint else serve,
        published=published,
        storage=Storage(settings.volume),
        files=(_config(role, settings, read), *read, *([script] if entrypoint else ())),
        shell=bool(entrypoint),
    )


def _config(role: Role, settings: Settings, read: tuple[File, ...]) -> File:
    paths = {it.name: f"{FILES_FOLDER}/{it.name}" for it in read}
    rendered = templates.render(
        CONFIG,
        port=PORT,
        drain=DRAIN_SECONDS,
        images=IMAGES_FOLDER,
        secret=installation.known(settings.folder).http_secret,
        certificate=paths.get("domain.crt", ""),
        key=paths.get("domain.key", ""),
        users=paths.get(users.FILE, ""),
    )
    # The file of the plain registry has a name of its own on this machine: both can be looked at.
    source = settings.folder / (CONFIG if role is Role.TLS else f"registry-{role}.yml")
    return File(CONFIG, source, rendered.encode(), secret=True, made=True)


def _start_script() -> bytes:
    script = templates.render(
        START_SCRIPT,
        images=IMAGES_FOLDER,
        seconds=REPAIR_SECONDS,
        linger=LINGER_SECONDS,
        port=f"{PORT:04X}",
        nothing=hashlib.sha256().hexdigest(),
    )
    return script.encode()


def _read(folder: Path, name: str, *, secret: bool = False, handed: bool = False) -> File:
    return File(name, folder / name, _content(folder / name), secret=secret, handed=handed)


def _content(path: Path) -> bytes:
    """Return a file's bytes; none of one that is not there yet, as in a dry run."""
    with files.explained(path, "read"):
        return path.read_bytes() if path.exists() else b""
