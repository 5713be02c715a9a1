"""Roles: the TLS registry, the document's first one, a front and a splitter, from settings and the files they read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from trusted_registry import files, installation, templates
from trusted_registry.instance.model import (
    DRAIN_SECONDS,
    FILES_FOLDER,
    FRONT_CONFIG,
    IMAGES_FOLDER,
    LINGER_SECONDS,
    LOOPBACK,
    METRICS_PORT,
    NO_STORAGE,
    PORT,
    SPLITTER_CONFIG,
    TRIAL_PORT,
    File,
    Image,
    Instance,
    Published,
    Role,
    Storage,
    draining_name,
    front_name,
)
from trusted_registry.registry import prove, users
from trusted_registry.saved_flags import STORAGE_CA
from trusted_registry.settings import Settings

CONFIG = "registry.yml"

START_SCRIPT = "start.sh"
"""Script that starts the registry and waits for its end, at the engine's own restarts too: templates/start.sh.j2."""

AWAIT = 'trap "exit 143" TERM; until grep -qsx "# The end." "$0"; do sleep 0.01; done; exec /bin/sh "$0" "$@"'
"""Command of a container that may be started while the engine takes its files, of which the start script is the last.

It takes them in a tenth of a second, and starts a container in three; either may be slow. A file is seen while it
grows, a page at a time, so it is whole only with its last line.
"""

REPAIR_SECONDS = 20
"""Seconds that the repair of the storage may take: a hundred thousand blobs take two, or ten from a cold disk."""

CONNECTIONS = 2000
"""Connections that a front takes at once, at 33 KB each; a client has a handful."""

PATIENCE_SECONDS = 8
"""Seconds that a front waits for a registry that restarts; a Go client gives a handshake ten."""


def tls(settings: Settings, image: Image, entrypoint: tuple[str, ...] = ()) -> Instance:
    """Return the TLS registry, which requires a login if there are users.

    Args:
        settings: The registry's settings.
        image: The image to run.
        entrypoint: The image's entrypoint, if the image has a shell; the result of `Engine.entrypoint`.
    """
    folder = settings.folder
    # It takes the start script to have another registry take over; behind a front a successor runs beside.
    handed = bool(entrypoint) and not settings.front
    read = [file_of(folder, "domain.crt", handed=handed), file_of(folder, "domain.key", secret=True, handed=handed)]
    if users.is_login_required(folder):
        path = users.users_file(folder)
        read.append(File(users.FILE, path, content(path), secret=True, immediate=True))
    private = settings.storage and files.exists(folder / STORAGE_CA)
    if private:
        read.append(file_of(folder, STORAGE_CA))
    made = _instance(Role.TLS, settings, image, entrypoint, Published(settings.listen, settings.port), tuple(read))
    if private:
        variable = ("SSL_CERT_FILE", f"{FILES_FOLDER}/{STORAGE_CA}")  # which Go's programs look for
        made = replace(made, environment=(*made.environment, variable))
    network = front_name(settings.container) if settings.front else ""
    return replace(made, network=network, behind=settings.front, metrics=settings.metrics)


def front(settings: Settings, image: Image, leads: str, trial: str = "") -> Instance:
    """Return the front, which passes on the connections to the port of the TLS registry.

    Args:
        settings: The registry's settings.
        image: The image of haproxy.
        leads: Short id of the registry behind the front.
        trial: That of a successor, which the port of trials leads to; "" for none.
    """
    name = front_name(settings.container)
    rendered = templates.Rendered(
        FRONT_CONFIG,
        **_limits(settings),
        metrics_port=METRICS_PORT if settings.metrics else 0,
        leads=leads,
        trial=trial,
    )
    config = File(FRONT_CONFIG, settings.folder / FRONT_CONFIG, rendered, handed=True, made=True)
    made = _haproxy(Role.FRONT, name, settings, image, config)
    return replace(made, published=Published(settings.listen, settings.port), metrics=settings.metrics)


def splitter(  # noqa: PLR0913, PLR0917 - two registries and a time
    settings: Settings, image: Image, successor: Instance, before: str, after: str, deadline: int
) -> Instance:
    """Return the splitter between the front and two registries while the first user comes.

    Args:
        settings: The registry's settings.
        image: The image of haproxy.
        successor: The registry that asks for a login, whose certificate and key the splitter reads.
        before: Short id of the registry that does not.
        after: That of the successor.
        deadline: Time after which nobody is led to the registry before, in seconds since the epoch.
    """
    rendered = templates.Rendered(
        SPLITTER_CONFIG,
        **_limits(settings),
        certificate=f"{FILES_FOLDER}/domain.crt",
        before=before,
        successor=after,
        deadline=deadline,
    )
    config = File(SPLITTER_CONFIG, settings.folder / SPLITTER_CONFIG, rendered, made=True)
    name = draining_name(settings.container, f"s{after}")  # by which it goes, whoever takes it away
    made = _haproxy(Role.SPLITTER, name, settings, image, config)
    return replace(made, files_of=successor.files_volume, user="0:0")  # the key is root's


def _limits(settings: Settings) -> dict[str, int]:
    return {
        "connections": CONNECTIONS,
        "drain": settings.drain + LINGER_SECONDS,
        "patience": PATIENCE_SECONDS,
        "port": PORT,
        "trial_port": TRIAL_PORT,
    }


def _haproxy(role: Role, name: str, settings: Settings, image: Image, config: File) -> Instance:
    """Return an instance of haproxy in the front's network, which publishes nothing but its other port, on loopback."""
    return Instance(
        role=role,
        name=name,
        image=image,
        # A master, which hears HUP, and a worker. The official image's entrypoint puts `haproxy` before a flag.
        command=("-W", "-db", "-f", f"{FILES_FOLDER}/{config.name}"),
        published=Published(LOOPBACK, 0, TRIAL_PORT),
        storage=NO_STORAGE,
        files=(config,),
        environment=(),
        memory="256m",
        network=front_name(settings.container),
        stop_signal="SIGUSR1",  # it ends what is under way first; TERM would cut that (haproxy, management guide, 4)
    )


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
    bucket = settings.storage and role is Role.TLS
    script = File(START_SCRIPT, settings.folder / START_SCRIPT, _start_script(), made=True)
    return Instance(
        role=role,
        name=settings.container,
        image=image,
        command=("-c", AWAIT, f"{FILES_FOLDER}/{START_SCRIPT}", *entrypoint, *serve) if entrypoint else serve,
        published=published,
        storage=Storage("", location=settings.storage) if bucket else Storage(settings.volume),
        files=(_config(role, settings, read), *read, *([script] if entrypoint else ())),
        shell=bool(entrypoint),
        # Said, so that no other signal counts as a person's wish to stop it, after which nothing restarts it (moby,
        # daemon/kill.go).
        stop_signal="SIGTERM",
    )


def _config(role: Role, settings: Settings, read: tuple[File, ...]) -> File:
    paths = {it.name: f"{FILES_FOLDER}/{it.name}" for it in read}
    rendered = templates.Rendered(
        CONFIG,
        port=PORT,
        drain=settings.drain if settings.front and role is Role.TLS else DRAIN_SECONDS,
        images=IMAGES_FOLDER,
        secret=installation.known(settings.folder).http_secret,
        certificate=paths.get("domain.crt", ""),
        key=paths.get("domain.key", ""),
        users=paths.get(users.FILE, ""),
        metrics_port=METRICS_PORT if settings.metrics and role is Role.TLS else 0,
        upstream="",
        held=False,
        s3=_s3(settings) if settings.storage and role is Role.TLS else None,
    )
    # The file of the plain registry has a name of its own on this machine: both can be looked at.
    source = settings.folder / (CONFIG if role is Role.TLS else f"registry-{role}.yml")
    return File(CONFIG, source, rendered, secret=True, made=True)


def _s3(settings: Settings) -> dict[str, str]:
    """Return the options of a bucket; without one, no module of it is loaded."""
    from trusted_registry.bucket import opening

    return opening.driver(settings)


def _start_script() -> templates.Rendered:
    return templates.Rendered(
        START_SCRIPT,
        images=IMAGES_FOLDER,
        seconds=REPAIR_SECONDS,
        linger=LINGER_SECONDS,
        port=f"{PORT:04X}",
        nothing=hashlib.sha256().hexdigest(),
        proofs=prove.REPOSITORY,
    )


def file_of(folder: Path, name: str, *, secret: bool = False, handed: bool = False) -> File:
    """Return a file of the certificates' folder for an instance to read."""
    return File(name, folder / name, content(folder / name), secret=secret, handed=handed)


def content(path: Path) -> bytes:
    """Return a file's bytes; none of one that is not there yet, as in a dry run."""
    with files.explained(path, "read"):
        return path.read_bytes() if files.exists(path) else b""
