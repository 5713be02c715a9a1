"""The manifests without a kubelet: each pod run as it stands in them, on nodes and by an engine of the lab."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.e2e import s3
from tests.e2e.cluster import CERTS_D, IDLE, K3D, KIND, MAKE, RUNTIMES, inside, runner, runs
from tests.e2e.steps import CERTS, push
from tests.kubernetes import objects, pods
from trusted_registry.kubernetes import manifests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.s3 import Server
    from tests.e2e.suites import Suite
    from tests.kubernetes.objects import Object

FOLDER = f"{CERTS}/kubernetes"
IMAGE, HELD, PID = "/var/image", "/var/held", "/var/pid"
THEIRS = "mirrors:\n  docker.io:\n    endpoint:\n      - https://mirror.example\n"


@pytest.fixture
def server(lab: Lab, suite: Suite, registry: Host, tmp_path: Path) -> Server:
    """A server with an empty bucket, for which the registry's machine has the credentials."""
    (host,) = lab.start({"bucket": suite.name})
    made = s3.start(host, tmp_path)
    made.is_told_to(registry)
    return made


@pytest.fixture
def cluster(server: Server, registry: Host) -> Callable[..., dict[str, Object]]:
    """A writer of manifests for a registry whose images are in the bucket, which returns their objects."""
    s3.install_boto3(registry)
    registry.inv("up")
    registry.inv("registry.move", "--to", s3.AT, *server.flags(), "--yes")

    def write(*flags: str) -> dict[str, Object]:
        registry.inv("kubernetes.manifests", *flags)
        return objects.named(objects.read(registry.read(f"{FOLDER}/{name}") for name in manifests.FILES))

    return write


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
    node("k3s", "plain:1", K3D, *IDLE)
    inside(client, "k3s", "sh", "-c", "printf '#!/bin/sh\\n' >/bin/k3s; chmod 0755 /bin/k3s; mkdir -p /etc/rancher/k3s")
    inside(client, "k3s", "sh", "-c", 'printf %s "$0" >/etc/rancher/k3s/registries.yaml', THEIRS)
    client.wait_for("the runtime", lambda: runs(client, "first", "ctr"))
    before = {name: _etc(client, name) for name in ("first", "k3s")}
    client.fails("docker", "exec", "first", *pull, saying="x509")

    for name in before:
        _run(found, client, name)
    inside(client, "first", *pull)
    assert registry.address in inside(client, "k3s", "cat", "/etc/rancher/k3s/registries.yaml")
    node("later", "kind:1", KIND, "containerd")
    client.wait_for("its runtime", lambda: runs(client, "later", "ctr"))
    client.fails("docker", "exec", "later", *pull, saying="x509")
    _run(found, client, "later")
    inside(client, "later", *pull)

    said = {name: _end(client, name) for name in before}
    assert "so: systemctl restart k3s" in said["k3s"]
    assert {name: _etc(client, name) for name in before} == before
    inside(client, "first", "ctr", "images", "remove", "--sync", reference)
    client.fails("docker", "exec", "first", *pull, saying="x509")
    inside(client, "later", *pull)


def _serve(found: dict[str, Object], host: Host, name: str, port: int) -> None:
    """Run the registry's pod by a host's engine, with its Secret, at a port."""
    held = f"/srv/{name}"
    host.does("mkdir", held)
    for file, content in objects.decoded(found["Secret/registry-files"]).items():
        host.write(f"{held}/{file}", content, owner=manifests.USER, mode=0o440)
    flags = pods.engine_flags(found["Deployment/registry"], held)
    host.does("docker", "run", "--detach", "--name", name, f"--publish={port}:5000", *flags)
    url = f"https://{host.address}:{port}/v2/"
    asked = ("curl", "--silent", "--fail", "--cacert", f"{CERTS}/ca.crt", url)
    host.wait_for(f"{name} answers", lambda: host.silently(*asked).code == 0)


def _blob(host: Host, name: str) -> str:
    """Return the path of the largest layer of an image."""
    url = f"https://{host.address}/v2/{name}/manifests/1"
    accept = "Accept: application/vnd.docker.distribution.manifest.v2+json"
    said = host.does("curl", "--silent", "--cacert", f"{CERTS}/ca.crt", "--header", accept, url).out
    return f"/v2/{name}/blobs/{max(json.loads(said)['layers'], key=lambda it: it['size'])['digest']}"


def test_the_registry_s_pod_serves_drains_and_is_renewed_without_a_cut_stream(
    registry: Host, client: Host, cluster: Callable[..., dict[str, Object]]
) -> None:
    registry.does("sh", "-c", "head -c 120000000 /dev/urandom >/srv/x && tar -C /srv -c x | docker import - large:1")
    push(registry, f"{registry.address}/large:1", "large:1")
    path = _blob(registry, "large")
    image = registry.settings["INVOKE_REGISTRY_IMAGE"]
    before = cluster("--image", image)
    registry.inv("down")
    _serve(before, registry, "old", 443)
    slow = ("curl", "--silent", "--fail", "--limit-rate", "6M", "--cacert", f"{CERTS}/ca.crt", "--output", "/srv/got")
    client.write(f"{CERTS}/ca.crt", registry.read(f"{CERTS}/ca.crt"))
    client.begin(*slow, "--write-out", "%{size_download}", f"https://{registry.address}{path}", log="/srv/size")
    client.wait_for("the download has begun", lambda: client.silently("test", "-s", "/srv/got").code == 0)

    registry.inv("cert.renew")
    after = cluster("--image", image)
    marks = [it["Deployment/registry"]["spec"]["template"]["metadata"]["annotations"] for it in (before, after)]
    assert marks[0] != marks[1]
    _serve(after, registry, "new", 8443)
    grace = objects.pod(before["Deployment/registry"])["terminationGracePeriodSeconds"]
    assert client.peek("/srv/size") == "", "the download is to be under way"
    registry.does("docker", "stop", f"--time={grace}", "old", seconds=grace)
    assert registry.does("docker", "inspect", "--format", "{{.State.ExitCode}}", "old").out.strip() == "0"
    client.wait_for("the download is through", lambda: client.peek("/srv/size") != "")
    assert int(client.peek("/srv/size")) >= 120_000_000
    pushed = f"{registry.address}:8443/large:1"
    registry.does("docker", "tag", "large:1", pushed)
    registry.inv("trust.linux", "--port", "8443")
    registry.does("docker", "push", pushed)
    client.fails("curl", "--silent", "--show-error", f"https://{registry.address}:8443/v2/", saying="certificate")
