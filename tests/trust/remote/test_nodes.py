"""Nodes that are containers: which those are, what the kit's end means, and what a cluster is told."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from trusted_registry.certificate import issue
from trusted_registry.engine.types import ExecResult, ListedContainer
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit, trust_nodes
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.model import LINUX
from trusted_registry.trust.remote import kit, nodes
from trusted_registry.trust.remote.nodes import Node, NodeResult

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

NODE = Node("kind-worker", "kind", "running", "kind-kind")


KIND = {"io.x-k8s.kind.cluster": "kind", "io.x-k8s.kind.role": "control-plane"}
CONTAINERS = (
    ListedContainer("db", "running", {"app": "postgres"}),
    ListedContainer("kind-control-plane", "running", KIND),
    ListedContainer("kind-external-load-balancer", "running", {**KIND, "io.x-k8s.kind.role": "external-load-balancer"}),
    ListedContainer("kind-worker", "paused", {**KIND, "io.x-k8s.kind.role": "worker"}),
    ListedContainer("k3d-dev-agent-0", "exited", {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "agent"}),
    ListedContainer("k3d-dev-server-0", "running", {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "server"}),
    ListedContainer("k3d-dev-serverlb", "running", {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "loadbalancer"}),
    ListedContainer("k3d-dev-tools", "running", {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "noRole"}),
    ListedContainer("kube-master", "running", {"mirantis.kubeadm_dind_cluster": "1"}),
    ListedContainer("minikube", "running", {"created_by.minikube.sigs.k8s.io": "true"}),
)


def test_nodes_of_every_known_kind_are_found_and_nothing_else() -> None:
    found = nodes.select(CONTAINERS)
    assert [(it.name, it.kind) for it in found] == [
        ("kind-control-plane", "kind"),
        ("kind-worker", "kind"),
        ("k3d-dev-agent-0", "k3d"),
        ("k3d-dev-server-0", "k3d"),
        ("kube-master", "kubeadm-dind-cluster"),
    ]


def test_the_contexts_of_clusters_are_kubectls_names_for_them() -> None:
    assert [it.context for it in nodes.select(CONTAINERS)] == ["kind-kind", "kind-kind", "k3d-dev", "k3d-dev", ""]


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("created_by.minikube.sigs.k8s.io=true", ["minikube"]),
        ("created_by.minikube.sigs.k8s.io", ["minikube"]),
        ("k3d.cluster=dev", ["k3d-dev-agent-0", "k3d-dev-server-0"]),
        ("app", ["db", "k3d-dev-agent-0", "k3d-dev-server-0"]),
    ],
)
def test_a_label_chooses_its_containers_and_no_others(label: str, names: list[str]) -> None:
    assert [it.name for it in nodes.select(CONTAINERS, label)] == names


def test_no_node_names_the_labels_that_were_looked_for() -> None:
    with pytest.raises(RegistryError) as caught:
        nodes.select(CONTAINERS[:1])
    for label in ("io.x-k8s.kind.cluster", "app=k3d", "mirantis.kubeadm_dind_cluster"):
        assert label in caught.value.message
    assert "--label KEY=VALUE" in caught.value.cure


def test_no_container_with_the_label_names_that_label() -> None:
    with pytest.raises(RegistryError, match="none has a label created_by=me"):
        nodes.select(CONTAINERS, "created_by=me")


@pytest.mark.parametrize("label", ["=x", " ", "a b", "a=b c"])
def test_what_is_no_label_is_a_wrong_flag(label: str) -> None:
    with pytest.raises(SettingError, match="--label is"):
        nodes.label(label)


@pytest.mark.parametrize(
    ("state", "said"),
    [("running", ""), ("paused", "docker unpause n"), ("exited", "docker start n"), ("created", "docker start n")],
)
def test_a_node_that_does_not_run_is_named_with_what_has_it_run(state: str, said: str) -> None:
    assert nodes.wake_command(Node("n", "kind", state)) == said


@pytest.mark.parametrize(
    ("ran", "state", "fine"),
    [
        (ExecResult(0, "authority: …\ntrusted-registry: changed\n", "note: x\n"), "changed", True),
        (ExecResult(0, "trusted-registry: already trusted\n", ""), "already trusted", True),
        (ExecResult(0, "trusted-registry: trusted\n", ""), "trusted", True),
        (ExecResult(1, "trusted-registry: absent\n", ""), "absent", False),
        (ExecResult(0, "trusted-registry: absent\n", ""), "absent", True),
        (ExecResult(1, "trusted-registry: failed\n", "error: disk full\n   do: df\n"), "failed", False),
        (ExecResult(2, "trusted-registry: failed\n", ""), "failed", False),
        (ExecResult(137, "authority: …\n", ""), "failed", False),
        (ExecResult(None, "trusted-registry: changed\n", ""), "changed", False),
        (ExecResult(0, "", ""), "failed", False),
    ],
)
def test_the_kits_last_line_and_exit_status_are_the_outcome(ran: ExecResult, state: str, fine: bool) -> None:  # noqa: FBT001 - a column
    result = nodes.read_result(NODE, "containerd", ran)
    assert (result.state, result.fine) == (state, fine)


@pytest.mark.parametrize(
    ("ran", "reason"),
    [
        (ExecResult(1, "trusted-registry: failed\n", "note: x\nerror: disk full\n   do: df\n"), "disk full"),
        (ExecResult(137, "half a line", ""), "it ended before the kit was through; half a line"),
        (ExecResult(127, "", "sh: mktemp: not found\n"), "it ended before the kit was through; sh: mktemp: not found"),
        (ExecResult(None, "", ""), "it ended before the kit was through"),
    ],
)
def test_a_failure_on_a_node_has_its_reason(ran: ExecResult, reason: str) -> None:
    assert nodes.read_result(NODE, "containerd", ran).left == reason


def test_a_node_that_failed_fails_the_whole_and_is_named() -> None:
    other = Node("kind-worker2", "kind", "running")
    changed = NodeResult(NODE, "containerd", "changed")
    failure = trust_nodes.report([changed, nodes.failure(other, "", "gone")]).failure
    assert failure
    assert failure.message.endswith("1 of 2 nodes have a problem: kind-worker2.")
    assert trust_nodes.report([changed, NodeResult(other, "", nodes.LEFT_OUT, "paused")]).failure is None


def test_every_runtime_has_a_store_of_the_table() -> None:
    assert set(nodes.STORES.values()) <= set(client_stores.NAMES)


# A node's disk, as far as the table's signs go

DISKS = {
    # kindest/node; images/base/Dockerfile of github.com/kubernetes-sigs/kind
    "kind": (["usr/local/bin/containerd", "usr/local/bin/crictl", "usr/bin/kubelet", "usr/local/bin/ctr"], []),
    # rancher/k3s; package/Dockerfile of github.com/k3s-io/k3s
    "k3d": (["bin/k3s", "bin/crictl", "bin/ctr", "bin/kubectl", "bin/containerd"], []),
    "kubeadm-dind-cluster": (["usr/bin/dockerd", "usr/bin/containerd"], ["var/lib/docker"]),
}
READS = {"kind": ["containerd"], "k3d": ["k3s"], "kubeadm-dind-cluster": ["docker"]}


@pytest.mark.parametrize("kind", DISKS)
def test_the_signs_find_the_store_of_a_node_and_no_other(kind: str, tmp_path: Path) -> None:
    programs, folders = DISKS[kind]
    for program in programs:
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    home = tmp_path / "root"
    searched = tuple(tmp_path / folder for folder in ("usr/local/bin", "usr/bin", "bin"))
    node_machine = machines.Machine(
        home, home / ".config", home / ".local", tmp_path / "run/0", home / ".docker", searched, tmp_path
    )
    machine = [it for it in client_stores.STORES if it.system == LINUX and not it.on_request]
    assert [it.name for it in machine if machines.has_signs(it.signs, node_machine)] == READS[kind]


# The script's way into a node


def _sh(argv: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.process
@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_script_is_a_whole_private_file_while_it_runs_and_gone_after(code: int, tmp_path: Path) -> None:
    script = (
        f"""ls -l "$0" | cut -c1-10; basename "$0"; echo "$@"; cat "$0" | wc -c; echo 'ä %s'; exit {code} # \\n\n\n"""
    )
    done = _sh(nodes.kit_argv(script.encode(), "trust-10.0.0.1-ab.sh", ("--only", "k3s")), tmp_path)
    size = str(len(script.encode()))
    assert done.stdout.splitlines() == ["-rw-------", "trust-10.0.0.1-ab.sh", "--only k3s", size, "ä %s"]
    assert done.returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_the_kit_of_a_registry_with_two_hundred_names_finds_its_way_in_too(
    tmp_path: Path, make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(tool="cryptography", names=",".join(f"name-{number}.local" for number in range(200)))
    issue.ensure(Run(settings, console))
    content = kit.render(trust_kit.load_anchor(settings), settings.address)
    done = _sh(nodes.kit_argv(content, "kit.sh", ("--help",)), tmp_path)
    assert (done.returncode, "authority" in done.stdout.lower()) == (0, True)


@pytest.mark.process
def test_a_node_without_room_for_the_script_says_so(tmp_path: Path) -> None:
    done = _sh(nodes.kit_argv(b"echo hello\n", "kit.sh", ()), tmp_path / "absent")
    assert done.returncode == 1
    assert "hello" not in done.stdout
    assert not nodes.read_result(NODE, "k3s", ExecResult(done.returncode, done.stdout, done.stderr)).fine


@pytest.mark.process
@pytest.mark.parametrize(
    ("programs", "runtime"),
    [
        (["containerd", "crictl"], "containerd"),
        (["k3s", "containerd", "crictl"], "k3s"),
        (["dockerd", "containerd"], "dockerd"),
        ([], ""),
    ],
)
def test_what_pulls_images_on_a_node_is_told_by_its_programs(programs: list[str], runtime: str, tmp_path: Path) -> None:
    for program in programs:
        (tmp_path / program).touch(mode=0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", nodes.FIND_RUNTIME], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == runtime


def test_what_a_person_would_type_runs_the_kit_and_takes_it_away() -> None:
    assert nodes.shown_commands("n", "kit.sh", ("--only", "k3s")) == (
        ("docker", "cp", "kit.sh", "n:/kit.sh"),
        ("docker", "exec", "--user", "0", "n", "sh", "/kit.sh", "--only", "k3s"),
        ("docker", "exec", "--user", "0", "n", "rm", "/kit.sh"),
    )


# What a cluster is told: KEP-1755


def test_the_config_map_is_the_one_that_tools_look_for() -> None:
    said = YAML(typ="safe").load(nodes.manifest("192.168.0.12:8443"))
    assert (said["apiVersion"], said["kind"]) == ("v1", "ConfigMap")
    assert (said["metadata"]["namespace"], said["metadata"]["name"]) == ("kube-public", "local-registry-hosting")
    # KEP-1755: as this machine, a node's runtime and a pod know the registry
    names = ("host", "hostFromContainerRuntime", "hostFromClusterNetwork")
    told = YAML(typ="safe").load(said["data"]["localRegistryHosting.v1"])
    assert told == dict.fromkeys(names, "192.168.0.12:8443")


@pytest.mark.parametrize("registry_host", ["192.168.0.12", "[fd00::12]:8443", "registry.local"])
def test_what_was_published_is_read_back_as_ours(registry_host: str) -> None:
    assert nodes.published(nodes.manifest(registry_host)) == (registry_host, True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ("", True)),
        ("\n", ("", True)),
        # as kind's own guide writes it (kind.sigs.k8s.io/docs/user/local-registry)
        (
            json.dumps({"data": {nodes.KEY: 'host: "localhost:5001"\nhelp: "https://kind.sigs.k8s.io/"\n'}}),
            ("localhost:5001", False),
        ),
        (json.dumps({"metadata": {"labels": None}, "data": None}), ("", False)),
    ],
)
def test_what_a_cluster_names_is_told_from_what_we_wrote(text: str, named: tuple[str, bool]) -> None:
    assert nodes.published(text) == named


@pytest.mark.parametrize("text", ["Error", "[1]", '{"metadata": 1}', '{"data": {"localRegistryHosting.v1": 1}}'])
def test_what_is_no_answer_of_kubectl_is_an_error_and_no_traceback(text: str) -> None:
    with pytest.raises(RegistryError, match="did not print JSON"):
        nodes.published(text)
