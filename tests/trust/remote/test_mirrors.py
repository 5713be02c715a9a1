"""`--mirrors`: other machines are told of mirrors in the same step as trust, and only where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from tests.trust.remote.cluster import KIND, Cluster
from tests.trust.remote.kits import Disk, last
from tests.trust.remote.pages import Read
from trusted_registry import installation
from trusted_registry.errors import RegistryError
from trusted_registry.installation import NotedMirror
from trusted_registry.run import Run
from trusted_registry.tasks import trust_hosts, trust_kit, trust_nodes, trust_serve
from trusted_registry.tasks.trust_nodes import NodeOptions
from trusted_registry.trust.model import Mirror
from trusted_registry.trust.remote.hosts import HostOptions

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

HUB, GITHUB = Mirror("docker.io", "192.168.0.12:5500"), Mirror("ghcr.io", "192.168.0.12:5501")


@pytest.fixture
def noted(settings: Settings) -> Settings:
    """Settings of a registry with two mirrors."""
    installation.note_mirror(settings.folder, "docker.io", NotedMirror(5500))
    installation.note_mirror(settings.folder, "ghcr.io", NotedMirror(5501))
    return settings


def test_the_anchor_for_other_machines_has_mirrors_on_request(noted: Settings) -> None:
    assert trust_kit.load_anchor(noted).mirrors == ()
    assert trust_kit.load_anchor(noted, mirrors=True).mirrors == (HUB, GITHUB)
    installation.note_mirror(noted.folder, "ghcr.io", NotedMirror(5501, used=False))
    found = trust_kit.load_anchor(noted, mirrors=True)
    assert (found.mirrors, found.retired) == ((HUB,), (GITHUB,))
    assert trust_kit.load_anchor(noted).retired == ()


def test_without_any_mirror_it_is_refused_with_the_line_that_starts_one(settings: Settings) -> None:
    console = Recorder()
    tries = (
        lambda: trust_kit.write(Run(settings, console), mirrors=True),
        lambda: trust_serve.serve(Run(settings, console), minutes="1", at="8000", mirrors=True),
        lambda: trust_hosts.trust(Run(settings, console), HostOptions("web1,"), mirrors=True),
        lambda: trust_nodes.trust(Run(settings, console), Cluster(), NodeOptions(mirrors=True)),
    )
    for attempt in tries:
        with pytest.raises(RegistryError, match="no mirror here") as refused:
            attempt()
        assert refused.value.cure == "./inv mirror.up docker.io"
    assert console.said == []


def test_a_kit_without_the_flag_is_the_same_whether_there_are_mirrors_or_none(
    settings: Settings, tmp_path: Path
) -> None:
    before = [it.read_bytes() for it in trust_kit.write(Run(settings, Recorder()), out=str(tmp_path / "a"))]
    installation.note_mirror(settings.folder, "docker.io", NotedMirror(5500))
    after = [it.read_bytes() for it in trust_kit.write(Run(settings, Recorder()), out=str(tmp_path / "b"))]
    told = [it.read_bytes() for it in trust_kit.write(Run(settings, Recorder()), out=str(tmp_path / "c"), mirrors=True)]
    assert before == after
    assert [one == other for one, other in zip(before, told, strict=True)] == [False, False]


def test_the_page_names_the_upstreams_in_a_line(noted: Settings, tmp_path: Path) -> None:
    _, page = trust_kit.write(Run(noted, Recorder()), out=str(tmp_path / "a"), mirrors=True)
    lines = [it.text for it in Read(page.read_text()).all("p") if it.attributes.get("id") == "mirrors"]
    assert lines == ["It also has the clients use the mirrors of docker.io, ghcr.io here, under unchanged names."]
    written = "\n".join(it.text for it in Read(page.read_text()).all("td"))
    for path in (
        "/etc/docker/certs.d/docker.io/hosts.toml",
        "/etc/docker/daemon.json",
        "50-trusted-registry-mirror.conf",
    ):
        assert path in written
    assert not [box for box in Read(page.read_text()).boxes() if "hosts.toml" in box and "install" in box]
    _, page = trust_kit.write(Run(noted, Recorder()), out=str(tmp_path / "b"))
    assert [it in page.read_text() for it in ('id="mirrors"', "docker.io/hosts.toml", "daemon.json")] == [False] * 3


def test_what_is_served_says_so(noted: Settings) -> None:
    told, plain = Recorder(dry=True), Recorder(dry=True)
    trust_serve.serve(Run(noted, told), minutes="1", at="8000", mirrors=True)
    trust_serve.serve(Run(noted, plain), minutes="1", at="8000")
    line = "It also has the clients there use the mirrors of docker.io, ghcr.io."
    assert (line in told.said, line in plain.said) == (True, False)


@pytest.mark.usefixtures("no_kubectl")
@pytest.mark.parametrize("mirrors", [True, False])
def test_nodes_get_a_kit_with_mirrors(mirrors: bool, noted: Settings, console: Recorder) -> None:  # noqa: FBT001 - a column
    cluster = Cluster()
    cluster.add("n", KIND, "containerd")
    trust_nodes.trust(Run(noted, console), cluster, NodeOptions(mirrors=mirrors))
    (script,) = cluster.scripts
    assert ("containerd/certs.d/ghcr.io/hosts.toml" in script) is mirrors


@pytest.mark.parametrize("mirrors", [True, False])
def test_hosts_get_a_kit_with_mirrors(
    mirrors: bool,  # noqa: FBT001 - a column
    noted: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried: list[bytes] = []

    def carry(_name: str, content: bytes, *_: object) -> tuple[()]:
        carried.append(content)
        return ()

    monkeypatch.setattr(trust_hosts, "run_script", carry)
    trust_hosts.trust(Run(noted, Recorder()), HostOptions("web1,"), mirrors=mirrors)
    assert (b"registries.conf.d/50-trusted-registry-mirror.conf" in carried[0]) is mirrors


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "store", "written"),
    [
        ("kubelet", "containerd", "etc/containerd/certs.d/docker.io/hosts.toml"),
        ("k3s", "k3s", "etc/rancher/k3s/registries.yaml"),
        ("containerd", "containerd", "etc/containerd/certs.d/ghcr.io/hosts.toml"),
    ],
)
def test_a_node_is_told_and_freed(program: str, store: str, written: str, noted: Settings, tmp_path: Path) -> None:
    disk = Disk(tmp_path, trust_kit.load_anchor(noted, mirrors=True))
    disk.program(program)
    assert last(disk.here("--only", store)) == (0, "changed")
    text = (disk.root / written).read_text()
    assert any(f"https://{it.registry_host}" in text for it in (HUB, GITHUB))
    assert last(disk.here("--only", store, "--check")) == (0, "trusted")
    assert last(disk.here("--only", store, "--remove")) == (0, "changed")
    assert not (disk.root / written).exists()
