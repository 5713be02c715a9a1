"""Proof on a cluster: the manifests applied, the registry asked, a pull by each node, and all of it removed again."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trusted_registry import files, program, values
from trusted_registry.client_messages.message import ACCEPTED, REFUSING
from trusted_registry.console import Console, pasteable, visible
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL
from trusted_registry.kubernetes import manifests
from trusted_registry.registry import prove
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import kubernetes
from trusted_registry.trust.remote import nodes
from trusted_registry.trust.specifics import pulls

_CONTEXT = re.compile(r"[^\x00-\x20\x7f-][^\x00-\x1f\x7f]*\Z")
_SECONDS = 300
"""Seconds for the pods to be ready, and for them to be gone."""
_PULL_SECONDS, _PAUSE = 120.0, 2.0
_LABEL, _OURS = "app.kubernetes.io/name", "app.kubernetes.io/part-of=trusted-registry"
_ASK_BY_HAND = "Look by hand: kubectl get pods --all-namespaces"


@dataclass(frozen=True)
class _Cluster:
    """A cluster by kubectl's name for it, and the namespace that the proof is in."""

    context: str
    namespace: str
    console: Console

    def run(self, *words: str, text: str = "") -> None:
        """Run kubectl, which must succeed; a dry run only shows it."""
        program.run(self._argv(words), self.console, text=text, timeout=_SECONDS + 60)

    def ask(self, *words: str) -> program.Result:
        """Return the output of kubectl."""
        return program.capture(self._argv((*words, "--request-timeout=30s")))

    def _argv(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return ("kubectl", "--context", self.context, "--namespace", self.namespace, *words)


def check(run: Run, *, context_: str, namespace: str, image: str) -> Report:
    """Apply the manifests to a cluster, prove that they work there, and remove them.

    Raises:
        SettingError: The cluster or the namespace is not named.
        RegistryError: The namespace exists, or a part of the proof fails; everything is removed then too.
    """
    if not context_ or not namespace:
        list_them = "kubectl config get-contexts lists them"
        cure = f"./inv kubernetes.check --context NAME --namespace NAME  # {list_them}"
        raise SettingError("No cluster is changed unless --context and --namespace name it.", cure=cure)
    values.matching("--context", context_, _CONTEXT, "a name that kubectl config get-contexts lists")
    cluster = _Cluster(context_, kubernetes.check_namespace(namespace), run.console)
    with files.temp_folder() as folder:
        if run.console.dry:
            return _shown(cluster, folder)
        made = kubernetes.load(run, namespace, 2 if run.settings.storage else 1, kubernetes.check_image(image))
        kubernetes.save(made, folder, run)
        named = _named(cluster, folder)
        try:
            return _proved(cluster, named, run.settings.registry_host, volume=not run.settings.storage)
        except RegistryError:
            said = cluster.ask("logs", "daemonset/trust", "--tail=5", "--prefix").out
            for line in said.splitlines():
                run.console.say(visible(line, keep=""))
            raise
        finally:
            _remove(cluster, named)


def _remove(cluster: _Cluster, named: list[str]) -> None:
    """Remove what was applied; where that fails, the error before is the one that counts."""
    try:
        cluster.run("delete", *named, "--ignore-not-found", f"--timeout={_SECONDS}s")
    except RegistryError as error:
        by_hand = pasteable(["kubectl", "--context", cluster.context, "delete", "namespace", cluster.namespace])
        cluster.console.warn(f"{error.message} What is left goes by: {by_hand}")


def _shown(cluster: _Cluster, folder: Path) -> Report:
    named = [f"--filename={folder / name}" for name in manifests.FILES]
    cluster.run("apply", *named)
    cluster.run("delete", *named, "--ignore-not-found", f"--timeout={_SECONDS}s")
    return Report()


def _named(cluster: _Cluster, folder: Path) -> list[str]:
    """Return the flags that name the manifests, once nothing of somebody else's would be changed by them.

    Raises:
        RegistryError: The namespace exists, or the cluster does not answer.
    """
    there = cluster.ask("get", "namespace", cluster.namespace, "--ignore-not-found", "--output=name")
    if not there.ok:
        raise RegistryError(f"{cluster.context} does not answer: {there.last_line}", cure=_ASK_BY_HAND)
    if there.out.strip():
        wrong = f"{cluster.context} has a namespace {cluster.namespace}, which would be removed at the end."
        raise RegistryError(wrong, cure="Name one that it does not have: --namespace registry-check")
    told = cluster.ask("get", "daemonsets", "--all-namespaces", f"--selector={_OURS}", "--output=name")
    if told.out.strip() or not told.ok:
        wrong = f"The nodes of {cluster.context} have a registry's trust already, which would be taken back at the end."
        raise RegistryError(wrong, cure="Name a cluster without it.")
    hosting = cluster.ask("get", "configmap", nodes.CONFIG_MAP, "--namespace", nodes.NAMESPACE, "--ignore-not-found")
    left = {manifests.HOSTING} if hosting.out.strip() or not hosting.ok else set()
    if left:
        cluster.console.say(f"{nodes.NAMESPACE}/{nodes.CONFIG_MAP} is there already, and stays as it is")
    return [f"--filename={folder / name}" for name in manifests.FILES if name not in left]


def _proved(cluster: _Cluster, named: list[str], registry_host: str, *, volume: bool) -> Report:
    """Apply manifests and report the registry, the volume of its images, and the trust of each node."""
    cluster.run("apply", *named)
    for part in ("deployment/registry", "daemonset/trust"):
        cluster.run("rollout", "status", part, f"--timeout={_SECONDS}s")
    path = f"/api/v1/namespaces/{cluster.namespace}/services/https:registry:https/proxy/v2/"
    answer = cluster.ask("get", "--raw", path)
    # A registry that asks for a login answers too; kubectl takes its status for the cluster's own.
    answers = answer.ok or answer.last_line.endswith("(Unauthorized)")
    rows = [["registry", *_judged("" if answers else answer.last_line, ok=answers)]]
    if volume:
        written = cluster.ask("exec", "deployment/registry", "--", SHELL, "-c", f"test -w {IMAGES_FOLDER}")
        rows.append(["images", *_judged(written.last_line or "the volume is not the pod's to write to", ok=written.ok)])
    cluster.run("apply", "--filename=-", text=json.dumps(_puller(cluster.namespace, registry_host)))
    rows += [[node, *_judged(said)] for node, said in sorted(_pulled(cluster).items())]
    bad = [row[0] for row in rows if row[1] != "accepted"]
    message = f"Not proved on {cluster.context}: {', '.join(bad)}."
    failure = RegistryError(message, cure="Mend the reasons in the table, then repeat the command.")
    return Report(table=Table("cluster", ["part", "result", "reason"], rows), failure=failure if bad else None)


def _judged(said: str, *, ok: bool = False) -> tuple[str, str]:
    """Return a result and its reason: a client that learns that there is no such image was let in."""
    found = pulls.kinds(said) if said else set()
    if ok or (found & ACCEPTED and not found & REFUSING):
        return "accepted", ""
    return "refused" if found & REFUSING else "not proved", nodes.short(said or "no answer came in time")


def _puller(namespace: str, registry_host: str) -> dict[str, object]:
    """Return a DaemonSet by which each node pulls an image that the registry does not have."""
    labels = {_LABEL: "pull"}
    image = f"{registry_host}/{prove.REPOSITORY}:none"
    container = {"name": "pull", "image": image, "imagePullPolicy": "Always"}
    pod = {"automountServiceAccountToken": False, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    metadata = {"name": "pull", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def _pulled(cluster: _Cluster) -> dict[str, str]:
    """Return each node with the words of its pull, "" for none within two minutes."""
    told, end = dict.fromkeys(_waiting(cluster, "trust"), ""), time.monotonic() + _PULL_SECONDS
    while not all(told.values()) and time.monotonic() < end:
        time.sleep(_PAUSE)
        told |= {node: said for node, said in _waiting(cluster, "pull").items() if said}
    return told


def _waiting(cluster: _Cluster, name: str) -> dict[str, str]:
    """Return the nodes of the pods of a name, each with the words of a failed pull, "" for none.

    Raises:
        RegistryError: The output of kubectl is not that of pods.
    """
    said = cluster.ask("get", "pods", f"--selector={_LABEL}={name}", "--output=json")
    try:
        placed = [it for it in json.loads(said.out)["items"] if it["spec"].get("nodeName")]
        return {str(it["spec"]["nodeName"]): _failed_pull(it) for it in placed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError("kubectl did not print JSON of pods.", cure=_ASK_BY_HAND) from error


def _failed_pull(pod: dict[str, Any]) -> str:
    waits = [it["state"].get("waiting") or {} for it in pod["status"].get("containerStatuses") or ()]
    return next((str(it.get("message", "")) for it in waits if it.get("reason") == "ErrImagePull"), "")
