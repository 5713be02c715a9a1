"""A round over all nodes: one after the other, each with its own end, and what their clusters are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, cast

import docker.errors
import pytest

from tests.programs import put
from tests.recorder import Recorder
from trusted_registry.certificate import issue
from trusted_registry.chapters import nodes as chapter
from trusted_registry.chapters.nodes import Errand
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry.engine import Engine
from trusted_registry.trust import containerd, nodes
from trusted_registry.trust.nodes import LOOK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

KIND = {"io.x-k8s.kind.cluster": "dev", "io.x-k8s.kind.role": "worker"}
K3D = {"app": "k3d", "k3d.cluster": "dev", "k3d.role": "server"}
DIND = {"mirantis.kubeadm_dind_cluster": "1"}
SET = b"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
UNSET = b"version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = ''\n"
TRUST, CHECK, REMOVE = Errand(), Errand(check=True), Errand(remove=True)
CHANGED = (0, b"trusted-registry: changed\n", b"")


class _Api:
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
        if argv == ["sh", "-c", LOOK]:
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


class _Client:
    def __init__(self, api: _Api) -> None:
        self.api = api
        self.restarted: list[str] = []
        self.containers = self

    def get(self, name: str) -> _Client:
        """Name a container."""
        self._named = name
        return self

    def restart(self, *, timeout: int) -> None:
        """Restart it."""
        assert timeout
        self.restarted.append(self._named)


@pytest.fixture
def api() -> _Api:
    return _Api()


@pytest.fixture
def settings(make_settings: MakeSettings, edge: Recorder) -> Settings:
    made = make_settings(tool="cryptography")
    issue.ensure(made, edge)
    edge.commands.clear()
    edge.said.clear()
    return made


@pytest.fixture(autouse=True)
def _no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a real kubectl, and with it real clusters, out of reach; `sh` and the like stay."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def _engine(api: _Api, edge: Recorder) -> tuple[Engine, _Client]:
    client = _Client(api)
    return Engine(cast("docker.DockerClient", client), edge), client


class Go(Protocol):
    """Makes a round on an errand."""

    def __call__(self, errand: Errand = ...) -> tuple[nodes.Outcome, ...]:
        """Return how it ended on each node."""


@pytest.fixture
def go(settings: Settings, api: _Api, edge: Recorder) -> Go:
    def make(errand: Errand = TRUST) -> tuple[nodes.Outcome, ...]:
        engine, _ = _engine(api, edge)
        return chapter.trust(settings, engine, edge, errand)

    return make


@pytest.mark.parametrize(
    ("labels", "runtime", "store"),
    [(KIND, "containerd", "containerd"), (K3D, "k3s", "k3s"), (DIND, "dockerd", "docker")],
)
def test_each_node_is_told_by_the_runtime_in_it(
    labels: dict[str, str],
    runtime: str,
    store: str,
    go: Go,
    api: _Api,
) -> None:
    api.add("n", labels, runtime)
    (outcome,) = go()
    assert (outcome.runtime, outcome.state, outcome.fine) == (runtime, "changed", True)
    assert api.kits == [("n", ("--only", store))]


@pytest.mark.parametrize(("errand", "flag"), [(REMOVE, "--remove"), (CHECK, "--check")])
def test_to_check_and_to_remove_are_flags_of_the_kit(errand: Errand, flag: str, go: Go, api: _Api) -> None:
    api.add("n", KIND, "containerd")
    go(errand)
    assert api.kits == [("n", ("--only", "containerd", flag))]


def test_both_at_once_are_refused_before_anything_is_looked_at(go: Go, api: _Api) -> None:
    with pytest.raises(SettingError, match="--remove and --check"):
        go(Errand(remove=True, check=True))
    assert api.kits == []


def test_a_k3s_node_must_be_restarted_and_is_not_unasked(settings: Settings, api: _Api, edge: Recorder) -> None:
    api.add("k3d-dev-server-0", K3D, "k3s")
    engine, client = _engine(api, edge)
    (outcome,) = chapter.trust(settings, engine, edge, Errand())
    assert outcome.left == "k3s reads that when it starts: docker restart k3d-dev-server-0"
    assert client.restarted == []


def test_a_k3s_node_is_restarted_on_request(settings: Settings, api: _Api, edge: Recorder) -> None:
    api.add("k3d-dev-server-0", K3D, "k3s")
    engine, client = _engine(api, edge)
    (outcome,) = chapter.trust(settings, engine, edge, Errand(restart=True))
    assert (outcome.left, client.restarted) == ("it was restarted", ["k3d-dev-server-0"])


def test_a_k3s_node_that_trusted_before_is_not_restarted(settings: Settings, api: _Api, edge: Recorder) -> None:
    api.add("n", K3D, "k3s", (0, b"trusted-registry: already trusted\n", b""))
    engine, client = _engine(api, edge)
    (outcome,) = chapter.trust(settings, engine, edge, Errand(restart=True))
    assert (outcome.left, client.restarted) == ("", [])


def test_a_node_that_dies_half_way_fails_and_the_others_go_on(go: Go, api: _Api) -> None:
    api.add("kind-a", KIND, "containerd", (137, b"authority: ...\n", b""))
    api.add("kind-b", KIND, "containerd", docker.errors.NotFound("No such container: kind-b"))
    api.add("kind-c", KIND, "containerd")
    outcomes = go()
    assert [(it.node.name, it.state, it.fine) for it in outcomes] == [
        ("kind-a", "failed", False),
        ("kind-b", "failed", False),
        ("kind-c", "changed", True),
    ]
    assert "before the kit was through" in outcomes[0].left
    assert "No such container" in outcomes[1].left
    with pytest.raises(RegistryError, match=r"2 of 3 nodes: kind-a, kind-b\."):
        nodes.insist(outcomes)


def test_what_the_kit_found_worth_a_look_is_said_with_the_node(go: Go, api: _Api, edge: Recorder) -> None:
    api.add("kind-a", KIND, "containerd", (0, CHANGED[1], b"note: /etc/x was changed since; it stays\nelse\n"))
    go()
    assert edge.warned == ["kind-a: /etc/x was changed since; it stays"]


def test_a_node_that_does_not_run_is_named_and_left_out(go: Go, api: _Api) -> None:
    api.add("kind-a", KIND, "containerd", state="paused")
    api.add("kind-b", KIND, "containerd")
    first, second = go()
    assert (first.state, first.left) == ("left out", "it is paused: docker unpause kind-a")
    assert second.state == "changed"
    assert [name for name, _ in api.kits] == ["kind-b"]
    nodes.insist((first, second))


def test_where_no_node_runs_nothing_is_said_to_be_well(go: Go, api: _Api) -> None:
    api.add("kind-a", KIND, "containerd", state="exited")
    with pytest.raises(RegistryError, match="No node runs") as caught:
        go()
    assert "docker start kind-a" in caught.value.cure


def test_a_node_without_a_runtime_fails(go: Go, api: _Api) -> None:
    api.add("n", {"mine": ""}, "")
    (outcome,) = go(Errand("mine"))
    assert (outcome.fine, "is on its PATH" in outcome.left) == (False, True)


def test_a_containerd_that_does_not_read_the_folder_is_named_with_the_cure(
    go: Go,
    api: _Api,
    edge: Recorder,
) -> None:
    api.add("kind-a", KIND, "containerd")
    api.dumps["kind-a"] = UNSET
    (outcome,) = go()
    (warning,) = edge.warned
    assert warning.startswith("kind-a: containerd's CRI plugin does not read /etc/containerd/certs.d")
    assert warning.endswith("docker exec kind-a systemctl restart containerd")
    assert outcome.left == "see the note above"


def test_a_containerd_that_reads_the_folder_needs_no_note(go: Go, api: _Api, edge: Recorder) -> None:
    api.add("kind-a", KIND, "containerd")
    (outcome,) = go()
    assert (outcome.left, edge.warned) == ("", [])


@pytest.mark.parametrize("dump", [b"version = \n", b""])
def test_a_containerd_whose_configuration_cannot_be_read_is_no_reason_to_stop(
    dump: bytes,
    go: Go,
    api: _Api,
    edge: Recorder,
) -> None:
    api.add("kind-a", KIND, "containerd")
    api.dumps["kind-a"] = dump
    (outcome,) = go()
    assert outcome.fine
    assert "containerd config dump" in edge.warned[0]


def test_a_dry_round_shows_the_commands_and_runs_no_kit(settings: Settings, api: _Api) -> None:
    api.add("kind-a", KIND, "containerd")
    edge = Recorder(dry=True)
    engine, _ = _engine(api, edge)
    assert chapter.trust(settings, engine, edge, Errand()) == ()
    assert api.kits == []
    assert any(line.startswith("docker exec --user 0 kind-a sh /trust-192.168.0.12-") for line in edge.typed)


def test_a_dry_round_without_an_engine_shows_the_pattern(settings: Settings) -> None:
    edge = Recorder(dry=True)
    assert chapter.trust(settings, Engine(None, edge), edge, Errand()) == ()
    assert any(line.startswith("docker exec --user 0 NODE sh /trust-") for line in edge.typed)


# kubectl, argument for argument


KUBECTL = """
printf '%s\\n' "$*" >> "$0.calls"
case "$*" in
    *" get "*) cat "$0.answer" ;;
    *" apply "*) cat > "$0.applied" ;;
esac
exit "$(cat "$0.code")"
"""


class _Kubectl:
    """A program in kubectl's place that keeps what it is told and answers what it was given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        self._path = put("kubectl", KUBECTL, folder, monkeypatch) / "kubectl"
        self.answer("")

    def answer(self, text: str, code: int = 0) -> None:
        """Say what it is to answer."""
        self._path.with_name("kubectl.answer").write_text(text)
        self._path.with_name("kubectl.code").write_text(str(code))

    @property
    def calls(self) -> list[str]:
        """What it was told, a line each."""
        return self._path.with_name("kubectl.calls").read_text().splitlines()

    @property
    def applied(self) -> str:
        """What it was given on standard input."""
        return self._path.with_name("kubectl.applied").read_text()


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _no_kubectl: None) -> _Kubectl:
    return _Kubectl(tmp_path, monkeypatch)


GET = (
    "--context kind-dev --request-timeout 5s get configmap local-registry-hosting --namespace kube-public"
    " --ignore-not-found --output json"
)
APPLY = "--context kind-dev --request-timeout 5s apply --filename -"
DELETE = "--context kind-dev --request-timeout 5s delete configmap local-registry-hosting --namespace kube-public"
THEIRS = json.dumps({"data": {nodes.KEY: 'host: "localhost:5001"'}})


@pytest.mark.process
def test_the_cluster_is_told_by_its_own_context_once_for_all_its_nodes(
    kubectl: _Kubectl,
    go: Go,
    api: _Api,
    edge: Recorder,
) -> None:
    api.add("kind-a", KIND, "containerd")
    api.add("kind-b", KIND, "containerd")
    go()
    assert kubectl.calls == [GET, APPLY]
    assert kubectl.applied == nodes.manifest("192.168.0.12")
    assert f"kubectl {APPLY}" in edge.typed
    assert edge.said[-1] == "kind-dev: kube-public/local-registry-hosting now names 192.168.0.12"


@pytest.mark.process
@pytest.mark.parametrize(
    "case",
    [
        (TRUST, nodes.manifest("192.168.0.12"), [GET]),
        (TRUST, nodes.manifest("10.0.0.1"), [GET, APPLY]),
        (TRUST, THEIRS, [GET]),
        (CHECK, "", [GET]),
        (REMOVE, nodes.manifest("192.168.0.12"), [GET, DELETE]),
        (REMOVE, THEIRS, [GET]),
        (REMOVE, "", [GET]),
    ],
)
def test_a_cluster_that_is_right_or_somebody_elses_is_left_so(
    case: tuple[Errand, str, list[str]], kubectl: _Kubectl, go: Go, api: _Api
) -> None:
    errand, answer, calls = case
    api.add("kind-a", KIND, "containerd")
    kubectl.answer(answer)
    go(errand)
    assert kubectl.calls == calls


@pytest.mark.process
def test_another_s_word_to_the_cluster_is_named(kubectl: _Kubectl, go: Go, api: _Api, edge: Recorder) -> None:
    api.add("kind-a", KIND, "containerd")
    kubectl.answer(THEIRS)
    go()
    assert "names localhost:5001, which was not written here" in edge.warned[0]


@pytest.mark.process
@pytest.mark.parametrize("answer", [("The connection was refused\n", 1), ("no JSON", 0)])
def test_a_cluster_that_does_not_answer_is_no_reason_to_fail(
    answer: tuple[str, int],
    kubectl: _Kubectl,
    go: Go,
    api: _Api,
    edge: Recorder,
) -> None:
    api.add("kind-a", KIND, "containerd")
    kubectl.answer(*answer)
    (outcome,) = go()
    assert outcome.fine
    assert kubectl.calls == [GET]
    assert [line for line in (*edge.said, *edge.warned) if "kind-dev" in line]


def test_without_kubectl_one_line_says_how(go: Go, api: _Api, edge: Recorder) -> None:
    api.add("kind-a", KIND, "containerd")
    go()
    (said,) = [line for line in edge.said if "kubectl" in line]
    assert "kubectl create configmap local-registry-hosting --namespace kube-public" in said
    assert "'--from-literal=localRegistryHosting.v1=host: \"192.168.0.12\"'" in said


@pytest.mark.process
def test_a_cluster_whose_context_is_not_known_is_not_guessed_at(
    kubectl: _Kubectl,
    go: Go,
    api: _Api,
    edge: Recorder,
) -> None:
    api.add("kube-master", DIND, "dockerd")
    go()
    assert not kubectl._path.with_name("kubectl.calls").exists()
    assert any("kubectl create configmap" in line for line in edge.said)
