"""Manifests: registry and kit as they are elsewhere, with the least rights, in files that keep their secrets."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.conftest import ADDRESS, ROOT
from tests.kubernetes.objects import Made, changed, cluster, decoded, plain, pod, text, texts
from tests.recorder import Recorder
from tests.rendered import rendered
from trusted_registry import files, installation
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.installation import NotedMirror
from trusted_registry.instance import roles
from trusted_registry.instance.model import DRAIN_SECONDS, LINGER_SECONDS, Image
from trusted_registry.kubernetes import manifests
from trusted_registry.registry import users
from trusted_registry.registry.users import Login
from trusted_registry.run import Run
from trusted_registry.tasks import kubernetes, trust_kit
from trusted_registry.trust.remote import kit, nodes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kubernetes.objects import Object

COST = 4
"""Rounds of bcrypt, as few as there can be."""
REGISTRY, TRUST, SECRET, KIT = (
    "Deployment/registry",
    "DaemonSet/trust",
    "Secret/registry-files",
    "ConfigMap/trust-kit",
)


def _only(controller: Object) -> Object:
    (found,) = pod(controller)["containers"]
    made: Object = found
    return made


# Texts


@pytest.mark.parametrize(
    "name",
    ["registry.yaml", "trust.yaml", "chart/templates/registry.yaml", "chart/values.yaml", "volume/registry.yaml"],
)
def test_what_is_rendered_is_the_golden_file(name: str) -> None:
    base = name.rpartition("/")[2]
    found = texts(storage="")[base] if name.startswith("volume/") else text(name)
    found = re.sub(r": [A-Za-z0-9+/=]{200,}", ": BASE64", found)
    found = re.sub(r"[0-9a-f]{16}", "SUM", found)
    shown = found if base == "values.yaml" else rendered(found, f"kubernetes/{base}")
    assert shown == (ROOT / "tests/golden" / f"kubernetes-{name.replace('/', '-')}").read_text()


def test_helm_reads_braces_in_the_chart_s_own_names_alone() -> None:
    charted = [text(f"chart/templates/{name}") for name in manifests.OBJECTS]
    names = {it for one in charted for it in re.findall(r"\{\{(.*?)\}\}", one)}
    own = {f" .Values.{it} | toJson " for it in ("replicas", "image", "service")}
    assert names == {*own, " .Release.Namespace | toJson "}
    assert [it for it in ("{{", "}}") for name in manifests.FILES if it in re.sub(r"\}\}+", "", text(name))] == []
    assert b"{{" in decoded(plain()[KIT])[cluster().kit[0]] or "{{" not in text("trust.yaml")


# The registry


def test_the_registry_is_the_one_that_roles_make_with_a_front_s_drain(make: Callable[..., Made]) -> None:
    made = make(drain="33").write()
    settings = made.run.settings
    found, held = made.plain[REGISTRY], decoded(made.plain[SECRET])
    alone = roles.tls(settings, Image("registry:3", ""), ("registry",))
    assert {name: held[name] for name in held if name != "registry.yml"} == {
        it.name: it.content for it in alone.files if it.name != "registry.yml"
    }
    config = {it.name: it.content for it in alone.files}["registry.yml"].decode()
    drained = config.replace(f"draintimeout: {DRAIN_SECONDS}s", "draintimeout: 33s")
    assert held["registry.yml"].decode() == drained != config
    assert _only(found)["command"] == ["/bin/sh", *alone.command]
    assert _only(found)["env"] == [{"name": name, "value": value} for name, value in alone.environment]


def test_all_replicas_have_one_http_secret_and_the_bucket(make: Callable[..., Made]) -> None:
    made = make().write()
    said = YAML(typ="safe").load(decoded(made.plain[SECRET])["registry.yml"])
    secret = installation.known(made.run.settings.folder).http_secret
    assert (said["http"]["secret"], len(secret)) == (secret, 64)
    assert (said["storage"]["s3"]["bucket"], said["storage"]["s3"]["secretkey"]) == ("images", "topsecret")
    assert said["health"]["storagedriver"]["enabled"] is False


def test_without_a_bucket_one_registry_has_a_volume_of_the_cluster(make: Callable[..., Made]) -> None:
    made = make(storage="").write(size="5Gi")
    found = made.plain
    claim, controller = found["PersistentVolumeClaim/registry-images"], found[REGISTRY]
    (place,) = [it["mountPath"] for it in _only(controller)["volumeMounts"] if it["name"] == "images"]
    (volume,) = [it["persistentVolumeClaim"] for it in pod(controller)["volumes"] if it["name"] == "images"]
    said = YAML(typ="safe").load(decoded(found[SECRET])["registry.yml"])
    assert (said["storage"]["filesystem"]["rootdirectory"], volume["claimName"]) == (place, claim["metadata"]["name"])
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert (controller["spec"]["replicas"], controller["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert "goes with its namespace" in "".join(made.console.said)
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    drain = int(re.findall(rb"draintimeout: (\d+)s", decoded(found[SECRET])["registry.yml"])[0])
    assert (drain, pod(controller)["terminationGracePeriodSeconds"]) == (DRAIN_SECONDS, 5 + DRAIN_SECONDS + 4 + 2)
    assert sorted(YAML(typ="safe").load((made.folder / "chart/values.yaml").read_text())) == [
        "image",
        "service",
        "size",
    ]


def test_a_size_that_was_named_once_stays_and_a_bucket_after_it_is_told_of(make: Callable[..., Made]) -> None:
    made = make(storage="").write(size="5Gi").write()
    assert '"5Gi"' in (made.folder / "registry.yaml").read_text()
    made.write(size="7Gi").write()
    assert '"7Gi"' in (made.folder / "registry.yaml").read_text()
    after = make().write()
    assert (after.folder == made.folder, "stay there, unseen" in "".join(after.console.said)) == (True, True)
    assert "stay there, unseen" not in "".join(make().write().console.said)


def test_with_a_bucket_there_is_no_volume(make: Callable[..., Made]) -> None:
    made = make().write()
    assert "PersistentVolumeClaim" not in (made.folder / "registry.yaml").read_text()
    assert made.plain[REGISTRY]["spec"]["replicas"] == 2
    assert "goes with its namespace" not in "".join(made.console.said)


def test_a_pod_that_ends_has_the_time_of_pause_drain_and_linger(make: Callable[..., Made]) -> None:
    made = make(drain="33").write()
    found = made.plain[REGISTRY]
    *_, slept = _only(found)["lifecycle"]["preStop"]["exec"]["command"]
    pause = int(slept.removeprefix("sleep "))
    drain = int(re.findall(rb"draintimeout: (\d+)s", decoded(made.plain[SECRET])["registry.yml"])[0])
    linger = int(re.findall(rb"left=(\d+)0\nwhile .* unsent", decoded(made.plain[SECRET])["start.sh"])[0])
    assert (pause, drain, linger) == (manifests.PAUSE_SECONDS, 33, LINGER_SECONDS)
    assert pod(found)["terminationGracePeriodSeconds"] > pause + drain + linger
    assert found["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_registry_s_pod_has_no_right_that_it_does_not_need() -> None:
    assert _excess(plain()[REGISTRY]) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("securityContext.runAsUser", 0),
        ("securityContext.runAsNonRoot", False),
        ("securityContext.seccompProfile.type", "Unconfined"),
        ("containers.0.securityContext.capabilities.drop", []),
        ("containers.0.securityContext.capabilities.add", ["NET_BIND_SERVICE"]),
        ("containers.0.securityContext.readOnlyRootFilesystem", False),
        ("containers.0.securityContext.allowPrivilegeEscalation", True),
        ("automountServiceAccountToken", True),
        ("enableServiceLinks", True),
        ("hostNetwork", True),
    ],
)
def test_a_right_too_many_is_found(path: str, value: object) -> None:
    assert _excess(changed(plain()[REGISTRY], f"spec.template.spec.{path}", value))


def _excess(controller: Object, user: int = manifests.USER) -> list[str]:
    """Return the rights of a controller's pods beyond those that they need."""
    spec, own = pod(controller), _only(controller)["securityContext"]
    shared = spec.get("securityContext", {})
    checks = {
        "user": own.get("runAsUser", shared.get("runAsUser")) == user,
        "root": bool(shared.get("runAsNonRoot")) is (user != 0),
        "calls": shared.get("seccompProfile") == {"type": "RuntimeDefault"},
        "capabilities": own["capabilities"] == {"drop": ["ALL"]},
        "files": own["readOnlyRootFilesystem"] is True,
        "more": own["allowPrivilegeEscalation"] is False,
        "token": spec["automountServiceAccountToken"] is False,
        "links": spec["enableServiceLinks"] is False,
        "host": {"hostNetwork", "hostPID", "hostIPC"} & {*spec} == ({"hostPID"} if user == 0 else set()),
    }
    return [name for name, fine in checks.items() if not fine]


def test_nobody_may_read_the_key_by_its_group_alone() -> None:
    spec = pod(plain()[REGISTRY])
    (volume,) = spec["volumes"]
    assert (volume["secret"]["defaultMode"], spec["securityContext"]["fsGroup"]) == (0o440, manifests.USER)


def test_no_probe_asks_the_store() -> None:
    container = _only(plain()[REGISTRY])
    probes = [container[name] for name in ("readinessProbe", "livenessProbe")]
    assert [it["tcpSocket"] for it in probes] == [{"port": "https"}] * 2
    assert [it["containerPort"] for it in container["ports"]] == [5000]


def test_a_renewed_certificate_makes_other_pods_and_a_user_does_not(make: Callable[..., Made]) -> None:
    made = make()
    users.save(made.run.settings.folder, Login("ada", "correct horse"), COST)

    def marks() -> list[dict[str, str]]:
        found = made.write().plain
        return [found[it]["spec"]["template"]["metadata"]["annotations"] for it in (REGISTRY, TRUST)]

    before = marks()
    users.save(made.run.settings.folder, Login("bob", "correct horse"), COST)
    assert (marks(), b"bob:" in decoded(made.plain[SECRET])[users.FILE]) == (before, True)
    issue.renew(made.run)
    registry, trust = marks()
    assert (registry != before[0], trust == before[1]) == (True, True)


@pytest.mark.parametrize(
    ("given", "kind", "said", "node_port"),
    [
        ({}, "LoadBalancer", ADDRESS, None),
        ({"port": "8443"}, "LoadBalancer", ADDRESS, None),
        ({"address": "registry.local"}, "LoadBalancer", None, None),
        ({"port": "30443"}, "NodePort", None, 30443),
    ],
)
def test_clients_find_the_registry_at_the_port_of_its_certificate(
    given: dict[str, str], kind: str, said: str | None, node_port: int | None
) -> None:
    made = cluster(**given)
    service = json.loads(made.changeable["service"])
    (port,) = service["ports"]
    assert (service["type"], service.get("loadBalancerIP")) == (kind, said)
    assert (port["port"], port.get("nodePort")) == (made.settings.port, node_port)


# The trust of nodes


@pytest.mark.parametrize("mirrors", [False, True])
def test_the_pods_run_the_kit_that_other_machines_get(*, mirrors: bool, make: Callable[..., Made]) -> None:
    made = make()
    settings = made.run.settings
    installation.note_mirror(settings.folder, "docker.io", NotedMirror(5500))
    found = decoded(made.write(mirrors=mirrors).plain[KIT])
    wanted = kit.render(trust_kit.load_anchor(settings, mirrors=mirrors), settings.registry_host)
    name = next(it for it in found if it != "keep.sh")
    assert (found[name], b"5500" in wanted) == (wanted, mirrors)
    assert found["keep.sh"] == manifests.keep_script()
    assert f"/kit/{name}" in _only(made.plain[TRUST])["command"]


def test_mirrors_that_are_not_there_are_refused(make: Callable[..., Made]) -> None:
    with pytest.raises(RegistryError, match="no mirror here"):
        make().write(mirrors=True)


def test_the_kit_s_pod_is_on_every_node_with_no_right_but_root_s_own_files() -> None:
    found = plain()[TRUST]
    assert (_excess(found, user=0), pod(found)["tolerations"]) == ([], [{"operator": "Exists"}])
    paths = {it["name"]: it["hostPath"]["path"] for it in pod(found)["volumes"] if "hostPath" in it}
    written = {paths[it["name"]] for it in _only(found)["volumeMounts"] if not it.get("readOnly")}
    assert written == {"/etc", kit.FOLDER, "/run/trusted-registry"}


def test_a_successor_comes_before_the_pod_that_it_replaces_ends() -> None:
    assert plain()[TRUST]["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_cluster_is_told_of_the_registry_by_all_three_names() -> None:
    found = plain()[f"ConfigMap/{nodes.CONFIG_MAP}"]
    told = YAML(typ="safe").load(found["data"][nodes.KEY])
    assert told == dict.fromkeys(("host", "hostFromContainerRuntime", "hostFromClusterNetwork"), ADDRESS)
    assert nodes.published(json.dumps(found)) == (ADDRESS, True)


# Files


def test_who_runs_it_twice_is_told_that_nothing_changed(make: Callable[..., Made]) -> None:
    made = make().write()
    assert made.console.said[0] == f"manifests: 13 files written in {made.folder}"
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    made.write()
    assert made.console.said[2] == f"manifests: nothing changed in {made.folder}"
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before
    made.write(replicas="3")
    assert made.console.said[4] == f"manifests: 2 files written in {made.folder}"


def test_what_has_keys_is_its_owner_s_alone_and_made_so_again(make: Callable[..., Made]) -> None:
    made = make().write()
    (made.folder / "secret.yaml").chmod(0o644)
    made.write()
    key = (made.run.settings.folder / "domain.key").read_bytes()
    private = [path for path in made.folder.rglob("*") if path.is_file() and stat.S_IMODE(path.stat().st_mode) == 0o600]
    assert sorted(str(it.relative_to(made.folder)) for it in private) == ["chart/templates/secret.yaml", "secret.yaml"]
    texts = [path.read_bytes() for path in made.folder.rglob("*") if path.is_file() and path not in private]
    assert [it for it in texts if b"topsecret" in it or manifests._base64(key).encode() in it] == []
    shown = " ".join([*made.console.said, *made.console.typed, repr(kubernetes.load(made.run, "registry", 2, ""))])
    assert ("topsecret" in shown, "PRIVATE" in shown) == (False, False)


@pytest.mark.process
def test_git_takes_the_manifests_and_not_the_keys(make: Callable[..., Made], tmp_path: Path) -> None:
    made = make()
    repository = tmp_path / "repository"
    made.write(out=str(repository / "cluster"))

    def git(*words: str) -> str:
        argv = ["git", "-C", str(repository), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet")
    git("add", "--all")
    listed = git("ls-files").splitlines()
    assert ("cluster/registry.yaml" in listed, [it for it in listed if "secret" in it]) == (True, [])
    (repository / "cluster/.gitignore").unlink()
    git("add", "--all")
    assert [it for it in git("ls-files").splitlines() if "secret" in it] == [
        "cluster/chart/templates/secret.yaml",
        "cluster/secret.yaml",
    ]


# What cannot be


def test_an_image_may_be_named_by_its_digest(make: Callable[..., Made]) -> None:
    image = f"registry:3@sha256:{'0a' * 32}"
    found = make().write(image=image).plain
    assert {_only(found[it])["image"] for it in (REGISTRY, TRUST)} == {image}


def test_more_than_one_registry_of_a_volume_is_refused_with_the_way_to_a_bucket(make: Callable[..., Made]) -> None:
    made = make(storage="")
    with pytest.raises(SettingError, match="need their images in a bucket") as caught:
        made.write(replicas="2")
    assert (caught.value.cure, made.folder.exists()) == ("./inv registry.move --to s3://BUCKET/PREFIX", False)
    assert make().write(replicas="2").plain[REGISTRY]["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    "name",
    [".gitignore", "kustomization.yaml", "secret.yaml", "namespace.yaml", "chart/values.yaml", "chart/Chart.yaml"],
)
def test_a_file_of_somebody_else_s_is_named_and_all_stays_as_it_was(name: str, make: Callable[..., Made]) -> None:
    made = make()
    theirs = made.folder / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    with pytest.raises(SettingError, match=f"has a {name} of its own"):
        made.write()
    assert [it.read_text() for it in made.folder.rglob("*") if it.is_file()] == ["theirs\n"]
    theirs.unlink()
    made.write()
    (made.folder / "secret.yaml").write_text("changed since\n")
    assert "Secret/registry-files" in made.write().plain


@pytest.mark.parametrize("name", ["domain.key", "ca.crt", "storage-credentials.json"])
def test_a_file_that_is_missing_is_named_and_nothing_is_written(name: str, make: Callable[..., Made]) -> None:
    made = make()
    files.remove(made.run.settings.folder / name, keep=made.run.settings.folder)
    with pytest.raises(RegistryError) as caught:
        made.write()
    assert (bool(caught.value.cure), made.folder.exists()) == (True, False)


@pytest.mark.parametrize(
    "given",
    [
        *(
            {"namespace": it}
            for it in ("", "default", "kube-system", "kube-public", "A", "a_b", "-a", "a" * 64, "a\nb")
        ),
        *({"replicas": it} for it in ("0", "101", "two", "1.5")),
        *({"size": it} for it in ("0Gi", "20", "20G", "-1Gi", "1 Gi", "1Gi\n", "{{ 1 }}", "1Gi, x: y")),
        *(
            {"image": it}
            for it in ("registry:3 x", "-x", "registry:3\n", "{{ .Values }}", "registry@sha256:0", "registry:3@")
        ),
        {"out": "a\x00b"},
    ],
)
def test_a_flag_that_cannot_be_is_refused_before_anything_is_written(
    given: dict[str, str], make: Callable[..., Made]
) -> None:
    made = make()
    with pytest.raises(SettingError):
        made.write(**given)
    assert not made.folder.exists()


def test_a_dry_run_shows_the_commands_and_writes_nothing(make: Callable[..., Made]) -> None:
    made = make()
    recorder = Recorder(dry=True)
    Made(Run(made.run.settings, recorder)).write()
    assert not made.folder.exists()
    assert f"kubectl --context CLUSTER apply --kustomize {made.folder}" in recorder.typed
