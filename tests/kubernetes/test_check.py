"""The proof on a cluster: which commands it types, how it judges, and that nothing of it stays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests import programs
from tests.recorder import Recorder
from trusted_registry.client_messages import message
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.kubernetes import manifests
from trusted_registry.run import Run
from trusted_registry.tasks import kubernetes_check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kubernetes.objects import Made
    from trusted_registry.report import Report

NAMED = {"context_": "kind-dev", "namespace": "check", "image": ""}
KUBECTL = """
log=$(dirname "$0")/../said
echo "$*" >>"$log"
cd "$log-of" || exit
case "$*" in
    *'get daemonsets '*) cat daemonsets ;;
    *'logs daemonset/trust '*) printf '[pod/trust-x/kit] why: \033[31mno\n' ;;
    *'get namespace '*) cat namespace; exit "$(cat status)" ;;
    *'get configmap '*) cat configmap ;;
    *' exec '*) exit "$(cat written)" ;;
    *'get --raw '*) cat raw >&2; [ ! -s raw ] ;;
    *'name=trust '*) cat trust ;;
    *'name=pull '*) cat pull ;;
    *'--filename=- '* | *'--filename=-') cat >applied ;;
    *' apply '*)
        for it; do
            case $it in --filename=*/secret.yaml) ls -l "${it#*=}" >mode ;; esac
        done
        ;;
    *rollout*) [ ! -e stuck ] || { echo 'error: timed out' >&2; exit 1; } ;;
esac
"""
FAILED = 'failed to do request: Head "https://192.168.0.12/v2/trusted-registry-proof/manifests/none": '
REFUSED = f"{FAILED}tls: failed to verify certificate: x509: certificate signed by unknown authority"
ABSENT = "192.168.0.12/trusted-registry-proof:none: not found"


def _pods(**said: str | None) -> str:
    """Return pods on nodes, whose pull failed with such words, or has not yet."""
    states: dict[str, Any] = {
        node: {"waiting": {"reason": "ErrImagePull", "message": words} if words else {"reason": "ContainerCreating"}}
        for node, words in said.items()
    }
    items = [
        {"spec": {"nodeName": node}, "status": {"containerStatuses": [{"state": state}]}}
        for node, state in states.items()
    ]
    return json.dumps({"items": [*items, {"spec": {}, "status": {}}]})


class Cluster:
    """A cluster whose kubectl gives prepared answers."""

    def __init__(self, folder: Path) -> None:
        self.answers, self.log = folder / "said-of", folder / "said"
        self.answers.mkdir()
        self.log.touch()
        self.says(
            namespace="",
            daemonsets="",
            status="0",
            configmap="",
            raw="",
            written="0",
            trust=_pods(a=None, b=None),
            pull=_pods(a=ABSENT, b=ABSENT),
        )

    def says(self, **answers: str) -> None:
        """Have it answer otherwise."""
        for name, answer in answers.items():
            (self.answers / name).write_text(answer)

    @property
    def typed(self) -> list[str]:
        """The commands that it got."""
        return self.log.read_text().splitlines()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster of two nodes on which all is well."""
    monkeypatch.setattr(kubernetes_check, "_PAUSE", 0.0)
    monkeypatch.setattr(kubernetes_check, "_PULL_SECONDS", 0.2)
    programs.put("kubectl", KUBECTL, tmp_path, monkeypatch)
    return Cluster(tmp_path)


def _rows(report: Report) -> dict[str, str]:
    assert report.table is not None
    return {row[0]: row[1] for row in report.table.rows}


@pytest.mark.process
@pytest.mark.parametrize(("written", "result"), [("0", "accepted"), ("1", "not proved")])
def test_a_volume_that_the_pod_cannot_write_to_is_not_proved(
    written: str, result: str, cluster: Cluster, make: Callable[..., Made]
) -> None:
    cluster.says(written=written)
    report = kubernetes_check.check(make(storage="").run, **NAMED)
    assert (_rows(report)["images"], bool(report.failure)) == (result, written == "1")
    assert "exec deployment/registry -- /bin/sh -c test -w /var/lib/registry" in " ".join(cluster.typed)


@pytest.mark.process
def test_it_applies_proves_and_removes_on_the_cluster_that_is_named(
    cluster: Cluster, make: Callable[..., Made]
) -> None:
    made = make()
    report = kubernetes_check.check(made.run, **NAMED)
    assert (_rows(report), report.failure) == (dict.fromkeys(("registry", "a", "b"), "accepted"), None)
    assert [it for it in cluster.typed if not it.startswith("--context kind-dev --namespace check ")] == []
    verbs = [it.split()[4] for it in cluster.typed]
    assert verbs == ["get", "get", "get", "apply", "rollout", "rollout", "get", "apply", "get", "get", "delete"]
    applied, deleted = (set(re.findall(r"=(\S+\.yaml)", cluster.typed[at])) for at in (3, -1))
    assert (applied == deleted, {it.rpartition("/")[2] for it in applied}) == (True, {*manifests.FILES})
    pulled = json.loads((cluster.answers / "applied").read_text())["spec"]["template"]["spec"]["containers"][0]
    assert pulled["image"] == "192.168.0.12/trusted-registry-proof:none"


@pytest.mark.process
def test_no_key_is_typed_shown_or_left(cluster: Cluster, make: Callable[..., Made], tmp_path: Path) -> None:
    made = make()
    kubernetes_check.check(made.run, **NAMED)
    shown = "\n".join([*cluster.typed, *made.console.typed, *made.console.said])
    assert [it for it in ("topsecret", "PRIVATE KEY", "c2VjcmV0") if it in shown] == []
    assert (cluster.answers / "mode").read_text().startswith("-rw------- ")
    folder = re.findall(r"=(\S+)/secret\.yaml", shown)[0]
    assert not (tmp_path / folder).exists()


@pytest.mark.parametrize("given", [{"context_": ""}, {"namespace": ""}, {"context_": "", "namespace": ""}])
@pytest.mark.parametrize("dry", [False, True])
def test_a_cluster_that_is_not_named_is_left_alone(
    given: dict[str, str], *, dry: bool, make: Callable[..., Made]
) -> None:
    run = Run(make().run.settings, Recorder(dry=dry))
    with pytest.raises(SettingError, match="unless --context and --namespace name it"):
        kubernetes_check.check(run, **{**NAMED, **given})


@pytest.mark.parametrize("given", [{"context_": "--all"}, {"context_": "a\nb"}, {"namespace": "kube-system"}])
def test_a_name_that_no_cluster_has_is_refused(given: dict[str, str], make: Callable[..., Made]) -> None:
    with pytest.raises(SettingError):
        kubernetes_check.check(make().run, **{**NAMED, **given})


@pytest.mark.process
@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"namespace": "namespace/check"}, "has a namespace check, which would be removed"),
        ({"status": "1"}, "kind-dev does not answer"),
        ({"daemonsets": "daemonset.apps/trust"}, "have a registry's trust already"),
    ],
)
def test_what_is_somebody_else_s_is_neither_changed_nor_removed(
    answers: dict[str, str], said: str, cluster: Cluster, make: Callable[..., Made]
) -> None:
    cluster.says(**answers)
    with pytest.raises(RegistryError, match=said):
        kubernetes_check.check(make().run, **NAMED)
    assert [it for it in cluster.typed if " apply " in it or " delete " in it] == []


@pytest.mark.process
def test_a_config_map_that_the_cluster_has_stays(cluster: Cluster, make: Callable[..., Made]) -> None:
    cluster.says(configmap="local-registry-hosting   1   5d")
    kubernetes_check.check(make().run, **NAMED)
    assert [it for it in cluster.typed if manifests.HOSTING in it] == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("answers", "rows"),
    [
        ({"pull": _pods(a=ABSENT, b=REFUSED)}, {"b": "refused"}),
        ({"pull": _pods(a=ABSENT, b=f"{FAILED}dial tcp 192.168.0.12:443: i/o timeout")}, {"b": "not proved"}),
        ({"pull": _pods(a=ABSENT, b=None)}, {"b": "not proved"}),
        ({"pull": _pods(a=f"{FAILED}401 Unauthorized", b=ABSENT)}, {}),
        ({"raw": "Error from server (ServiceUnavailable): no endpoints available"}, {"registry": "not proved"}),
        ({"raw": "error: You must be logged in to the server (Unauthorized)"}, {}),
    ],
)
def test_each_part_is_judged_by_what_it_says(
    answers: dict[str, str], rows: dict[str, str], cluster: Cluster, make: Callable[..., Made]
) -> None:
    cluster.says(**answers)
    report = kubernetes_check.check(make().run, **NAMED)
    assert _rows(report) == {**dict.fromkeys(("registry", "a", "b"), "accepted"), **rows}
    assert (report.failure is not None, [it for it in rows if it not in str(report.failure)]) == (bool(rows), [])
    assert " delete " in cluster.typed[-1]


@pytest.mark.process
@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"items": [1]}', '{"items": [{"spec": {"nodeName": "a"}}]}'])
def test_what_is_no_answer_of_kubectl_is_an_error_and_all_is_removed(
    answer: str, cluster: Cluster, make: Callable[..., Made]
) -> None:
    cluster.says(trust=answer)
    with pytest.raises(RegistryError, match="JSON of pods"):
        kubernetes_check.check(make().run, **NAMED)
    assert " delete " in cluster.typed[-1]


@pytest.mark.process
def test_pods_that_never_run_fail_the_proof_and_all_is_removed(cluster: Cluster, make: Callable[..., Made]) -> None:
    cluster.says(stuck="")
    made = make()
    with pytest.raises(RegistryError, match="timed out"):
        kubernetes_check.check(made.run, **NAMED)
    assert " delete " in cluster.typed[-1]
    assert [it for it in made.console.said if "why" in it] == ["[pod/trust-x/kit] why: \\x1b[31mno"]


def test_a_dry_run_shows_what_it_would_type(make: Callable[..., Made]) -> None:
    recorder = Recorder(dry=True)
    kubernetes_check.check(Run(make().run.settings, recorder), **NAMED)
    assert [it.split()[5] for it in recorder.typed] == ["apply", "delete"]
    assert [it for it in recorder.typed if "--context kind-dev --namespace check" not in it] == []


def test_what_lets_a_client_in_and_what_refuses_are_two() -> None:
    assert frozenset() == message.ACCEPTED & message.REFUSING
