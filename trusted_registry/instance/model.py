"""Instance, storage and files: the wanted container as a value from the settings, compared with the one that runs."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from trusted_registry.address import bracketed
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.templates import Rendered

LABEL = "trusted-registry.role"
DIGEST_LABEL = "trusted-registry.spec"
STORAGE_LABEL = "trusted-registry.storage"
FILES_ROLE = "files"
"""Role of a volume that holds what an instance reads."""

PORT = 5000
"""Port inside the container: above 1023, so that listening needs no capability."""

TRIAL_PORT = 5001
"""Port inside a front that leads to a successor while that is proved; published on loopback alone."""

METRICS_PORT = 5002
"""Port inside a registry, and a front, at which metrics are scraped; published on loopback alone."""

LOOPBACK = "127.0.0.1"

RESTART = "always"
"""Restart policy. Not `unless-stopped`: an engine that comes back after being killed stops the containers that outlived
the kill, and takes that for a person's wish. `registry.stop` removes the container, so nothing starts against anybody's
will."""

DRAIN_SECONDS = 8
"""Seconds that a stopping registry has for the requests under way."""

LINGER_SECONDS = 4
"""Seconds at most that its network stays afterwards, for what the kernel has not sent yet."""

STOP_SECONDS = DRAIN_SECONDS + LINGER_SECONDS + 2
"""Seconds after which the engine kills a container that is to stop."""

OFFICIAL_ENTRYPOINT = ("/entrypoint.sh",)
"""Entrypoint of the official images, a shell script (distribution/distribution-library-image, Dockerfile)."""

FRONT_CONFIG = "haproxy.cfg"
SPLITTER_CONFIG = "splitter.cfg"
FILES_FOLDER = "/config"
IMAGES_FOLDER = "/var/lib/registry"
SHELL = "/bin/sh"


class Role(str, enum.Enum):
    """The part that an instance plays, as in its label."""

    TLS = "tls"
    PLAIN = "plain"
    FRONT = "front"
    SPLITTER = "splitter"
    MIRROR = "mirror"
    MOVER = "mover"

    def __str__(self) -> str:
        """Return the label's text."""
        return self.value


@dataclass(frozen=True)
class Image:
    """An image by the name that a person knows, and by the id that the engine runs; no id in a dry run."""

    name: str
    id: str


@dataclass(frozen=True)
class Published:
    """Address and port of this machine that lead to an instance: "" stands for every address, 0 for any free port.

    `inner` is the port inside the container.
    """

    listen: str
    port: int
    inner: int = PORT

    def __str__(self) -> str:
        """Return the form that `docker run --publish` takes."""
        port = f"{self.port or ''}:{self.inner}"
        return f"{bracketed(self.listen)}:{port}" if self.listen else port


@dataclass(frozen=True)
class Storage:
    """The images of a registry: a volume, which a registry that is only tried may read and not change; "" for none.

    `location` is the URL of the bucket that has them instead, s3://BUCKET/PREFIX; "" for none.
    """

    volume: str
    read_only: bool = False
    location: str = ""


NO_STORAGE = Storage("")


@dataclass(frozen=True)
class File:
    """A file that an instance reads.

    Args:
        name: Name in the folder of the container.
        source: Path on this machine.
        body: Its bytes, or the template and the values that they are rendered from.
        secret: Whether the owner alone may read the file.
        immediate: Whether a change counts at once, in the container that runs.
        handed: Whether a change counts for a registry that takes over in the same container.
        made: Whether the file is made for the instance, and written to its path on this machine then.
    """

    name: str
    source: Path
    body: bytes | Rendered = field(repr=False)
    secret: bool = False
    immediate: bool = False
    handed: bool = False
    made: bool = False

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.body if isinstance(self.body, bytes) else self.body.content

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the bytes, or of what they are rendered from."""
        return hashlib.sha256(self.body).hexdigest() if isinstance(self.body, bytes) else self.body.digest

    def with_content(self, content: bytes) -> File:
        """Return this file with other bytes, or itself where they are no others: its digest is the same then."""
        return self if content == self.content else dataclasses.replace(self, body=content)


@dataclass(frozen=True)
class Instance:
    """A container that should run; a change of any field calls for a new one.

    Args:
        role: Its part.
        name: The container's name.
        image: The image.
        command: Arguments of the entrypoint.
        published: The way to the container from outside.
        storage: The images.
        files: The files that the command reads, in a volume of their own.
        shell: Whether a shell runs the command, instead of the image's own entrypoint.
        restart: The engine's restart policy.
        environment: Variables; registry:3 otherwise sends traces to localhost:4318 (distribution, issue 4270).
        files_of: Volume with another instance's files, to be read here as well; its own by default.
        installation: Id of the installation that owns the container.
        network: Name of the installation's own network, if used; the engine's usual one by default.
        behind: Whether a front in that network leads to the container, and the engine publishes no port.
        metrics: Port of loopback that leads to its metrics; 0 for none.
        stop_signal: Signal by which the engine stops the container; the image's own by default.
        user: User by number that runs the command; the image's own by default.
        dns_options: Options of its resolver (resolv.conf(5)).
        sysctls: Parameters of its network (sysctl(8)).
    """

    role: Role
    name: str
    image: Image
    command: tuple[str, ...]
    published: Published
    storage: Storage
    files: tuple[File, ...]
    shell: bool = False
    restart: str = RESTART
    environment: tuple[tuple[str, str], ...] = (("OTEL_TRACES_EXPORTER", "none"),)
    memory: str = "512m"
    pids: int = 200
    log_options: tuple[tuple[str, str], ...] = (("max-size", "10m"), ("max-file", "3"))
    files_of: str = ""
    installation: str = ""
    network: str = ""
    behind: bool = False
    stop_signal: str = ""
    metrics: int = 0
    user: str = ""
    dns_options: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()

    @property
    def ways(self) -> tuple[Published, ...]:
        """All ways that the engine publishes; a front has one more, to a successor that is tried."""
        if self.behind:
            return ()
        trial = (Published(LOOPBACK, 0, TRIAL_PORT),) if self.role is Role.FRONT else ()
        scraped = (Published(LOOPBACK, self.metrics, METRICS_PORT),) if self.metrics else ()
        return (self.published, *trial, *scraped)

    @property
    def digest(self) -> str:
        """Short digest of everything whose change calls for a new container, kept as a label."""
        # The key belongs to its certificate, and a change of what is live or handed over needs no new container.
        read = [(it.name, it.digest) for it in self.files if not (it.immediate or it.handed)]
        said = json.dumps([self.role, _options(self, ""), self.image.id, self.command, read])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def files_volume(self) -> str:
        """Name of the volume with its files: another one for other files, so that nothing is written over."""
        return self.files_of or f"{self.name}-{FILES_ROLE}-{self.digest}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels that mark the container as this project's, and as its installation's."""
        bucket = {STORAGE_LABEL: self.storage.location} if self.storage.location else {}
        made = {LABEL: str(self.role), DIGEST_LABEL: self.digest, **bucket}
        return {**made, INSTALLATION: self.installation} if self.installation else made

    def rehearsal(self) -> Instance:
        """Return this instance for a trial beside the one that runs: on loopback, changing no image, once."""
        return dataclasses.replace(
            self,
            name=rehearsal_name(self.name),
            published=Published(LOOPBACK, 0),
            storage=dataclasses.replace(self.storage, read_only=True),
            restart="no",
            files_of=self.files_volume,
            network="",
            behind=False,
            metrics=0,
        )


def predecessor_name(container: str) -> str:
    """Return the name under which a registry waits for its successor's proof."""
    return f"{container}-before"


def filler_name(volume: str) -> str:
    """Return the name of the container by which a volume of files is filled."""
    return f"{volume}-filler"


def front_name(container: str) -> str:
    """Return the name of the front before a registry, and of their network."""
    return f"{container}-front"


def successor_name(container: str) -> str:
    """Return the name of a registry that the front is to lead to next."""
    return f"{container}-next"


def draining_name(container: str, id_: str = "") -> str:
    """Return the name of a registry that finishes its transfers; all of them begin with that of no id."""
    return f"{container}-draining-{short(id_)}"


def short(id_: str) -> str:
    """Return the short form of a container's id: its name in every network of a user's own, for its lifetime."""
    return id_[:12]


def rehearsal_name(container: str) -> str:
    """Return the name under which a successor is tried beside a registry."""
    return f"{container}-rehearsal"


def mover_name(container: str) -> str:
    """Return the name of the container through which the images of a volume are moved."""
    return f"{container}-mover"


def mirror_name(container: str, upstream: str) -> str:
    """Return the name of the mirror of an upstream, and of its volume; an engine takes no colon there."""
    return f"{container}-mirror-{upstream.replace(':', '_')}"


def argv(instance: Instance, *, start: bool = True) -> list[str]:
    """Return the command that a person would type to start, or only to create, this container."""
    labels = [word for name, value in instance.labels.items() for word in ("--label", f"{name}={value}")]
    typed = ["--name", instance.name, *_options(instance, instance.files_volume), *labels]
    begun = ["docker", "run", "--detach"] if start else ["docker", "create"]
    return [*begun, *typed, instance.image.name, *instance.command]


def _options(instance: Instance, files_volume: str) -> list[str]:
    typed = ["--restart", instance.restart]
    for way in instance.ways:
        typed += ["--publish", str(way)]
    typed += ["--network", instance.network] if instance.network else []
    typed += ["--stop-signal", instance.stop_signal] if instance.stop_signal else []
    typed += ["--user", instance.user] if instance.user else []
    for option in instance.dns_options:
        typed += ["--dns-option", option]
    for name, value in instance.sysctls:
        typed += ["--sysctl", f"{name}={value}"]
    images = f"{instance.storage.volume}:{IMAGES_FOLDER}"
    if instance.storage.volume:
        typed += ["--volume", f"{images}:ro" if instance.storage.read_only else images]
    typed += ["--volume", f"{files_volume}:{FILES_FOLDER}:ro"]
    for name, value in instance.environment:
        typed += ["--env", f"{name}={value}"]
    typed += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    typed += ["--memory", instance.memory, "--pids-limit", str(instance.pids)]
    typed += ["--entrypoint", SHELL] if instance.shell else []
    typed += ["--log-driver", "json-file"]
    for name, value in instance.log_options:
        typed += ["--log-opt", f"{name}={value}"]
    return typed
