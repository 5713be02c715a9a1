"""Stack: the services that should run on a swarm, as a value from settings, hosts and files, and its YAML."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trusted_registry import templates
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.instance import roles
from trusted_registry.instance.model import (
    DIGEST_LABEL,
    FILES_FOLDER,
    FRONT_CONFIG,
    LABEL,
    LINGER_SECONDS,
    PORT,
    SHELL,
    File,
    Image,
    Instance,
)
from trusted_registry.registry import users
from trusted_registry.settings import Settings
from trusted_registry.swarm import proof_login
from trusted_registry.swarm.model import IMAGE_LABEL, Held

NAME = "trusted-registry"
TEMPLATE, FRONT_TEMPLATE = "stack.yml", "swarm-front.cfg"
REGISTRY, FRONT = f"{NAME}_registry", f"{NAME}_front"
"""Names of the services, as the swarm has them."""
REGISTRY_PORT = 5443
"""Port of each host that leads to its registry: above 1023, so that listening needs no right."""
DRAIN_SECONDS = 20
"""Seconds that a registry has for the requests under way while it is replaced."""
GRACE_SECONDS = 45
"""Seconds after which the engine kills such a registry."""
FILE_LABEL, CONTENT_LABEL = "trusted-registry.file", "trusted-registry.content"
_LISTENS = f"grep -qs '^ *[0-9]*: [0-9A-F]*:{PORT:04X} [0-9A-F]*:[0-9A-F]* 0A ' /proc/net/tcp /proc/net/tcp6"
"""Question whether somebody listens at the registry's port, as in templates/start.sh.j2: no image lacks grep."""


@dataclass(frozen=True)
class Numbered:
    """A file that the swarm keeps under a name of its own: none that is kept can be changed.

    Args:
        file: The file.
        number: Its number among those of its name; another content has another one.
        service: Service that reads the file.
    """

    file: File
    number: int
    service: str

    @property
    def key(self) -> str:
        """Name within the stack."""
        return self.file.name

    @property
    def name(self) -> str:
        """Name in the swarm."""
        return f"{NAME}-{self.file.name}-{self.number}"

    @property
    def target(self) -> str:
        """Path in the container."""
        return f"{FILES_FOLDER}/{self.file.name}"

    def labels(self, installation: str) -> dict[str, str]:
        """Return the labels by which a later run knows it again."""
        return {INSTALLATION: installation, FILE_LABEL: self.file.name, CONTENT_LABEL: self.file.digest}

    def held(self, id_: str, installation: str) -> Held:
        """Return the file as the swarm has it."""
        return Held(id_, self.name, self.file.secret, self.labels(installation))


@dataclass(frozen=True)
class Stack:
    """Services that should run; a change of any field calls for another deployment.

    Args:
        installation: Id of the installation that owns them.
        registry: The registry, one on each host.
        front: The front, one on each host.
        files: What both read, numbered.
        privileged_port: Whether the front needs the right to a port below 1024.
        grace: Seconds after which the engine kills a front that is to end.
        with_front: Whether the fronts are to run by now.
    """

    installation: str
    registry: Instance
    front: Instance
    files: tuple[Numbered, ...]
    privileged_port: bool
    grace: int
    with_front: bool = True

    def read_by(self, service: str) -> tuple[Numbered, ...]:
        """Return the files that a service reads."""
        return tuple(it for it in self.files if it.service == service)

    def spec(self, service: str) -> str:
        """Return a short digest of everything whose change calls for new containers of a service."""
        instance = self.instance(service)
        own = [REGISTRY_PORT, GRACE_SECONDS, DRAIN_SECONDS] if service == REGISTRY else [self.privileged_port]
        said = [instance.image.id, instance.command, instance.environment, instance.memory, own]
        names = [it.name for it in self.read_by(service)]
        template = (templates.FOLDER / f"{TEMPLATE}.j2").read_text()
        return hashlib.sha256(json.dumps([said, names, template]).encode()).hexdigest()[:16]

    def instance(self, service: str) -> Instance:
        """Return the container that a service starts."""
        return self.registry if service == REGISTRY else self.front

    def labels(self, service: str) -> dict[str, str]:
        """Return the labels of a service and of its containers."""
        one = self.instance(service)
        own = {INSTALLATION: self.installation, DIGEST_LABEL: self.spec(service)}
        return {LABEL: str(one.role), IMAGE_LABEL: one.image.name, **own}

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services that should run by now."""
        return (REGISTRY, FRONT) if self.with_front else (REGISTRY,)


def made(  # noqa: PLR0913, PLR0917 - all that a stack is made of
    settings: Settings,
    hosts: Sequence[str],
    registry: Image,
    front: Image,
    entrypoint: tuple[str, ...],
    installation: str,
    secret: str,
    held: Iterable[Held],
    unprivileged_port: int,
) -> Stack:
    """Return the stack for some hosts.

    Args:
        settings: The registry's settings.
        hosts: Addresses of the hosts.
        registry: Image of the registry.
        front: Image of haproxy.
        entrypoint: The registry image's entrypoint, if that image has a shell.
        installation: Id of the installation.
        secret: The installation's secret, from which the login of its proofs is made.
        held: Files that the swarm keeps already.
        unprivileged_port: First port for which no right is needed, on all hosts.
    """
    alike = replace(settings, front=True, drain=DRAIN_SECONDS, metrics=0)  # as behind a front of one host
    one = roles.tls(alike, registry, entrypoint)
    read = [(REGISTRY, _with_proof_login(it, secret)) for it in one.files]
    read.append((FRONT, _front_config(settings, hosts)))
    return Stack(
        installation=installation,
        registry=one,
        front=roles.front(alike, front, "ID"),
        files=number(read, held, installation),
        privileged_port=settings.port < unprivileged_port,
        grace=settings.drain + LINGER_SECONDS + 6,
    )


def _with_proof_login(file: File, secret: str) -> File:
    """Return the users' file with the login of proofs behind them: no proof then takes another file."""
    if file.name != users.FILE:
        return file
    return file.with_content(file.content.rstrip(b"\n") + b"\n" + proof_login.line(secret, file.content))


def _front_config(settings: Settings, hosts: Sequence[str]) -> File:
    rendered = templates.Rendered(
        FRONT_TEMPLATE,
        connections=roles.CONNECTIONS,
        drain=settings.drain + LINGER_SECONDS,
        patience=roles.PATIENCE_SECONDS,
        port=settings.port,
        registry_port=REGISTRY_PORT,
        hosts=sorted(hosts),
    )
    return File(FRONT_CONFIG, settings.folder / FRONT_CONFIG, rendered, made=True)


def number(read: Iterable[tuple[str, File]], held: Iterable[Held], installation: str) -> tuple[Numbered, ...]:
    """Return files with their numbers: that of an equal content, or the next one.

    Args:
        read: Services, and files that they read.
        held: Files that the swarm keeps, whoever made them: no name of theirs can be used again.
        installation: Id of the installation, whose own files alone count as equal.
    """
    there = list(held)
    return tuple(Numbered(file, _number(file, there, installation), service) for service, file in read)


def _number(file: File, held: Sequence[Held], installation: str) -> int:
    numbered = [(it, re.fullmatch(rf"{NAME}-{re.escape(file.name)}-(\d{{1,9}})", it.name)) for it in held]
    taken = [(int(match[1]), it) for it, match in numbered if match]
    same = [at for at, it in taken if it == Numbered(file, at, "").held(it.id, installation)]
    return max(same) if same else max([at for at, _ in taken], default=0) + 1


def render(stack: Stack) -> str:
    """Return the stack as `docker stack deploy` reads it; no content of a file is in it."""
    registry = stack.read_by(REGISTRY)
    return templates.render(
        TEMPLATE,
        registry=_service(stack, REGISTRY, stack.registry),
        front={**_service(stack, FRONT, stack.front), "config": stack.read_by(FRONT)[0]} if stack.with_front else None,
        environment={name: _plain(value) for name, value in stack.registry.environment},
        shell=SHELL if stack.registry.shell else "",
        listens=_plain(_LISTENS),
        secrets=[it for it in registry if it.file.secret],
        configs=[it for it in registry if not it.file.secret],
        constraint=f"node.labels.{INSTALLATION} == {stack.installation}",
        privileged_port=stack.privileged_port,
        grace=GRACE_SECONDS,
        front_grace=stack.grace,
        inner_port=PORT,
        registry_port=REGISTRY_PORT,
    )


def _service(stack: Stack, name: str, instance: Instance) -> dict[str, object]:
    return {
        "image": instance.image.id or instance.image.name,  # no node asks a registry for an id
        "command": [_plain(word) for word in instance.command],
        "labels": stack.labels(name),
        "memory": instance.memory,
    }


def _plain(text: str) -> str:
    """Return a text in which docker sees no variable (compose specification, interpolation)."""
    return text.replace("$", "$$")
