"""Nodes that are not there: an engine's containers, each with a runtime and an end of the kit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from trusted_registry.engine.engine import Engine
from trusted_registry.run import Run
from trusted_registry.tasks import trust_nodes
from trusted_registry.tasks.trust_nodes import NodeOptions
from trusted_registry.trust.remote.nodes import FIND_RUNTIME
from trusted_registry.trust.specifics import containerd

if TYPE_CHECKING:
    import docker

    from tests.recorder import Recorder
    from trusted_registry.settings import Settings
    from trusted_registry.trust.remote import nodes

KIND = {"io.x-k8s.kind.cluster": "dev", "io.x-k8s.kind.role": "worker"}
K3D = {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "server"}
DIND = {"mirantis.kubeadm_dind_cluster": "1"}
SET = b"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
UNSET = b"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = ''\n"
TRUST, CHECK, REMOVE = NodeOptions(), NodeOptions(check=True), NodeOptions(remove=True)
CHANGED = (0, b"trusted-registry: changed\n", b"")


class Api:
    """The few calls of the Engine API that a round makes: containers, each with a runtime and an end of the kit."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.runtimes: dict[str, str] = {}
        self.ends: dict[str, tuple[int | None, bytes, bytes] | Exception] = {}
        self.dumps: dict[str, bytes] = {}
        self.kits: list[tuple[str, tuple[str, ...]]] = []
        self._answers: dict[str, tuple[int | None, bytes, bytes]] = {}

    def add(
        self,
        name: str,
        labels: dict[str, str],
        runtime: str,
        end: tuple[int | None, bytes, bytes] | Exception = CHANGED,
        state: str = "running",
    ) -> None:
        """Put a container there."""
        self.listed.append({"Names": [f"/{name}"], "State": state, "Labels": labels})
        self.runtimes[name], self.ends[name], self.dumps[name] = runtime, end, SET

    def containers(self, *, all: bool) -> list[dict[str, Any]]:  # noqa: A002 - the SDK's name
        """List them."""
        assert all
        return self.listed

    def exec_create(self, name: str, argv: list[str], *, user: str) -> dict[str, str]:
        """Take a command of root's."""
        assert user == "0"
        self._answers[name] = self._answer(name, argv)
        return {"Id": name}

    def _answer(self, name: str, argv: list[str]) -> tuple[int | None, bytes, bytes]:
        if argv == ["sh", "-c", FIND_RUNTIME]:
            return 0, f"{self.runtimes[name]}\n".encode(), b""
        if tuple(argv) == containerd.ASK:
            return (0, self.dumps[name], b"") if self.dumps[name] else (1, b"", b"containerd: no such file\n")
        self.kits.append((name, tuple(argv[6 + int(argv[5]) :])))
        end = self.ends[name]
        if isinstance(end, Exception):
            raise end
        return end

    def exec_start(self, number: str, *, demux: bool) -> tuple[bytes | None, bytes | None]:
        """Let it run."""
        assert demux
        _, out, err = self._answers[number]
        return out or None, err or None

    def exec_inspect(self, number: str) -> dict[str, int | None]:
        """Say how it ended."""
        return {"ExitCode": self._answers[number][0]}


class Client:
    """What an engine is asked through: it gives out the calls above, and restarts."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.restarted: list[str] = []
        self.containers = self

    def get(self, name: str) -> Client:
        """Name a container."""
        self._named = name
        return self

    def restart(self, *, timeout: int) -> None:
        """Restart it."""
        assert timeout
        self.restarted.append(self._named)


def engine_of(api: Api, console: Recorder) -> tuple[Engine, Client]:
    """Return an engine that has these containers, and what it is asked through."""
    client = Client(api)
    return Engine(cast("docker.DockerClient", client), console), client


class Go(Protocol):
    """Makes a round on an errand."""

    def __call__(self, options: NodeOptions = ...) -> tuple[nodes.NodeResult, ...]:
        """Return how it ended on each node."""


def rounds(settings: Settings, api: Api, console: Recorder) -> Go:
    """Return a maker of rounds over these containers."""

    def make(options: NodeOptions = TRUST) -> tuple[nodes.NodeResult, ...]:
        engine, _ = engine_of(api, console)
        return trust_nodes.trust(Run(settings, console), engine, options)

    return make
