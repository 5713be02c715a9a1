"""The container that the settings call for: one description, for the Engine API and for people."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trusted_registry import templates
from trusted_registry.address import bracketed
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.registry import users

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from trusted_registry.settings import Settings

LABEL = "trusted-registry.role"
DIGEST_LABEL = "trusted-registry.spec"
PORT = 5000
"""Port inside the container: above 1023, so that listening needs no capability."""

RESTART = "always"
"""Restart policy. Not `unless-stopped`: an engine that comes back after being killed stops the containers that outlived
the kill, and takes that for a person's wish. `registry.stop` removes the container, so nothing starts against anybody's
will."""

CONFIG = "registry.yml"
PLAIN_CONFIG = "registry-plain.yml"
_CONFIG_FOLDER = "/config"
_SHELL = "/bin/sh"
STORAGE = "/var/lib/registry"

START_SCRIPT = "start.sh"
"""Script that runs before each start of the registry, the engine's own restarts included: templates/start.sh.j2."""

REPAIR_SECONDS = 20
"""Seconds that the script may take: a hundred thousand blobs take two, or ten from a cold disk."""

STOP_SECONDS = 10
"""Seconds that a stopping registry has for the requests under way; the registry gives up on them two before."""

OFFICIAL_ENTRYPOINT = ("/entrypoint.sh",)
"""Entrypoint of the official images, a shell script (distribution/distribution-library-image, Dockerfile)."""


@dataclass(frozen=True)
class Mount:
    """A file or a folder of this machine, mounted read-only at a path in the container."""

    source: Path
    target: str


@dataclass(frozen=True)
class Spec:
    """A container to create; a change of any field calls for a new container."""

    role: str
    name: str
    image: str
    command: tuple[str, ...]
    listen: str
    port: int
    volume: str
    mounts: tuple[Mount, ...]
    capabilities: tuple[str, ...]
    config: str
    start_script: str = ""
    """Script that a shell runs first; empty for an image without a shell, which starts with its own entrypoint."""
    environment: tuple[tuple[str, str], ...] = (("OTEL_TRACES_EXPORTER", "none"),)
    """Variables; otherwise registry:3 sends traces to localhost:4318 (distribution/distribution issue 4270)."""
    memory: str = "512m"
    pids: int = 200
    installation: str = ""
    log_options: tuple[tuple[str, str], ...] = field(default=(("max-size", "10m"), ("max-file", "3")))

    @property
    def digest(self) -> str:
        """Short digest of all fields, kept as a label; equal ones need no change."""
        said = json.dumps([self.role, _options(self), self.image, self.command, self.config, self.start_script])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def config_files(self) -> dict[Path, str]:
        """Files that are made for the container to read, with their text."""
        made = {CONFIG: self.config, START_SCRIPT: self.start_script}
        return {it.source: made[name] for it in self.mounts if (name := it.target.rpartition("/")[2]) in made}

    @property
    def labels(self) -> dict[str, str]:
        """Labels that mark the container as this project's, and as its installation's."""
        made = {LABEL: self.role, DIGEST_LABEL: self.digest}
        return {**made, INSTALLATION: self.installation} if self.installation else made


def tls(settings: Settings, image: str, entrypoint: tuple[str, ...] = ()) -> Spec:
    """Return the TLS registry's container; with users, a login is required.

    Args:
        settings: The registry's settings.
        image: The image to run.
        entrypoint: The image's entrypoint, if a shell can repair the storage first; the result of `Engine.entrypoint`.
    """
    folder = settings.folder
    login = users.is_login_required(folder)
    # One by one: the folder also holds the authority's key, which no container has any use for.
    shown = [
        CONFIG,
        *([START_SCRIPT] if entrypoint else []),
        "domain.crt",
        "domain.key",
        *([users.FOLDER] if login else []),
    ]
    secrets = [folder / "domain.key", *([users.users_file(folder)] if login else [])]
    return Spec(
        role="tls",
        name=settings.container,
        image=image,
        command=_command(entrypoint),
        listen=settings.listen,
        port=settings.port,
        volume=settings.volume,
        mounts=tuple(Mount(folder / name, f"{_CONFIG_FOLDER}/{name}") for name in shown),
        capabilities=_to_read(secrets),
        config=templates.render(
            CONFIG,
            port=PORT,
            drain=STOP_SECONDS - 2,
            tls=True,
            certificate=f"{_CONFIG_FOLDER}/domain.crt",
            key=f"{_CONFIG_FOLDER}/domain.key",
            users=f"{_CONFIG_FOLDER}/{users.FOLDER}/{users.FILE}" if login else "",
        ),
        start_script=_start_script() if entrypoint else "",
    )


def plain(settings: Settings, image: str, entrypoint: tuple[str, ...] = (), *, lan: bool) -> Spec:
    """Return the container of the document's first registry.

    The registry speaks plain HTTP, on loopback unless `lan`.
    """
    return Spec(
        role="plain",
        name=settings.container,
        image=image,
        command=_command(entrypoint),
        listen=settings.listen if lan else "127.0.0.1",
        port=settings.plain_port,
        volume=settings.volume,
        mounts=(
            Mount(settings.folder / PLAIN_CONFIG, f"{_CONFIG_FOLDER}/{CONFIG}"),
            *([Mount(settings.folder / START_SCRIPT, f"{_CONFIG_FOLDER}/{START_SCRIPT}")] if entrypoint else []),
        ),
        capabilities=(),
        config=templates.render(CONFIG, port=PORT, drain=STOP_SECONDS - 2, tls=False, users=""),
        start_script=_start_script() if entrypoint else "",
    )


def _command(entrypoint: tuple[str, ...]) -> tuple[str, ...]:
    serve = ("serve", f"{_CONFIG_FOLDER}/{CONFIG}")
    return (f"{_CONFIG_FOLDER}/{START_SCRIPT}", *entrypoint, *serve) if entrypoint else serve


def _start_script() -> str:
    nothing = hashlib.sha256().hexdigest()
    return templates.render(START_SCRIPT, store=STORAGE, seconds=REPAIR_SECONDS, nothing=nothing)


def _to_read(secrets: Iterable[Path]) -> tuple[str, ...]:
    """Return the capabilities that the container's root needs for secrets.

    Private files that root owns need none.
    """
    owners = {_owner(path) for path in secrets}
    return ("DAC_OVERRIDE",) if any(owners) else ()


def _owner(path: Path) -> int:
    return path.stat().st_uid if path.exists() else os.geteuid()


def argv(spec: Spec) -> list[str]:
    """Return the command that a person would type to start this container."""
    labels = [word for name, value in spec.labels.items() for word in ("--label", f"{name}={value}")]
    return ["docker", "run", "--detach", *_options(spec), *labels, spec.image, *spec.command]


def _options(spec: Spec) -> list[str]:
    typed = ["--name", spec.name, "--restart", RESTART]
    published = f"{spec.port}:{PORT}"
    typed += ["--publish", f"{bracketed(spec.listen)}:{published}" if spec.listen else published]
    typed += ["--volume", f"{spec.volume}:{STORAGE}"]
    for mount in spec.mounts:
        typed += ["--mount", _csv("type=bind", f"source={mount.source}", f"target={mount.target}", "readonly")]
    for name, value in spec.environment:
        typed += ["--env", f"{name}={value}"]
    typed += ["--read-only", "--cap-drop", "ALL"]
    for capability in spec.capabilities:
        typed += ["--cap-add", capability]
    typed += ["--security-opt", "no-new-privileges", "--memory", spec.memory, "--pids-limit", str(spec.pids)]
    typed += ["--entrypoint", _SHELL] if spec.start_script else []
    typed += ["--log-driver", "json-file"]
    for name, value in spec.log_options:
        typed += ["--log-opt", f"{name}={value}"]
    return typed


def _csv(*fields: str) -> str:
    """Return fields as one line of CSV, as docker reads them.

    A folder's name may have a comma or a quote.
    """
    return ",".join('"{}"'.format(it.replace('"', '""')) if set(it) & {",", '"'} else it for it in fields)


def arguments(spec: Spec) -> dict[str, object]:
    """Return the arguments of `docker.DockerClient.containers.create`.

    They equal `argv`, the settings of the log apart.
    """
    return {
        "image": spec.image,
        "entrypoint": [_SHELL] if spec.start_script else None,
        "command": list(spec.command),
        "name": spec.name,
        "restart_policy": {"Name": RESTART},
        "ports": {f"{PORT}/tcp": (spec.listen, spec.port) if spec.listen else spec.port},
        # Not `volumes`: that makes an empty folder of a file that the engine cannot see; this refuses.
        "mounts": [
            {"Type": "volume", "Source": spec.volume, "Target": STORAGE},
            *(
                {"Type": "bind", "Source": str(mount.source), "Target": mount.target, "ReadOnly": True}
                for mount in spec.mounts
            ),
        ],
        "environment": dict(spec.environment),
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(spec.capabilities),
        "security_opt": ["no-new-privileges"],
        "mem_limit": spec.memory,
        "pids_limit": spec.pids,
        "labels": spec.labels,
    }
