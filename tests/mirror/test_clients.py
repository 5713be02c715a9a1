"""What clients are told of mirrors: each upstream by its own name, and the mirror's authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trust import sample
from trusted_registry.trust import client_stores, contents
from trusted_registry.trust.model import File, ManagedBlock, Mirror

if TYPE_CHECKING:
    from trusted_registry.trust.model import TrustAnchor

HUB, GITHUB = Mirror("docker.io", "192.168.0.12:5500"), Mirror("ghcr.io", "192.168.0.12:5501")


@pytest.fixture
def anchor() -> TrustAnchor:
    """A certificate with two mirrors."""
    import dataclasses

    return dataclasses.replace(sample.anchor(), mirrors=(HUB, GITHUB))


def _texts(files: tuple[File, ...]) -> dict[str, str]:
    return {it.path: it.content.decode() for it in files if not it.path.endswith(".crt")}


def test_docker_and_containerd_are_told_of_each_upstream_and_of_none_else(anchor: TrustAnchor) -> None:
    files = contents.docker("/etc/docker/certs.d", anchor)
    assert _texts(files) == {
        f"/etc/docker/certs.d/{it.upstream}/hosts.toml": f"""[host."https://{it.registry_host}"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/docker/certs.d/{it.registry_host}/ca.crt"
  dial_timeout = "2s"
"""
        for it in (HUB, GITHUB)
    }
    paths = {it.path for it in files}
    for text in _texts(files).values():
        assert text.split('ca = "')[1].partition('"')[0] in paths
    for folder in ("/etc/containerd/certs.d", "/var/snap/microk8s/current/args/certs.d"):
        made = _texts(contents.hosts_toml(folder, anchor))
        assert {f"{folder}/{it}/hosts.toml" for it in ("docker.io", "ghcr.io", HUB.registry_host)} <= made.keys()
        assert f"{folder}/_default/hosts.toml" not in made


def test_podman_gets_one_file_for_all(anchor: TrustAnchor) -> None:
    ((path, text),) = _texts(contents.containers(anchor)).items()
    assert path == "/etc/containers/registries.conf.d/50-trusted-registry-mirror.conf"
    assert (
        text
        == """[[registry]]
location = "docker.io"

[[registry.mirror]]
location = "192.168.0.12:5500"

[[registry]]
location = "ghcr.io"

[[registry.mirror]]
location = "192.168.0.12:5501"
"""
    )


def _lines(blocks: tuple[ManagedBlock, ...]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(it.under, it.registry_host): it.lines for it in blocks}


def test_k3s_asks_the_mirror_for_the_upstream_and_trusts_it(anchor: TrustAnchor) -> None:
    made = _lines(contents.k3s("/etc/rancher/k3s", anchor))
    assert made["mirrors:", "ghcr.io"] == ('"ghcr.io":', "  endpoint:", '    - "https://192.168.0.12:5501"')
    assert made["configs:", "192.168.0.12:5501"][0] == '"192.168.0.12:5501":'
    assert ("configs:", "ghcr.io") not in made


def test_buildkit_has_the_authority_in_the_mirror_s_own_table(anchor: TrustAnchor) -> None:
    made = _lines(contents.buildkit("/etc/buildkit", "buildkitd.toml", anchor))
    assert made["", "docker.io"] == ('[registry."docker.io"]', '  mirrors = ["192.168.0.12:5500"]')
    assert made["", "192.168.0.12:5500"][1].startswith("  ca = ")


def test_without_mirrors_nothing_is_said_of_any() -> None:
    anchor = sample.anchor()
    for store in client_stores.STORES:
        paths = [it.path for it in store.files(anchor)] + [it.path for it in store.blocks(anchor)]
        assert not [it for it in paths if "mirror" in it.rpartition("/")[2] or "docker.io" in it]
