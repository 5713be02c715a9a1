"""Nodes of clusters that run in containers of a host's engine: each is told by the runtime in it, and pulls by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.e2e.cluster import CERTS_D, DIND, IDLE, K3D, KIND, inside, make_images, runner, runs
from tests.e2e.steps import hand_over, push

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab

SET = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{CERTS_D}"\n'
THEIRS = """\
# the cluster's own
mirrors:
    docker.io:
        endpoint:
            - https://registry.example.com:5000
configs:
    registry.example.com:5000:
        auth:
            username: me # of this registry
            password: "x: y"
"""


@pytest.fixture
def node(lab: Lab, client: Host) -> Callable[..., None]:
    """A maker of containers that look like nodes, on the client's engine and network."""
    return runner(lab, client)


@pytest.fixture
def images(client: Host) -> None:
    """Images for nodes, as far as they matter here: of containerd, of an engine, and of neither."""
    make_images(client)


def _etc(client: Host, node: str) -> str:
    return inside(client, node, "sh", "-c", "find /etc -type d; find /etc -type f | sort | xargs md5sum")


@pytest.fixture
def nodes(client: Host, node: Callable[..., None], images: None) -> tuple[str, ...]:
    """A node of each kind, their runtimes running; that of k3s is what its configuration is, and no more."""
    assert images is None
    node("kind-worker", "kind:1", KIND, "containerd")
    node(
        "kube-master",
        "dind:1",
        DIND,
        "dockerd",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--userland-proxy=false",
        "--storage-driver=vfs",
    )
    node("k3d-dev-server-0", "plain:1", K3D, *IDLE)
    node("k3d-dev-serverlb", "plain:1", ("app=k3d", "k3d.cluster=dev", "k3d.role=loadbalancer"), *IDLE)
    k3s = "printf '#!/bin/sh\\n' > /bin/k3s; chmod 0755 /bin/k3s; mkdir -p /etc/rancher/k3s"
    inside(client, "k3d-dev-server-0", "sh", "-c", k3s)
    client.write("/srv/theirs.yaml", THEIRS)
    client.does("docker", "cp", "/srv/theirs.yaml", "k3d-dev-server-0:/etc/rancher/k3s/registries.yaml")
    ready = (("kind-worker", "ctr"), ("kube-master", "docker"))
    client.wait_for("the runtimes", lambda: all(runs(client, name, program) for name, program in ready))
    return ("k3d-dev-server-0", "kind-worker", "kube-master")


def test_nodes_are_told_by_the_runtime_in_them_pull_and_forget(
    registry: Host, client: Host, nodes: tuple[str, ...]
) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    hand_over(registry, client)
    pulls = {
        "kind-worker": ("ctr", "images", "pull", "--hosts-dir", CERTS_D, reference),
        "kube-master": ("docker", "pull", reference),
    }
    before = {name: _etc(client, name) for name in nodes}
    for name, argv in pulls.items():
        client.fails("docker", "exec", name, *argv, saying="x509")

    said = client.inv("trust.nodes").said
    assert said.count("changed") == len(nodes)
    assert "docker restart k3d-dev-server-0" in said
    assert "serverlb" not in said
    for name, argv in pulls.items():
        inside(client, name, *argv)
    _is_documented(YAML(typ="safe").load(inside(client, nodes[0], "cat", "/etc/rancher/k3s/registries.yaml")), registry)
    assert client.inv("trust.nodes").said.count("already trusted") == len(nodes)
    client.inv("trust.nodes", "--check")

    client.inv("trust.nodes", "--remove")
    client.inv_fails("trust.nodes", "--check", saying="3 of 3 nodes have a problem")
    for name, argv in pulls.items():
        client.fails("docker", "exec", name, *argv, saying="x509")
    assert {name: _etc(client, name) for name in nodes} == before
    assert [inside(client, name, "sh", "-c", "ls /tmp") for name in nodes] == ["", "", ""]


def _is_documented(said: dict[str, object], registry: Host) -> None:
    """Compare with the form of docs.k3s.io/installation/private-registry, and with what was there before."""
    names = {f"{registry.address}:443", registry.address}
    theirs = YAML(typ="safe").load(THEIRS)
    mirrors, configs = said.pop("mirrors"), said.pop("configs")
    assert said == {}
    assert isinstance(mirrors, dict)
    assert isinstance(configs, dict)
    assert mirrors == theirs["mirrors"] | {name: {"endpoint": [f"https://{name}"]} for name in names}
    authorities = {configs.pop(name)["tls"]["ca_file"] for name in names}
    assert configs == theirs["configs"]
    assert len(authorities) == 1
    assert str(authorities.pop()).startswith("/etc/rancher/k3s/trusted-registry-")


def test_a_node_whose_containerd_would_not_read_the_trust_is_named_with_the_cure(
    registry: Host, client: Host, nodes: tuple[str, ...]
) -> None:
    registry.inv("up")
    hand_over(registry, client)
    assert "kind-worker" in nodes
    said = client.inv("trust.nodes", "--label", KIND[0]).said
    assert "does not read /etc/containerd/certs.d: its config_path is not set" in said
    assert "docker exec kind-worker systemctl restart containerd" in said
    client.write("/srv/config.toml", SET)
    client.does("docker", "cp", "/srv/config.toml", "kind-worker:/etc/containerd/config.toml")
    assert "config_path" not in client.inv("trust.nodes", "--label", KIND[0]).said


def test_nodes_that_wait_or_die_are_named_and_the_others_are_told(
    registry: Host, client: Host, node: Callable[..., None], images: None
) -> None:
    assert images is None
    registry.inv("up")
    hand_over(registry, client)
    client.inv_fails("trust.nodes", saying="none has a label io.x-k8s.kind.cluster, app=k3d, mirantis")
    for name in ("a-dies", "b-waits", "c-lives"):
        node(name, "kind:1", KIND, *IDLE)
    # its shell ends the whole node when it is given the kit
    ends = '#!/bin/ash\ncase $2 in *mktemp*) kill 1; sleep 60 ;; *) exec ash "$@" ;; esac\n'
    inside(client, "a-dies", "sh", "-c", "rm /bin/sh; printf '%s' \"$0\" > /bin/sh; chmod 0755 /bin/sh", ends)
    client.does("docker", "kill", "b-waits")  # not paused: what is frozen in a host keeps that from being removed
    said = client.inv_fails("trust.nodes", saying="1 of 3 nodes have a problem: a-dies.").said
    assert "it is exited: docker start b-waits" in said
    assert "before the kit was through" in said
    inside(client, "c-lives", "test", "-f", f"{CERTS_D}/{registry.address}/hosts.toml")

    client.does("docker", "kill", "c-lives")
    client.inv_fails("trust.nodes", saying="docker start a-dies; docker start b-waits; docker start c-lives")
