"""The script that keeps a node's trust, run as its pod runs it, on disks of a test's own."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOBODY
from tests.kubernetes import objects, pods
from tests.marks import by_root
from tests.trust.remote import kits
from tests.trust.remote.kits import Disk
from trusted_registry.kubernetes import manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.process

BARE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
"""What a pod's root has that may do nothing but what its own files allow."""
SIGN = "usr/bin/kubelet"
HOSTS = "etc/containerd/certs.d/192.168.0.12/hosts.toml"
SHUTDOWN = "var/lib/kubelet/graceful_node_shutdown_state"
_SECONDS = 30


class Node:
    """A node's disk with the kit for it, and the pods that keep it."""

    def __init__(self, folder: Path, shell: tuple[str, ...]) -> None:
        self.disk = Disk(folder, shell=shell)
        self.folder = folder / "keeper"
        self.folder.mkdir()
        self.script = folder / "keep.sh"
        self.script.write_bytes(manifests.keep_script())
        self.pods: list[subprocess.Popen[str]] = []

    @property
    def keeper(self) -> Path:
        """File that names the pod that told the node last."""
        return self.folder / self.disk.script.name.rpartition("-")[2]

    @property
    def hosts(self) -> Path:
        """What containerd reads of the registry."""
        return self.disk.root / HOSTS

    def start(self, name: str, *around: str) -> subprocess.Popen[str]:
        """Start a pod."""
        return self.run(name, self.disk.script, *around)

    def run(self, name: str, kit: Path, *around: str) -> subprocess.Popen[str]:
        """Start a pod with another kit."""
        argv = [*around, *self.disk.shell, *map(str, (self.script, kit, self.disk.root, self.folder))]
        environ = {"PATH": os.environ["PATH"], "POD": name}
        pod = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.pods.append(pod)
        return pod

    def keeps(self, name: str) -> bool:
        """Whether a pod has told the node, by what its readiness probe asks."""
        with contextlib.suppress(FileNotFoundError):
            return self.keeper.read_text() == f"{name}\n"
        return False

    def begin(self, name: str, *around: str) -> subprocess.Popen[str]:
        """Start a pod, and wait until it is ready."""
        pod = self.start(name, *around)
        until(lambda: self.keeps(name))
        return pod


def until(happens: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + _SECONDS
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def ended(pod: subprocess.Popen[str]) -> str:
    """Tell a pod to end, and return what it said all along."""
    pod.terminate()
    said, _ = pod.communicate(timeout=_SECONDS)
    assert pod.returncode == 0, said
    return said


@pytest.fixture(params=kits.parameters({name: kits.SHELLS[name] for name in ("dash", "ash")}))
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node of Kubernetes, looked at every second."""
    monkeypatch.setattr(manifests, "LOOK_SECONDS", 1)
    made = Node(tmp_path, request.param)
    made.disk.put(SIGN, mode=0o755)
    yield made
    for pod in made.pods:
        pod.kill()
        pod.communicate()


def test_a_node_is_told_and_at_the_end_has_nothing_left(node: Node) -> None:
    before = _files(node)
    pod = node.begin("a")
    assert {node.disk.root / path.relative_to(node.disk.root) for path in node.disk.expected()} <= {*_files(node)}
    said = ended(pod)
    assert ("containerd (" in said, said.splitlines()[-1]) == (True, "trusted-registry: changed")
    assert _files(node) == before


def _files(node: Node) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in node.disk.root.rglob("*") if path.is_file()}


def test_a_node_of_k3s_is_told_and_the_log_says_what_restarts_it(node: Node) -> None:
    theirs = node.disk.put("etc/rancher/k3s/registries.yaml", kits.REGISTRIES)
    pod = node.begin("a")
    assert "192.168.0.12" in theirs.read_text()
    assert "k3s: it reads registries.yaml when it starts, so: systemctl restart k3s" in ended(pod)
    assert theirs.read_text() == kits.REGISTRIES


def test_a_node_of_microk8s_keeps_its_link_and_its_other_clients_are_told(node: Node) -> None:
    link = node.disk.root / "var/snap/microk8s/current"
    (link.parent / "7").mkdir(parents=True)
    link.symlink_to("7")
    assert "a link; it is not followed" in node.disk.here("--check").stderr
    assert "microk8s" not in ended(node.begin("a"))
    assert link.is_symlink()


def test_what_is_lost_is_written_again(node: Node) -> None:
    pod = node.begin("a")
    node.hosts.unlink()
    until(node.hosts.exists)
    assert ended(pod).count("now trusted") == 2


def test_a_pod_that_a_successor_replaces_takes_nothing_back(node: Node) -> None:
    old = node.begin("a")
    new = node.begin("b")
    assert ended(old).splitlines()[-1] == "Another pod keeps the trust of this node."
    assert (node.hosts.exists(), node.keeps("b")) == (True, True)
    said = ended(new)
    assert (node.hosts.exists(), node.keeps("b")) == (False, False), said


def test_a_pod_that_ends_while_it_looks_for_a_successor_takes_all_back(node: Node) -> None:
    pod = node.begin("a")
    with _halted(node):
        pod.terminate()
        _replace(node.keeper, "a\n")
    said = ended(pod)
    assert (node.hosts.exists(), node.keeper.exists()) == (False, False), said


def test_a_pod_that_ends_while_it_finds_a_successor_takes_nothing_back(node: Node) -> None:
    pod = node.begin("a")
    with _halted(node):
        pod.terminate()
        _replace(node.keeper, "b\n")
    assert ended(pod).splitlines()[-1] == "Another pod keeps the trust of this node."
    assert (node.hosts.exists(), node.keeps("b")) == (True, True)


@contextlib.contextmanager
def _halted(node: Node) -> Iterator[None]:
    """Keep a pod at the point where it has opened the file that names its node's keeper, and has not read it."""
    pipe = node.folder / "pipe"
    os.mkfifo(pipe)
    pipe.rename(node.keeper)
    writer: list[int] = []

    def opened() -> bool:
        with contextlib.suppress(OSError):  # ENXIO: nobody reads it yet
            writer.append(os.open(node.keeper, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writer)

    until(opened)
    yield
    os.write(writer[0], b"a\n")
    os.close(writer[0])


def _replace(path: Path, text: str) -> None:
    """Put a file in the place of another in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_pod_that_outlives_its_successor_is_ready_again(node: Node) -> None:
    old = node.begin("a")
    ended(node.begin("b"))
    until(lambda: node.keeps("a") and node.hosts.exists())
    ended(old)
    assert not node.hosts.exists()


def test_a_pod_that_is_replaced_writes_nothing_any_more(node: Node) -> None:
    old = node.begin("a")
    node.keeper.write_text("b\n")
    node.hosts.write_text("as the successor's kit has it\n")
    time.sleep(2.5)  # in which it looks twice
    assert node.hosts.read_text() == "as the successor's kit has it\n"
    node.keeper.unlink()
    until(lambda: node.keeps("a"))
    old.kill()


def test_two_authorities_have_a_pod_each(node: Node) -> None:
    pod = node.begin("a")
    (node.folder / "0123456789abcdef.sh").write_text("b\n")
    ended(pod)
    assert not node.hosts.exists()


def test_a_pod_that_has_told_its_node_stays_whatever_comes_and_takes_back_what_it_can(node: Node) -> None:
    pod = node.begin("a")
    kept = node.disk.script.read_text()
    node.disk.script.write_text("echo broken; exit 1\n")
    time.sleep(2.5)
    assert pod.poll() is None
    node.disk.script.write_text(kept)
    assert "broken" in ended(pod)
    assert not node.hosts.exists()


@pytest.mark.parametrize("sign", ["run/nologin", SHUTDOWN])
def test_trust_outlives_a_restart_of_the_node(sign: str, node: Node) -> None:
    pod = node.begin("a")
    path = node.disk.put(sign)
    os.utime(path, (time.time() + 1, time.time() + 1))
    assert ended(pod).splitlines()[-1] == "The node shuts down, and its trust stays."
    assert node.hosts.exists()


def test_a_sign_of_an_earlier_shutdown_is_none_of_this_one(node: Node) -> None:
    path = node.disk.put(SHUTDOWN)
    os.utime(path, (1, 1))
    ended(node.begin("a"))
    assert not node.hosts.exists()


def test_a_pod_that_ends_while_it_tells_the_node_takes_that_back(node: Node) -> None:
    node.keeper.mkdir()  # where it would say that it is through
    pod = node.start("a")
    until(node.hosts.exists)
    assert pod.wait(_SECONDS) != 0
    node.keeper.rmdir()
    slow = node.disk.folder / "slow"
    slow.write_text(f'case " $* " in *" --check "*) sleep 2 ;; *) exec sh "{node.disk.script}" "$@" ;; esac\n')
    early = node.run("b", slow)
    time.sleep(0.5)
    assert (ended(early).splitlines()[-1], node.hosts.exists()) == ("trusted-registry: changed", False)


def test_a_node_that_cannot_be_told_has_a_pod_that_fails_and_says_why(node: Node) -> None:
    node.disk.put(HOSTS, "somebody else's\n")
    pod = node.start("a")
    said, _ = pod.communicate(timeout=_SECONDS)
    assert ("was not written here" in said, pod.returncode, node.keeps("a")) == (True, 1, False)
    assert node.hosts.read_text() == "somebody else's\n"


def _as_in_manifest(node: Node, controller: objects.Object) -> subprocess.Popen[str]:
    """Start a pod in a mount namespace of its own, and wait until it is ready, or has ended."""
    image, held = node.disk.folder / "image", node.disk.folder / "held"
    held.mkdir()
    for name, content in objects.decoded(objects.plain()["ConfigMap/trust-kit"]).items():
        (held / name).write_bytes(content)
    (held / "keep.sh").write_bytes(node.script.read_bytes())  # which looks every second
    node.disk.put("etc/hostname", "node\n")
    script = pods.script(controller, str(image), {"kit": str(held)}, root=str(node.disk.root))
    argv = ["unshare", "--mount", "sh", "-c", f"{_image(image)}\n{script}"]
    pod = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    node.pods.append(pod)
    until(lambda: any(node.disk.root.glob("run/trusted-registry/*.sh")) or pod.poll() is not None)
    return pod


@by_root
def test_the_pod_as_its_manifest_has_it_tells_its_node_and_takes_that_back(node: Node) -> None:
    pod = _as_in_manifest(node, objects.plain()["DaemonSet/trust"])
    assert node.hosts.read_text().startswith("server = ")
    node.hosts.unlink()
    until(node.hosts.exists)
    assert "containerd (" in ended(pod)
    assert {str(it.relative_to(node.disk.root)) for it in _files(node)} == {SIGN, "etc/hostname"}


@by_root
@pytest.mark.parametrize("mount", ["etc", "record", "keeper"])
def test_a_mount_that_the_pod_could_not_write_to_would_be_noticed(mount: str, node: Node) -> None:
    controller = objects.plain()["DaemonSet/trust"]
    names = [it["name"] for it in objects.pod(controller)["containers"][0]["volumeMounts"]]
    path = f"spec.template.spec.containers.0.volumeMounts.{names.index(mount)}.readOnly"
    pod = _as_in_manifest(node, objects.changed(controller, path, True))  # noqa: FBT003 - a value
    said, _ = pod.communicate(timeout=_SECONDS)
    assert (pod.returncode != 0, re.search("[Rr]ead-only", said) is not None) == (True, True)


def _image(folder: Path) -> str:
    """Return the lines that make an image of this machine's own programs, for as long as a mount namespace lives."""
    folders = ("usr", "bin", "sbin", "lib", "lib64", "etc/alternatives")
    parts = [it for it in folders if Path("/", it).exists()]
    made = [("mkdir", "-p", str(folder / it)) for it in parts]
    return "\n".join(map(shlex.join, [*made, *(("mount", "--bind", f"/{it}", str(folder / it)) for it in parts)]))


@by_root
def test_root_needs_no_capability_for_its_own_files_and_cannot_write_another_s(node: Node) -> None:
    ended(node.begin("a", *BARE))
    assert not node.hosts.exists()
    folder = node.disk.root / "etc/containerd"
    folder.mkdir(parents=True)
    os.chown(folder, NOBODY, NOBODY)
    pod = node.start("b", *BARE)
    said, _ = pod.communicate(timeout=_SECONDS)
    assert ("cannot be written" in said, pod.returncode) == (True, 1)
