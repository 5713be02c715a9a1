"""What a round tells the nodes' clusters, by a kubectl that keeps what it was told: argument for argument."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.programs import put
from tests.trust.remote.cluster import CHECK, DIND, KIND, REMOVE, TRUST, Cluster, Go
from trusted_registry.trust.remote import nodes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recorder import Recorder
    from trusted_registry.tasks.trust_nodes import NodeOptions

KUBECTL = """
printf '%s\\n' "$*" >> "$0.calls"
case "$*" in
    *" get "*) cat "$0.answer" ;;
    *" apply "*) cat > "$0.applied" ;;
esac
exit "$(cat "$0.code")"
"""

pytestmark = pytest.mark.usefixtures("no_kubectl")


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
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_kubectl: None) -> _Kubectl:  # noqa: ARG001 - after it
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
    cluster: Cluster,
    console: Recorder,
) -> None:
    cluster.add("kind-a", KIND, "containerd")
    cluster.add("kind-b", KIND, "containerd")
    go()
    assert kubectl.calls == [GET, APPLY]
    assert kubectl.applied == nodes.manifest("192.168.0.12")
    (typed,) = (line for line in console.typed if line.startswith(f"kubectl {APPLY} "))
    assert nodes.manifest("192.168.0.12") in f"{typed}\n", "kubectl reads it from standard input"
    assert console.said[-1] == "kind-dev: kube-public/local-registry-hosting now names 192.168.0.12"


@pytest.mark.process
@pytest.mark.parametrize(
    "case",
    [
        (TRUST, nodes.manifest("192.168.0.12"), [GET]),
        (TRUST, nodes.manifest("10.0.0.1"), [GET, APPLY]),
        (TRUST, THEIRS, [GET]),
        (CHECK, "", [GET]),
        (REMOVE, nodes.manifest("192.168.0.12"), [GET, DELETE]),
        (REMOVE, nodes.manifest("10.0.0.1"), [GET]),
        (REMOVE, THEIRS, [GET]),
        (REMOVE, "", [GET]),
    ],
)
def test_a_cluster_that_is_right_or_somebody_elses_is_left_so(
    case: tuple[NodeOptions, str, list[str]], kubectl: _Kubectl, go: Go, cluster: Cluster
) -> None:
    options, answer, calls = case
    cluster.add("kind-a", KIND, "containerd")
    kubectl.answer(answer)
    go(options)
    assert kubectl.calls == calls


@pytest.mark.process
def test_another_s_word_to_the_cluster_is_named(kubectl: _Kubectl, go: Go, cluster: Cluster, console: Recorder) -> None:
    cluster.add("kind-a", KIND, "containerd")
    kubectl.answer(THEIRS)
    go()
    assert "names localhost:5001, which was not written here" in console.warned[0]


@pytest.mark.process
@pytest.mark.parametrize("answer", [("The connection was refused\n", 1), ("no JSON", 0)])
def test_a_cluster_that_does_not_answer_is_no_reason_to_fail(
    answer: tuple[str, int],
    kubectl: _Kubectl,
    go: Go,
    cluster: Cluster,
    console: Recorder,
) -> None:
    cluster.add("kind-a", KIND, "containerd")
    kubectl.answer(*answer)
    (result,) = go()
    assert result.fine
    assert kubectl.calls == [GET]
    assert [line for line in (*console.said, *console.warned) if "kind-dev" in line]


def test_without_kubectl_one_line_says_how(go: Go, cluster: Cluster, console: Recorder) -> None:
    cluster.add("kind-a", KIND, "containerd")
    go()
    (said,) = [line for line in console.said if "kubectl" in line]
    assert "kubectl create configmap local-registry-hosting --namespace kube-public" in said
    assert "'--from-literal=localRegistryHosting.v1=host: \"192.168.0.12\"'" in said


@pytest.mark.process
def test_a_cluster_whose_context_is_not_known_is_not_guessed_at(
    kubectl: _Kubectl,
    go: Go,
    cluster: Cluster,
    console: Recorder,
) -> None:
    cluster.add("kube-master", DIND, "dockerd")
    go()
    assert not kubectl._path.with_name("kubectl.calls").exists()
    assert any("kubectl create configmap" in line for line in console.said)
