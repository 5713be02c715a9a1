"""The manifests without a kubelet: each pod run as it stands in them, on nodes and by an engine of the lab."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e import client_loops, cri, s3
from tests.e2e.cluster import CERTS_D, IDLE, K3D, KIND, MAKE, RUNTIMES, inside, runner, runs
from tests.e2e.steps import CERTS, hand_over, pull, push, served_fingerprint
from tests.kubernetes import objects, pods
from trusted_registry.instance.model import PORT
from trusted_registry.kubernetes import manifests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.s3 import Server
    from tests.kubernetes.objects import Object

FOLDER = f"{CERTS}/kubernetes"
IMAGE, HELD, PID = "/var/image", "/var/held", "/var/pid"
RANCHER = """
printf '#!/bin/sh\\n' >"/bin/$0"
chmod 0755 "/bin/$0"
mkdir -p "/etc/rancher/$0"
printf %s "$1" >"/etc/rancher/$0/registries.yaml"
"""
THEIRS = "mirrors:\n  docker.io:\n    endpoint:\n      - https://mirror.example\n"


@pytest.fixture
def cluster(server: Server, registry: Host) -> Callable[..., dict[str, Object]]:
    """A writer of manifests for a registry whose images are in the bucket, which returns their objects."""
    s3.install_boto3(registry)
    registry.inv("up")
    registry.inv("registry.move", "--to", s3.AT, *server.flags(), "--yes")

    def write(*flags: str) -> dict[str, Object]:
        registry.inv("kubernetes.manifests", *flags)
        return _written(registry)

    return write


def _written(registry: Host) -> dict[str, Object]:
    return objects.named(objects.read(registry.read(f"{FOLDER}/{name}") for name in manifests.FILES))


@pytest.fixture
def node(lab: Lab, client: Host) -> Callable[..., None]:
    """A maker of containers that look like nodes, with a program that takes rights away."""
    for name, programs in {"kind:1": (*RUNTIMES, "ctr"), "plain:1": ()}.items():
        client.does("sh", "-c", MAKE, "sh", name, *programs, "setpriv")
    return runner(lab, client)


def _run(found: dict[str, Object], client: Host, name: str) -> None:
    """Start the pod of trust on a node, and wait until it is ready by its own probe."""
    inside(client, name, "sh", "-c", f"mkdir -p {HELD} {IMAGE} && cp -a /bin /lib* /usr {IMAGE}")
    for file, content in objects.decoded(found["ConfigMap/trust-kit"]).items():
        client.write(f"/srv/{file}", content)
        client.does("docker", "cp", f"/srv/{file}", f"{name}:{HELD}/{file}")
    script = pods.script(found["DaemonSet/trust"], IMAGE, {"kit": HELD}, uid=name)
    logged = f"echo $$ >{PID}; exec unshare -m sh -c {shlex.quote(script)} >/var/said 2>&1"
    client.does("docker", "exec", "--detach", name, "sh", "-c", logged)
    told = ("docker", "exec", name, "sh", "-c", 'grep -qx "$0" /run/trusted-registry/*.sh', name)
    client.wait_for(f"{name} is told", lambda: client.silently(*told).code == 0)


def _end(client: Host, name: str) -> str:
    """End the pod of trust as a kubelet does, and return its log."""
    client.does("docker", "exec", name, "sh", "-c", f"kill -TERM $(cat {PID})")
    alive = ("docker", "exec", name, "sh", "-c", f"kill -0 $(cat {PID})")
    client.wait_for(f"the pod on {name} ends", lambda: client.silently(*alive).code != 0)
    return inside(client, name, "cat", "/var/said")


def _etc(client: Host, name: str) -> str:
    return inside(client, name, "sh", "-c", "find /etc -type d; find /etc -type f | sort | xargs md5sum")


def test_the_pod_of_trust_tells_nodes_of_kind_and_k3s_also_one_that_joins_and_takes_that_back(
    registry: Host, client: Host, cluster: Callable[..., dict[str, Object]], node: Callable[..., None]
) -> None:
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    pull = ("ctr", "images", "pull", "--hosts-dir", CERTS_D, reference)
    found = cluster()
    node("first", "kind:1", KIND, "containerd")
    for name in ("k3s", "rke2"):
        node(name, "plain:1", K3D, *IDLE)
        inside(client, name, "sh", "-c", RANCHER, name, THEIRS)
    client.wait_for("the runtime", lambda: runs(client, "first", "ctr"))
    before = {name: _etc(client, name) for name in ("first", "k3s", "rke2")}
    client.fails("docker", "exec", "first", *pull, saying="x509")

    for name in before:
        _run(found, client, name)
    inside(client, "first", *pull)
    for name in ("k3s", "rke2"):
        assert registry.address in inside(client, name, "cat", f"/etc/rancher/{name}/registries.yaml")
    node("later", "kind:1", KIND, "containerd")
    client.wait_for("its runtime", lambda: runs(client, "later", "ctr"))
    client.fails("docker", "exec", "later", *pull, saying="x509")
    _run(found, client, "later")
    inside(client, "later", *pull)

    said = {name: _end(client, name) for name in before}
    assert ["systemctl restart k3s" in said["k3s"], "systemctl restart rke2-server" in said["rke2"]] == [True, True]
    assert {name: _etc(client, name) for name in before} == before
    inside(client, "first", "ctr", "images", "remove", "--sync", reference)
    client.fails("docker", "exec", "first", *pull, saying="x509")
    inside(client, "later", *pull)


NETWORK = """
set -eu
ip link add pods type bridge
ip addr add 10.88.0.1/24 dev pods
ip link set pods up
iptables --wait --insert FORWARD --in-interface pods --jump ACCEPT
iptables --wait --insert FORWARD --out-interface pods --jump ACCEPT
iptables --wait --table nat --append POSTROUTING --source 10.88.0.0/24 ! --out-interface pods --jump MASQUERADE
iptables --wait --table nat --new-chain SERVICE
for chain in PREROUTING OUTPUT; do
    iptables --wait --table nat --insert "$chain" --destination "$1" --protocol tcp --dport 443 --jump SERVICE
done
"""
JOIN = """
set -eu
ip netns add "$1"
ip link add "pod$2" type veth peer name eth0 netns "$1"
ip link set "pod$2" master pods up
ip -n "$1" addr add "10.88.0.$2/24" dev eth0
ip -n "$1" link set eth0 up
ip -n "$1" route add default via 10.88.0.1
"""
IMAGES = "/srv/images"
CTR = ("ctr", "--namespace", "k8s.io")
LAG = 2
"""Seconds that a node still leads new connections to a pod that ends."""


class Node:
    """A node as its kubelet and its kube-proxy make it: pods by containerd, each with an address of its own."""

    def __init__(self, host: Host, image: str) -> None:
        self.host = host
        self.pods: dict[str, int] = {}
        self.led: list[str] = []
        cri.start(host)
        host.does("sh", "-c", NETWORK, "sh", host.address)
        host.does("install", "-d", f"--group={manifests.USER}", "--mode=2775", IMAGES)  # as a kubelet does for fsGroup
        host.does("docker", "create", "--name", "tree", image)
        host.does("sh", "-c", "mkdir /srv/tree && docker export tree | tar -C /srv/tree -x")

    def lead(self, *names: str) -> None:
        """Lead new connections to these pods and no other, at once, as kube-proxy does for a Service."""
        lines, self.led = ["*nat", ":SERVICE - [0:0]"], [*names]
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            turn = f"-m statistic --mode random --probability {1 / left:.5f}"
            lines.append(f"-A SERVICE -p tcp {turn} -j DNAT --to-destination 10.88.0.{self.pods[name]}:{PORT}")
        self.host.write("/srv/service", "\n".join([*lines, "COMMIT", ""]))
        self.host.does("iptables-restore", "--wait", "--noflush", "/srv/service")

    def run(self, found: dict[str, Object], name: str) -> None:
        """Run the registry's pod with its Secret, and wait until it is ready by its own probe."""
        number, held = len(self.pods) + 2, f"/srv/{name}"
        self.pods[name] = number
        self.host.does("sh", "-c", JOIN, "sh", name, str(number))
        self.host.does("sh", "-c", 'mkdir "$0" && cp -a /srv/tree "$0.tree"', held)
        for file, content in objects.decoded(found["Secret/registry-files"]).items():
            self.host.write(f"{held}/{file}", content, mode=0o440)
        self.host.does("chgrp", "--recursive", str(manifests.USER), held)
        deployment = found["Deployment/registry"]
        network = f"/run/netns/{name}"
        folders = {"files": held, "images": IMAGES}
        spec = pods.runtime_spec(deployment, f"{held}.tree", folders, name=name, network=network)
        self.host.write(f"{held}.json", json.dumps(spec))
        log = ("--log-uri", f"file://{held}.log")
        self.host.does(*CTR, "run", "--detach", *log, "--config", f"{held}.json", name)
        (container,) = objects.pod(deployment)["containers"]
        assert set(container["readinessProbe"]) == {"tcpSocket", "periodSeconds"}
        probe = ("bash", "-c", f"exec 3<>/dev/tcp/10.88.0.{number}/{PORT}")
        self.host.wait_for(f"{name} is ready", lambda: self.host.silently(*probe).code == 0)
        self.lead(*self.led, name)

    def end(self, found: dict[str, Object], name: str) -> None:
        """End a pod as a kubelet does, by preStop, TERM and its grace, while kube-proxy learns of that later."""
        spec = objects.pod(found["Deployment/registry"])
        (container,) = spec["containers"]
        hook = container["lifecycle"]["preStop"]["exec"]["command"]
        begun, log = time.monotonic(), f"/srv/{name}.hook"
        self.host.begin(*CTR, "tasks", "exec", "--exec-id", "hook", name, *hook, log=log)
        time.sleep(LAG)
        self.lead(*(it for it in self.led if it != name))
        self.host.wait_for("preStop is over", lambda: self.host.silently("pgrep", "-f", "exec-id hook").code != 0)
        assert (self.host.read(log), time.monotonic() - begun > manifests.PAUSE_SECONDS) == ("", True)
        self.host.does(*CTR, "tasks", "kill", "--signal", "SIGTERM", name)
        assert self._is_gone(name, spec["terminationGracePeriodSeconds"]) == ""

    def kill(self, name: str) -> None:
        """End a pod by force, as a node that loses power does."""
        self.host.does(*CTR, "tasks", "kill", "--signal", "SIGKILL", name)
        assert "code 137" in self._is_gone(name, 10)

    def _is_gone(self, name: str, seconds: int) -> str:
        """Wait for a pod's end, and return the complaint about its exit status, "" for none."""
        stopped = ("sh", "-c", f"{' '.join(CTR)} tasks list | grep -q '^{name} .*STOPPED'")
        self.host.wait_for(f"{name} has ended", lambda: self.host.silently(*stopped).code == 0, seconds=seconds)
        return self.host.run(*CTR, "tasks", "delete", name).said


def test_the_registry_s_pods_serve_drain_and_are_renewed_without_a_cut_stream(
    registry: Host, client: Host, cluster: Callable[..., dict[str, Object]], run: Run
) -> None:
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    image = registry.settings["INVOKE_REGISTRY_IMAGE"]
    old = cluster("--image", image)
    registry.inv("down")
    assert old["Deployment/registry"]["spec"]["replicas"] == 2
    node = Node(registry, image)
    for name in ("old-1", "old-2"):
        node.run(old, name)
    hand_over(registry, client)
    client.inv("trust.linux")
    before = served_fingerprint(client, registry.address)
    client_loops.begin(client, registry.address, reference)

    registry.inv("cert.renew")
    new = cluster("--image", image)
    for number in (1, 2):
        node.run(new, f"new-{number}")
        node.end(old, f"old-{number}")
    found, words = client_loops.end(client)
    run.notes.append(f"two pods replaced one by one: {json.dumps(found)}")
    assert all(counts["good"] for counts in found.values()), found
    assert {name: counts["bad"] for name, counts in found.items()} == dict.fromkeys(found, 0), words
    assert served_fingerprint(client, registry.address) != before
    assert pull(client, reference) == pushed

    client_loops.begin(client, registry.address, reference)
    node.kill("new-1")
    node.lead("new-2")
    found, _ = client_loops.end(client)
    run.notes.append(f"one of two pods killed by force: {json.dumps(found)}")
    assert found["new connections"]["bad"] + found["downloads"]["bad"] + found["uploads"]["bad"], found


def test_a_registry_with_a_volume_of_the_cluster_s_serves_and_its_successor_has_the_images(
    registry: Host, client: Host
) -> None:
    registry.inv("up")
    image = registry.settings["INVOKE_REGISTRY_IMAGE"]
    registry.inv("kubernetes.manifests", "--image", image)
    found = _written(registry)
    assert found["Deployment/registry"]["spec"]["strategy"] == {"type": "Recreate"}
    registry.inv("down")
    node = Node(registry, image)
    node.run(found, "before")
    hand_over(registry, client)
    client.inv("trust.linux")
    reference = f"{registry.address}/app:1"
    pushed = push(client, reference)
    node.end(found, "before")
    client.fails("docker", "pull", reference, saying="connection refused")
    node.run(found, "after")
    assert pull(client, reference) == pushed
