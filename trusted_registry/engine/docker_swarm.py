"""The swarm of a Docker Engine: asked by Docker's SDK; its stacks are deployed by the docker CLI, which alone can."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from docker.errors import APIError, NotFound

from trusted_registry import program
from trusted_registry.address import is_ip
from trusted_registry.console import Console, here_document, pasteable, visible
from trusted_registry.engine import connection
from trusted_registry.errors import NoLeaderError, NotNowError, RegistryError
from trusted_registry.instance.model import LABEL, Role
from trusted_registry.swarm.model import DOWN, Held, Service, SwarmNode, Task
from trusted_registry.swarm.stack import GRACE_SECONDS, NAME, Numbered

_STACK = "com.docker.stack.namespace"
"""Label by which docker knows what belongs to a stack (docker/cli, cli/compose/convert)."""
_NO_LEADER = re.compile(
    r"does not have a leader|no elected|lost leadership|lost quorum|deadline exceeded|being prepared or has trouble"
    r"|code = Unavailable|node is stopped|not yet part of a raft",
    re.IGNORECASE,
)
"""Words of managers without a leader (moby/swarmkit, manager/state/raft; moby, daemon/cluster)."""
_NOT_NOW = re.compile(r"update out of sequence|network \S+ (not found|is in use)", re.IGNORECASE)
"""Words of one whose answer is old by now (swarmkit, store.ErrSequenceConflict), or whose stack is just going."""
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,200}")
_NO_MANAGER = "not a swarm manager"
_IN_USE, _IS_THERE = 400, 409
_GONE_SECONDS = GRACE_SECONDS + 60.0
"""Seconds for containers to end: registries have their grace, and fronts end when no registry is there."""
_PAUSE = 0.5


def connect(console: Console, *, anywhere: bool = False) -> DockerSwarm:
    """Return the swarm of the engine that DOCKER_HOST or the current context names; in a dry run none need answer.

    Raises:
        RegistryError: No engine answers.
    """
    try:
        return DockerSwarm(connection.client(anywhere=anywhere), console)
    except RegistryError as error:
        if not console.dry:
            raise
        return DockerSwarm(None, console, error)


class DockerSwarm(connection.Connection):
    """A swarm, by the engine of one of its managers."""

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes; none where this engine manages no swarm."""
        return tuple(_node(it) for it in self._asked("The nodes", lambda api: api.nodes()))

    def init(self, address: str) -> None:
        """Make a swarm of this engine alone; one that manages one is left alone."""
        self._console.command(["docker", "swarm", "init", "--advertise-addr", address])
        if not self._console.dry and not self.nodes():
            with _explained("The swarm could not be made"):
                self._require_client().api.init_swarm(advertise_addr=address)

    def token(self, *, manager: bool) -> str:
        """Return the secret by which a machine joins."""
        said = self._asked("The swarm", lambda api: api.inspect_swarm()) or {}
        token = _text(_of(said, "JoinTokens").get("Manager" if manager else "Worker"))
        if not _TOKEN.fullmatch(token):
            raise RegistryError(
                "The swarm tells nothing by which a machine could join.", cure="docker swarm join-token worker"
            )
        return token

    def label(self, node: SwarmNode, name: str, value: str) -> None:
        """Give a node a label, or take that from it where the value is ""."""
        change = ["--label-add", f"{name}={value}"] if value else ["--label-rm", name]
        self._console.command(["docker", "node", "update", *change, node.name])
        if self._console.dry:
            return
        with _explained(f"The node {node.name} could not be labelled"):
            found = self._require_client().nodes.get(node.id)
            spec: dict[str, Any] = dict(found.attrs["Spec"])
            others = {key: it for key, it in (spec.get("Labels") or {}).items() if key != name}
            spec["Labels"] = {**others, **({name: value} if value else {})}
            found.update(spec)

    def held(self) -> tuple[Held, ...]:
        """Return the secrets and configs whose names begin as those of a stack, whoever made them."""
        own = {"name": f"{NAME}-"}
        secrets = self._asked("The secrets", lambda api: api.secrets(filters=own))
        configs = self._asked("The configs", lambda api: api.configs(filters=own))
        return tuple(_held(it, secret=secret) for secret, every in ((True, secrets), (False, configs)) for it in every)

    def keep(self, file: Numbered, installation: str) -> None:
        """Have the swarm keep a file; the same one under that name is no error."""
        kind = "secret" if file.file.secret else "config"
        labels = file.labels(installation)
        typed = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
        shown = file.file.made and not file.file.secret
        source = ["-", here_document(file.file.content.decode())] if shown else [str(file.file.source)]
        self._console.command(["docker", kind, "create", *typed, file.name, *source])
        if self._console.dry:
            return
        with _explained(f"The {kind} {file.name} could not be made"):
            api: Any = self._require_client().api
            try:
                (api.create_secret if file.file.secret else api.create_config)(file.name, file.file.content, labels)
            except APIError as error:
                if error.status_code != _IS_THERE or not any(
                    it == file.held(it.id, installation) for it in self.held()
                ):
                    raise

    def drop(self, held: Held) -> bool:
        """Remove a secret or a config; return False where a service still reads it."""
        self._console.command(["docker", "secret" if held.secret else "config", "rm", held.name])
        if self._console.dry:
            return True
        with _explained(f"{held.name} could not be removed"):
            api: Any = self._require_client().api
            try:
                (api.remove_secret if held.secret else api.remove_config)(held.id)
            except NotFound:
                return True
            except APIError as error:
                if error.status_code == _IN_USE and "in use" in str(error):
                    return False
                raise
        return True

    def deploy(self, name: str, text: str) -> None:
        """Have the services of a stack be as a text says."""
        with _from_cli():
            argv = ["docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", name]
            program.run(argv, self._console, text=text)

    def push(self, service: str) -> None:
        """Have a service be brought to every node anew: an update waits for ever for a node that goes down in it."""
        with _from_cli():
            program.run(["docker", "service", "update", "--force", "--detach", service], self._console)

    def services(self, name: str) -> tuple[Service, ...]:
        """Return the services of a stack."""
        return tuple(map(_service, self._listed("services", name)))

    def tasks(self, name: str) -> tuple[Task, ...]:
        """Return the tasks of a stack's services."""
        names = {str(it.get("ID")): _name(it) for it in self._listed("services", name)}
        return tuple(_task(it, names) for it in self._listed("tasks", name))

    def _listed(self, what: str, name: str) -> list[dict[str, Any]]:
        own = {"label": f"{_STACK}={name}"}
        return list(self._asked(f"The {what}", lambda api: getattr(api, what)(filters=own)))

    def remove(self, name: str) -> tuple[Task, ...]:
        """Remove a stack, and wait until its containers have ended; return the tasks of fronts that have not.

        In this order no network is in use by a task. Tasks of a node that is down stay until that is back.
        """
        self._console.command(["docker", "stack", "rm", name])
        if self._console.dry:
            return ()
        for service in self._listed("services", name):
            self._drop(f"The service {_name(service)}", "remove_service", service)
        end = time.monotonic() + _GONE_SECONDS
        while left := self._left(name):
            if time.monotonic() > end:
                _insist_on_fronts(left)
                break
            time.sleep(_PAUSE)
        for network in self._listed("networks", name):
            self._drop("The network of the stack", "remove_network", {"ID": network.get("Id")})
        return tuple(left.values())

    def _left(self, name: str) -> dict[str, Task]:
        """Return the tasks by their ids that a node has not ended yet, of those that are not down."""
        nodes = self.nodes()
        if not nodes:
            raise RegistryError(
                "The engine here manages no swarm any more, so nobody knows what has ended.",
                cure="The same command again, once docker node ls works here.",
            )
        there = {it.id for it in nodes if it.state != DOWN}
        every = {_text(it.get("ID")): _task(it, {}) for it in self._listed("tasks", name)}
        return {id_: it for id_, it in every.items() if it.node in there and not it.ended}

    def _drop(self, what: str, order: str, said: Mapping[str, Any]) -> None:
        with _explained(f"{what} could not be removed"), contextlib.suppress(NotFound):
            getattr(self._require_client().api, order)(said["ID"])

    def _asked(self, what: str, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - JSON, which is read with care
        """Return an answer of the engine's API; nothing without an engine in a dry run, or from one of no swarm."""
        if self._client is None and self._console.dry:
            return []
        try:
            with _explained(f"{what} could not be asked for"):
                return ask(self._require_client().api)
        except RegistryError as error:
            if _NO_MANAGER in error.message and not isinstance(error, NotNowError):
                return []
            raise


def _insist_on_fronts(left: Mapping[str, Task]) -> None:
    """Raise a RegistryError if one of the tasks is a registry."""
    for id_, task in left.items():
        if task.labels.get(LABEL) == Role.TLS:
            cure = f"See why, then the same command again: {pasteable(['docker', 'inspect', id_])}"
            raise RegistryError("A registry does not end.", cure=cure)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the engine's refusals into errors with a cure; that of managers without a leader is one of its own."""
    try:
        with connection.errors_explained(what):
            yield
    except RegistryError as error:
        raise _judged(error) from error.__cause__


@contextlib.contextmanager
def _from_cli() -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        raise _judged(error) from error


def _judged(error: RegistryError) -> RegistryError:
    if _NOT_NOW.search(error.message):
        return NotNowError("The swarm is busy.", cure=f"The same command again. It said: {error.message}")
    if not _NO_LEADER.search(error.message):
        return error
    cure = "Have most of the managers running, which docker node ls on each tells; then the same command again."
    return NoLeaderError("The swarm has no leader.", cure=cure)


def _of(said: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return an object within an answer; an empty one where there is none."""
    found: Any = said
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _text(value: object) -> str:
    return visible(value, keep="") if isinstance(value, str) else ""


def _labels(said: Mapping[str, Any], *keys: str) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in _of(said, *keys).items()}


def _node(said: Mapping[str, Any]) -> SwarmNode:
    spec, status, manager = _of(said, "Spec"), _of(said, "Status"), _of(said, "ManagerStatus")
    # Of itself a manager may know 0.0.0.0 alone, and what it told the others besides.
    told = (_text(manager.get("Addr")).rpartition(":")[0].strip("[]"), _text(status.get("Addr")))
    # They go into scripts, and a zone is any text.
    addresses = [it for it in told if is_ip(it) and "%" not in it and not ipaddress.ip_address(it).is_unspecified]
    return SwarmNode(
        id=_text(said.get("ID")),
        name=_text(_of(said, "Description").get("Hostname")),
        address=addresses[0] if addresses else "",
        state=_text(status.get("State")),
        availability=_text(spec.get("Availability")),
        manager=spec.get("Role") == "manager",
        leader=manager.get("Leader") is True,
        version=_text(_of(said, "Description", "Engine").get("EngineVersion")),
        labels=_labels(spec, "Labels"),
    )


def _held(said: Mapping[str, Any], *, secret: bool) -> Held:
    return Held(_text(said.get("ID")), _name(said), secret, _labels(said, "Spec", "Labels"))


def _name(said: Mapping[str, Any]) -> str:
    return _text(_of(said, "Spec").get("Name"))


def _service(said: Mapping[str, Any]) -> Service:
    update = _of(said, "UpdateStatus")
    image = _of(said, "Spec", "TaskTemplate", "ContainerSpec").get("Image")
    labels = _labels(said, "Spec", "Labels")
    return Service(_name(said), labels, _text(image), _text(update.get("State")), _text(update.get("Message")))


def _task(said: Mapping[str, Any], names: Mapping[str, str]) -> Task:
    container = _of(said, "Spec", "ContainerSpec")
    return Task(
        service=names.get(_text(said.get("ServiceID")), ""),
        node=_text(said.get("NodeID")),
        wanted=_text(said.get("DesiredState")),
        state=_text(_of(said, "Status").get("State")),
        labels=_labels(container, "Labels"),
        error=_text(_of(said, "Status").get("Err")),
    )
