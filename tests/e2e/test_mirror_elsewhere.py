"""Mirrors for other machines, in the same step as trust: by the kit, by trust.hosts, and for nodes of clusters."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.e2e import mirrors
from tests.e2e.cluster import CERTS_D, IDLE, K3D, KIND, inside, make_images, runner, runs
from tests.e2e.mirror_clients import CLASSIC, CLIENTS
from tests.e2e.mirrors import files
from tests.e2e.steps import offer
from tests.e2e.test_hosts_many import INVENTORY, TRUST, install_ansible, let_in
from tests.e2e.upstreams import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.mirrors import Site
    from tests.e2e.suites import Suite
    from tests.e2e.upstreams import Upstreams

REGISTRIES = "/etc/rancher/k3s/registries.yaml"
TLS = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def site(lab: Lab, suite: Suite, upstreams: Upstreams) -> Iterator[Site]:
    """A machine with mirrors, and the stand-ins for what they mirror; all scenarios here share them."""
    (host,) = lab.start({"mirrors": suite.name})
    yield mirrors.start(host, upstreams, CLASSIC)
    lab.stop([host.name])


NUMBERS = itertools.count(1)


@pytest.fixture
def second(lab: Lab, suite: Suite, site: Site) -> Iterator[Site]:
    """Another machine with every client, which nobody has told anything yet."""
    (host,) = lab.start({f"second-{next(NUMBERS)}": suite.name})
    mirrors.prepare(host, site.upstreams, CLASSIC)
    yield dataclasses.replace(site, host=host, before=files(host), restarted=False)
    lab.stop([host.name])


def _uses_the_mirrors(site: Site) -> None:
    """Insist that every client of a machine pulls through the mirrors, also while the upstreams are away."""
    for cut in (False, True):
        for name in CLIENTS:
            site.is_ready_for(name)
            for image in site.images.values():
                if not site.mirrors(name, image.upstream):
                    continue
                if not cut:
                    site.comes_through_the_mirror(name, image)
                    continue
                with site.upstreams.away(REFUSED):
                    site.comes_through_the_mirror(name, image)


def _asks_the_upstreams(site: Site) -> None:
    site.restart_engine()
    for name in CLIENTS:
        for image in site.images.values():
            site.comes_from_the_upstream(name, image)
    site.restart_engine()


def test_another_machine_uses_the_mirrors_by_the_kit_and_loses_them_by_it(site: Site, second: Site) -> None:
    _asks_the_upstreams(second)
    site.server.does("install", "-d", "-o", "dev", "/srv/kit")
    site.server.inv("trust.kit", "--mirrors", "--out", "/srv/kit")
    second.host.write("/srv/trust.sh", site.server.does("sh", "-c", "cat /srv/kit/*.sh").out)
    second.host.does("sh", "/srv/trust.sh")
    _uses_the_mirrors(second)
    second.host.does("sh", "/srv/trust.sh", "--remove")
    assert files(second.host) == second.before
    _asks_the_upstreams(second)


def test_another_machine_uses_the_mirrors_by_the_line_that_trust_serve_shows(site: Site, second: Site) -> None:
    line = next(it for it in offer(site.server) if "&& curl" in it)
    second.host.does("sh", "-c", line)
    image = next(iter(site.images.values()))
    second.comes_from_the_upstream("podman", image)  # nobody asked for mirrors
    line = next(
        it for it in offer(site.server, log="/srv/serve-2.log", at=8001, words=("--mirrors",)) if "&& curl" in it
    )
    second.host.does("sh", "-c", line)
    second.comes_through_the_mirror("podman", image)
    second.host.does("sh", "-c", f"{line} --remove")
    assert files(second.host) == second.before


def test_many_machines_use_the_mirrors_by_trust_hosts(site: Site, second: Site) -> None:
    install_ansible(site.server)
    let_in(site.server, second.host)
    site.server.write(INVENTORY, f"{second.host.name} ansible_host={second.host.address}\n")
    before = files(second.host)
    image = next(iter(site.images.values()))
    site.server.inv(*TRUST)
    second.comes_from_the_upstream("podman", image)
    site.server.inv(*TRUST, "--mirrors")
    _uses_the_mirrors(second)
    site.server.inv(*TRUST, "--mirrors")  # buildx is a client too, which the first build brought
    assert "already trusted" in site.server.inv(*TRUST, "--mirrors").out
    site.server.inv(*TRUST, "--remove")
    assert files(second.host) == before
    second.comes_from_the_upstream("podman", image)


@pytest.fixture
def nodes(lab: Lab, site: Site) -> Iterator[tuple[str, str]]:
    """A node of kind with its containerd, and one of k3s that is its configuration and no more."""
    host, run = site.server, runner(lab, site.server)
    make_images(host)
    run("kind-worker", "kind:1", KIND, "containerd")
    run("k3d-dev-server-0", "plain:1", K3D, *IDLE)
    inside(host, "kind-worker", "mkdir", "-p", posixpath.dirname(TLS))
    host.does("docker", "cp", TLS, f"kind-worker:{TLS}")  # the company's authority, as on all its machines
    k3s = "printf '#!/bin/sh\\n' > /bin/k3s; chmod 0755 /bin/k3s; mkdir -p /etc/rancher/k3s"
    inside(host, "k3d-dev-server-0", "sh", "-c", k3s)
    host.wait_for("the runtime", lambda: runs(host, "kind-worker", "ctr"))
    yield "kind-worker", "k3d-dev-server-0"
    host.does("docker", "rm", "--force", "kind-worker", "k3d-dev-server-0")


def _etc(host: Host, node: str) -> str:
    return inside(host, node, "sh", "-c", "find /etc -type d; find /etc -type f | sort | xargs md5sum")


def test_nodes_use_the_mirrors_by_trust_nodes_and_are_as_before_once_it_is_undone(
    site: Site, nodes: tuple[str, str]
) -> None:
    host, (kind, k3s) = site.server, nodes
    before = {name: _etc(host, name) for name in nodes}
    _node_pulls(site, kind, by_mirror=False)
    host.inv("trust.nodes", "--mirrors")
    _node_pulls(site, kind, by_mirror=True)
    with site.upstreams.away(REFUSED):
        _node_pulls(site, kind, by_mirror=True)
    with site.stopped():
        _node_pulls(site, kind, by_mirror=False)
    _containerd_of_k3s_would_pull(site, k3s)
    assert host.inv("trust.nodes", "--mirrors").said.count("already trusted") == len(nodes)
    host.inv("trust.nodes", "--remove")
    assert {name: _etc(host, name) for name in nodes} == before
    _node_pulls(site, kind, by_mirror=False)


def _node_pulls(site: Site, node: str, *, by_mirror: bool) -> None:
    """Insist that a node's containerd gets every image from the mirrors, or else from the upstreams."""
    for image in site.images.values():
        logs = {
            True: lambda it=image: site.requests(it.upstream),
            False: lambda it=image: site.upstreams.requests(it.upstream),
        }
        before = len(logs[by_mirror]())
        ctr = ("docker", "exec", node, "ctr", "images")
        site.server.run(*ctr, "remove", "--sync", image.reference)
        site.server.does(*ctr, "pull", "--hosts-dir", CERTS_D, image.reference)
        assert image.paths <= CLIENTS["ctr"].asked(logs[by_mirror]()[before:])


HOSTS_TOML = """server = "https://{server}/v2"
capabilities = ["pull", "resolve", "push"]

[host."{endpoint}/v2"]
  capabilities = ["pull", "resolve"]
  ca = ["{ca}"]
"""
"""As k3s writes it for its containerd, of registries.yaml (k3s-io/k3s, pkg/agent/templates)."""


def _containerd_of_k3s_would_pull(site: Site, node: str) -> None:
    """Insist that a node's registries.yaml leads to the mirrors, by the files that k3s makes of it."""
    host = site.server
    said = YAML(typ="safe").load(inside(host, node, "cat", REGISTRIES))
    for image in site.images.values():
        (endpoint,) = said["mirrors"][image.upstream]["endpoint"]
        assert endpoint == f"https://{site.address(image.upstream)}"
        ca = said["configs"][site.address(image.upstream)]["tls"]["ca_file"]
        folder = f"/srv/k3s/{image.upstream}"
        host.does("mkdir", "--parents", folder)
        host.write(f"{folder}/ca.crt", inside(host, node, "cat", ca))
        toml = HOSTS_TOML.format(server=image.upstream, endpoint=endpoint, ca=f"{folder}/ca.crt")
        host.write(f"{folder}/hosts.toml", toml)
        CLIENTS["ctr"].empty(host, image.reference)
        before = len(site.requests(image.upstream))
        with site.upstreams.away(REFUSED):
            host.does("ctr", "images", "pull", "--hosts-dir", "/srv/k3s", image.reference)
        assert image.paths <= CLIENTS["ctr"].asked(site.requests(image.upstream)[before:])
