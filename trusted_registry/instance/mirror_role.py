"""Role of a mirror: a registry that asks an upstream, from settings, this machine's authorities and its proxies."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from trusted_registry import address, files, installation
from trusted_registry.instance.model import (
    DRAIN_SECONDS,
    FILES_FOLDER,
    IMAGES_FOLDER,
    PORT,
    TRIAL_PORT,
    File,
    Image,
    Instance,
    Published,
    Role,
    Storage,
    mirror_name,
)
from trusted_registry.instance.roles import AWAIT, CONFIG, REPAIR_SECONDS, START_SCRIPT, content, file_of
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.settings import Settings
from trusted_registry.templates import Rendered

MIRROR_SCRIPT = "mirror.sh"
"""Script that starts a mirror, with or without its upstream: templates/mirror.sh.j2."""

MIRROR_CONFIG, HELD_CONFIG = "mirror.yml", "held.yml"
"""Configurations of a mirror: one that asks the upstream, and one that serves what it holds while that is away."""

AUTHORITIES = "authorities.pem"
"""Authorities that a mirror trusts its upstream by: those of this machine, a company's among them."""

BUNDLES = tuple(
    map(
        Path,
        (
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ),
    )
)
"""Where systems keep them (Go, crypto/x509/root_linux.go)."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

PROXIES_FILE = "proxies.sh"
"""Proxies of a mirror, in a file that only root reads there: one's URL may hold a password, and `docker inspect` shows
a container's environment to everybody who may ask the engine."""

UPSTREAM_SECONDS = 3
"""Seconds that an upstream has to answer when a mirror starts, and between two tries."""

TRIAL_SECONDS = 10
"""Seconds that it has beside a registry which serves what is held: no client waits for that."""

TRIAL_OUTPUT = "/dev/shm/upstream"  # noqa: S108 # the container's own memory
"""File of the container with the last words of a registry that asked the upstream and did not start."""


def mirror(settings: Settings, image: Image, entrypoint: tuple[str, ...], upstream: Upstream, port: int) -> Instance:
    """Return the mirror of an upstream: it asks for no login, so what it holds is for everybody who reaches it.

    Args:
        settings: The registry's settings.
        image: The image to run, which has a shell.
        entrypoint: The image's entrypoint; the result of `Engine.entrypoint`.
        upstream: The registry that is mirrored.
        port: Port of this machine.
    """
    folder, name = settings.folder, mirror_name(settings.container, upstream.name)
    read = [file_of(folder, "domain.crt"), file_of(folder, "domain.key", secret=True)]
    paths = {it.name: f"{FILES_FOLDER}/{it.name}" for it in read}
    made: dict[str, bytes | Rendered] = {
        MIRROR_CONFIG: _config(settings, paths, upstream=upstream.url),
        HELD_CONFIG: _config(settings, paths, held=True),
        START_SCRIPT: _script(),  # the last: who waits for it has all the others
    }
    authorities = [File(AUTHORITIES, it, content(it)) for it in BUNDLES if files.exists(it)][:1]
    shown = folder_of(settings, upstream)
    if proxies := _proxies(shown / PROXIES_FILE, os.environ):
        made = {PROXIES_FILE: proxies, **made}
    written = [File(it, shown / it, text, secret=it != START_SCRIPT, made=True) for it, text in made.items()]
    return Instance(
        role=Role.MIRROR,
        name=name,
        image=image,
        command=("-c", AWAIT, f"{FILES_FOLDER}/{START_SCRIPT}", *entrypoint, "serve"),
        published=Published(settings.listen, port),
        storage=Storage(name),
        files=(*read, *authorities, *written),
        shell=bool(entrypoint),
        stop_signal="SIGTERM",
        environment=(*Instance.environment, ("SSL_CERT_FILE", f"{FILES_FOLDER}/{AUTHORITIES}")),
        dns_options=("timeout:1", "attempts:1"),
        sysctls=(("net.ipv4.tcp_syn_retries", "1"), ("net.ipv4.tcp_retries2", "3")),
    )


def folder_of(settings: Settings, upstream: Upstream) -> Path:
    """Return the folder of this machine with the files that were made for a mirror."""
    return settings.folder / "mirrors" / upstream.name.replace(":", "_")


def _proxies(path: Path, environ: Mapping[str, str]) -> bytes:
    """Return the lines of a shell that name the proxies of this run; those kept before, if it has no such variable.

    A timer that renews the certificate has none, and the mirror is to reach its upstream after that as before.
    """
    said = {it: environ[it] for it in PROXIES if it in environ}
    if not said:
        return content(path)
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in said.items() if value).encode()


def unreachable_proxies(environ: Mapping[str, str]) -> list[str]:
    """Return the variables whose proxy no container reaches: in one, loopback is the container itself."""
    return [it for it in PROXIES if it.lower() != "no_proxy" and address.is_loopback(_host(environ.get(it, "")))]


def _host(url: str) -> str:
    """Return the host of a proxy's URL, whose scheme may be left out (Go, net/http, ProxyFromEnvironment)."""
    try:
        return urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    except ValueError:
        return ""


def _config(settings: Settings, paths: Mapping[str, str], *, upstream: str = "", held: bool = False) -> Rendered:
    return Rendered(
        CONFIG,
        port=PORT,
        drain=DRAIN_SECONDS,
        images=IMAGES_FOLDER,
        secret=installation.known(settings.folder).http_secret,
        certificate=paths["domain.crt"],
        key=paths["domain.key"],
        users="",
        metrics_port=0,
        upstream=upstream,
        held=held,
        s3=None,
    )


def _script() -> Rendered:
    return Rendered(
        MIRROR_SCRIPT,
        mirrors=f"{FILES_FOLDER}/{MIRROR_CONFIG}",
        held=f"{FILES_FOLDER}/{HELD_CONFIG}",
        images=IMAGES_FOLDER,
        seconds=REPAIR_SECONDS,
        nothing=hashlib.sha256().hexdigest(),
        proxies=f"{FILES_FOLDER}/{PROXIES_FILE}",
        port=PORT,
        trial_port=TRIAL_PORT,
        patience=UPSTREAM_SECONDS,
        trial_patience=TRIAL_SECONDS,
        output=TRIAL_OUTPUT,
        pause=UPSTREAM_SECONDS,
    )
