"""Manifests and chart by the schemas of three versions of Kubernetes, and by what no schema sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kubernetes.objects import broken, changed, fault, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kubernetes.objects import Made

VERSIONS = ("1.25", "1.31", "1.37")
"""The first that has all that is used, the newest known, and one between."""
REGISTRY, TRUST, SERVICE = "Deployment/registry", "DaemonSet/trust", "Service/registry"
CONTAINER = "spec.template.spec.containers.0"


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, 9), ({"port": "30443"}, 9), ({"address": "registry.local"}, 9), ({"storage": ""}, 10)],
    ids=["", "node port", "name", "volume"],
)
def test_every_manifest_is_valid_in_each_version(given: dict[str, str], count: int, make: Callable[..., Made]) -> None:
    found = make(**given).write().plain
    for version in VERSIONS:
        assert [fault(it, version) for it in found.values()] == [""] * count
    assert broken(found) == []


@pytest.mark.process
@pytest.mark.parametrize(
    "values", [{}, {"replicas": 5, "image": "r.example/registry:2.8", "service": {"type": "ClusterIP"}}]
)
def test_every_object_of_the_chart_is_valid_in_each_version(values: dict[str, Any], make: Callable[..., Made]) -> None:
    found, complaints = make().write().chart(**values)
    for version in VERSIONS:
        assert [fault(it, version) for it in found.values()] == [""] * 8
    assert (broken(found), [it["error"] for it in complaints]) == ([], ["icon is recommended"])


@pytest.mark.process
def test_a_chart_with_a_volume_is_valid_and_asks_for_the_room_that_its_user_names(make: Callable[..., Made]) -> None:
    found, complaints = make(storage="").write().chart(size="3Gi")
    for version in VERSIONS:
        assert [fault(it, version) for it in found.values()] == [""] * 9
    assert found["PersistentVolumeClaim/registry-images"]["spec"]["resources"]["requests"] == {"storage": "3Gi"}
    assert (broken(found), [it["error"] for it in complaints]) == ([], ["icon is recommended"])


@pytest.mark.process
def test_the_chart_is_the_manifests_but_for_the_namespace_which_helm_makes(make: Callable[..., Made]) -> None:
    made = make().write(replicas="3", image="registry:2.8")
    plain = made.plain
    del plain["Namespace/registry"]
    assert made.chart()[0] == plain
    assert made.chart("elsewhere")[0] != plain


@pytest.mark.process
def test_a_chart_s_values_change_what_they_name(make: Callable[..., Made]) -> None:
    found = make().write().chart("other", replicas=7, image="r.example/registry:3", service={"type": "ClusterIP"})[0]
    images = {it["spec"]["template"]["spec"]["containers"][0]["image"] for it in (found[REGISTRY], found[TRUST])}
    assert (found[REGISTRY]["spec"]["replicas"], images) == (7, {"r.example/registry:3"})
    assert (found[SERVICE]["spec"]["type"], found[SERVICE]["spec"]["ports"][0]["port"]) == ("ClusterIP", 443)
    assert {it["metadata"]["namespace"] for it in found.values()} == {"other", "kube-public"}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        (REGISTRY, "spec.replica", 2),
        (REGISTRY, "spec.replicas", "two"),
        (REGISTRY, "spec.selector", None),
        (REGISTRY, "spec.template", None),
        (REGISTRY, "spec.strategy.rollingUpdate.maxUnavailable", [0]),
        (REGISTRY, "spec.template.spec.terminationGracePeriodSecond", 1),
        (REGISTRY, "spec.template.spec.containers", None),
        (REGISTRY, f"{CONTAINER}.name", None),
        (REGISTRY, f"{CONTAINER}.livenesProbe", {}),
        (REGISTRY, f"{CONTAINER}.readinessProbe.tcpSocket.port", None),
        (REGISTRY, f"{CONTAINER}.securityContext.readOnlyRootFileSystem", True),
        (REGISTRY, f"{CONTAINER}.securityContext.capabilities", ["ALL"]),
        (REGISTRY, f"{CONTAINER}.env.0.value", 1),
        (REGISTRY, f"{CONTAINER}.command", "registry serve"),
        (REGISTRY, "spec.template.spec.volumes.0.secret.defaultMode", "0440"),
        (REGISTRY, "spec.template.spec.volumes.0.secret.name", "registry-files"),
        (TRUST, "spec.template.spec.tolerations", {"operator": "Exists"}),
        (TRUST, "spec.template.spec.volumes.1.hostPath.path", None),
        (SERVICE, "spec.ports.0.port", None),
        (SERVICE, "spec.ports.0.port", "443"),
        (SERVICE, "spec.selectors", {}),
        ("PodDisruptionBudget/registry", "spec.maxUnavailible", 1),
        ("Secret/registry-files", "data.x", 1),
        ("ConfigMap/trust-kit", "binarydata", {}),
        ("Namespace/registry", "metadata.label", {}),
    ],
)
def test_a_planted_fault_is_found_in_each_version(name: str, path: str, value: object) -> None:
    found = changed(plain()[name], path, value)
    assert all(fault(found, version) for version in VERSIONS)


def test_a_kind_that_no_version_has_is_found() -> None:
    found = plain()[REGISTRY]
    for wrong in ({**found, "kind": "Deployer"}, {**found, "apiVersion": "extensions/v1beta1"}):
        assert fault(wrong, VERSIONS[0]).startswith("Couldn't find schema")


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        (REGISTRY, "spec.template.metadata.labels", {"a": "b"}, "Deployment/registry selects nothing"),
        (REGISTRY, "spec.selector.matchLabels", {"a": "b"}, "Deployment/registry selects nothing"),
        (TRUST, "spec.selector.matchLabels", {"app.kubernetes.io/name": "registry"}, "DaemonSet/trust selects nothing"),
        (SERVICE, "spec.selector", {"a": "b"}, "Service/registry selects nothing"),
        (SERVICE, "spec.ports.0.targetPort", "http", "Service/registry leads to no port"),
        (REGISTRY, f"{CONTAINER}.volumeMounts.0.name", "file", "registry mounts other volumes than it has"),
        (REGISTRY, "spec.template.spec.volumes.0.secret.secretName", "x", "registry mounts what is not there"),
        (TRUST, "spec.template.spec.volumes.0.configMap.name", "x", "trust mounts what is not there"),
    ],
)
def test_a_name_that_leads_to_nothing_is_found(name: str, path: str, value: object, said: str) -> None:
    assert said in broken({**plain(), name: changed(plain()[name], path, value)})
