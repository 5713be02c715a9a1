"""Nodes that are not there: a fake engine's containers, each with a runtime and an end of the kit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.fake_engine import FakeEngine, container
from trusted_registry.engine.types import ExecResult
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_nodes
from trusted_registry.tasks.trust_nodes import NodeOptions
from trusted_registry.trust.remote.nodes import FIND_RUNTIME
from trusted_registry.trust.specifics import containerd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.recorder import Recorder
    from trusted_registry.settings import Settings
    from trusted_registry.trust.remote import nodes

KIND = {"io.x-k8s.kind.cluster": "dev", "io.x-k8s.kind.role": "worker"}
K3D = {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "server"}
DIND = {"mirantis.kubeadm_dind_cluster": "1"}
SET = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
UNSET = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = ''\n"
TRUST, CHECK, REMOVE = NodeOptions(), NodeOptions(check=True), NodeOptions(remove=True)
CHANGED = ExecResult(0, "trusted-registry: changed\n", "")


class Cluster(FakeEngine):
    """An engine whose containers are nodes, each with a runtime and an end of the kit of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.runtimes: dict[str, str] = {}
        self.ends: dict[str, ExecResult | RegistryError] = {}
        self.dumps: dict[str, str] = {}
        self.kits: list[tuple[str, tuple[str, ...]]] = []
        self.scripts: list[str] = []

    def add(
        self,
        name: str,
        labels: dict[str, str],
        runtime: str,
        end: ExecResult | RegistryError = CHANGED,
        state: str = "running",
    ) -> None:
        """Put a node there."""
        self.put(name, container(role=None, state=state, port=None), **labels)
        self.runtimes[name], self.ends[name], self.dumps[name] = runtime, end, SET

    def run_in(self, name: str, argv: Sequence[str]) -> ExecResult:
        if tuple(argv) == ("sh", "-c", FIND_RUNTIME):
            return ExecResult(0, f"{self.runtimes[name]}\n", "")
        if tuple(argv) == containerd.ASK:
            dump = self.dumps[name]
            return ExecResult(0, dump, "") if dump else ExecResult(1, "", "containerd: no such file\n")
        if tuple(argv) == ("cat", containerd.CONFIG):
            return ExecResult(0, "version = 2\n", "")
        self.kits.append((name, tuple(argv[6 + int(argv[5]) :])))
        self.scripts.append("".join(argv[6 : 6 + int(argv[5])]))
        end = self.ends[name]
        if isinstance(end, RegistryError):
            raise end
        return end


class Go(Protocol):
    """Makes a round on an errand."""

    def __call__(self, options: NodeOptions = ...) -> tuple[nodes.NodeResult, ...]:
        """Return how it ended on each node."""


def rounds(settings: Settings, cluster: Cluster, console: Recorder) -> Go:
    """Return a maker of rounds over these containers."""

    def make(options: NodeOptions = TRUST) -> tuple[nodes.NodeResult, ...]:
        return trust_nodes.trust(Run(settings, console), cluster, options)

    return make
