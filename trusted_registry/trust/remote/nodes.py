"""Containers that are the machines of a cluster: which those are, how the kit runs in one, and what it says there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trusted_registry.errors import RegistryError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.registry.engine_types import ExecResult, ListedContainer

PIECE_BYTES = 30_000
"""Characters of a script in one argument: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN), and one may be 4 bytes."""

CHANGED, FAILED, LEFT_OUT = "changed", "failed", "left out"
"""How it may end on a node; the kit has further words."""
_SAID = re.compile(r"trusted-registry: (changed|already trusted|would change|trusted|absent|failed)\Z")
"""The kit's last line."""

CONFIG_MAP, NAMESPACE = "local-registry-hosting", "kube-public"
KEY = "localRegistryHosting.v1"
_OURS = {"app.kubernetes.io/managed-by": "trusted-registry"}

FIND_RUNTIME = """for it in k3s dockerd containerd; do
    if command -v "$it" > /dev/null; then echo "$it"; exit; fi
done"""
"""Says what pulls images on a node. k3s has a containerd of its own in it, and dockerd one beside it."""

STORES = {"k3s": "k3s", "dockerd": "docker", "containerd": "containerd"}
"""The store that a runtime reads, by the name that the kit's --only takes."""

RUN_KIT = """umask 077
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
kit=$folder/$1 pieces=$2
shift 2
while [ "$pieces" -gt 0 ]; do
    printf %s "$1" >> "$kit" || exit 1
    shift
    pieces=$((pieces - 1))
done
sh "$kit" "$@\""""
"""Has a script, some of the arguments, be a file for as long as it runs: it checks its own checksum.

Arguments rather than `docker cp`, which writes below what is mounted over /tmp (kind mounts a tmpfs there), and
rather than standard input, which not every way to an engine can end.
"""


@dataclass(frozen=True)
class Kind:
    """What makes containers that are nodes, and how to tell them from its others.

    Args:
        name: For people.
        label: On all of its containers; the value is the cluster's name, unless `cluster` is the label with that.
        value: What the label's value must be; empty for any.
        role: The label that says what a container is for.
        roles: Its values for nodes; a container without the label counts too.
        cluster: The label with the cluster's name.
        context: What the cluster's context in kubectl's configuration begins with; empty where that is not known.
    """

    name: str
    label: str
    value: str = ""
    role: str = ""
    roles: tuple[str, ...] = ()
    cluster: str = ""
    context: str = ""


KINDS = (
    # github.com/kubernetes-sigs/kind, pkg/cluster/internal/providers/docker/constants.go and pkg/cluster/constants
    Kind(
        "kind",
        "io.x-k8s.kind.cluster",
        role="io.x-k8s.kind.role",
        roles=("control-plane", "worker"),
        cluster="io.x-k8s.kind.cluster",
        context="kind-",
    ),
    # github.com/k3d-io/k3d, pkg/types/types.go
    Kind("k3d", "app", value="k3d", role="k3d.role", roles=("server", "agent"), cluster="k3d.cluster", context="k3d-"),
    # github.com/kubernetes-retired/kubeadm-dind-cluster, image/Dockerfile
    Kind("kubeadm-dind-cluster", "mirantis.kubeadm_dind_cluster"),
)
_LABELLED = Kind("--label", "")


@dataclass(frozen=True)
class Node:
    """A container that is a node; `context` is kubectl's name of its cluster, where that is known."""

    name: str
    kind: str
    state: str
    context: str = ""


@dataclass(frozen=True)
class NodeResult:
    """How it ended on one node: whether that is well, in which words, and what is left to do there."""

    node: Node
    runtime: str
    state: str
    left: str = ""
    fine: bool = True


def label(text: str) -> tuple[str, str]:
    """Return key and value of `--label`; an empty value stands for any.

    Raises:
        SettingError: It is no label.
    """
    key, _, value = text.partition("=")
    if not key or re.search(r"\s", text):
        raise SettingError(f"--label is {text!r}.", cure="Write it as on the containers: --label KEY=VALUE or KEY")
    return key, value


def select(containers: Iterable[ListedContainer], wanted: str = "") -> tuple[Node, ...]:
    """Return the nodes among containers: those of every known kind, or those with a label and no others.

    Raises:
        SettingError: `wanted` is no label.
        RegistryError: There is none; the error names what was looked for.
    """
    key, value = label(wanted) if wanted else ("", "")
    found = []
    for container in containers:
        kind = next((it for it in KINDS if _has(container, it.label, it.value)), _LABELLED if wanted else None)
        if kind and (not wanted or _has(container, key, value)) and _is_node(container, kind):
            cluster = container.labels.get(kind.cluster, "")
            context = f"{kind.context}{cluster}" if kind.context and cluster else ""
            found.append(Node(container.name, kind.name, container.state, context))
    if not found:
        labels = wanted or ", ".join(f"{it.label}={it.value}" if it.value else it.label for it in KINDS)
        raise RegistryError(
            f"No container of this engine is a node: none has a label {labels}.",
            cure="Name one that yours have: --label KEY=VALUE; docker ps --format '{{.Names}} {{.Labels}}' shows them",
        )
    return tuple(found)


def _has(container: ListedContainer, key: str, value: str) -> bool:
    return key in container.labels and (not value or container.labels[key] == value)


def _is_node(container: ListedContainer, kind: Kind) -> bool:
    return not kind.role or container.labels.get(kind.role, kind.roles[0]) in kind.roles


def wake_command(node: Node) -> str:
    """Return the command that has a node run again, such as after `docker pause`; empty for one that runs."""
    if node.state == "running":
        return ""
    return f"docker {'unpause' if node.state == 'paused' else 'start'} {node.name}"


def kit_argv(kit: bytes, name: str, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return what runs a script in a container as a file of this name, with flags."""
    text = kit.decode()
    pieces = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
    return ("sh", "-c", RUN_KIT, "sh", name, str(len(pieces)), *pieces, *flags)


def shown_commands(node: str, kit: str, flags: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the same as a person would type it, with the kit in this folder."""
    return (
        ("docker", "cp", kit, f"{node}:/{kit}"),
        ("docker", "exec", "--user", "0", node, "sh", f"/{kit}", *flags),
        ("docker", "exec", "--user", "0", node, "rm", f"/{kit}"),
    )


def read_result(node: Node, runtime: str, ran: ExecResult) -> NodeResult:
    """Return how the kit ended on a node, by its exit status and its own last line."""
    said = _SAID.search(ran.out.rstrip())
    if said and said[1] != FAILED:
        return NodeResult(node, runtime, said[1], fine=ran.code == 0)
    reason = next((line.removeprefix("error: ") for line in ran.err.splitlines() if line.startswith("error: ")), "")
    if not said:
        last = (ran.err.strip() or ran.out.strip()).splitlines()[-1:]
        reason = reason or "; ".join(["it ended before the kit was through", *last])
    return failure(node, runtime, reason or "the kit does not say why")


def notes(ran: ExecResult) -> tuple[str, ...]:
    """Return what the kit found worth a look on a node."""
    return tuple(line.removeprefix("note: ") for line in ran.err.splitlines() if line.startswith("note: "))


def failure(node: Node, runtime: str, reason: str) -> NodeResult:
    """Return the outcome of a node on which it went wrong."""
    return NodeResult(node, runtime, FAILED, reason, fine=False)


def table(results: Iterable[NodeResult]) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows."""
    rows = [[it.node.name, it.node.kind, it.runtime, it.state, it.left] for it in results]
    return "nodes", ["node", "made by", "runtime", "result", "what is left to do"], rows


def insist(results: Iterable[NodeResult]) -> None:
    """Insist that all is well on every node.

    Raises:
        RegistryError: It is not on some.
    """
    results = tuple(results)
    bad = [it.node.name for it in results if not it.fine]
    if bad:
        message = f"It is not well on {len(bad)} of {len(results)} nodes: {', '.join(bad)}."
        raise RegistryError(message, cure="Mend what the table names, then repeat the command.")


# The cluster is told as well: KEP-1755, a ConfigMap that names the local registry


def kubectl(context: str, *words: str) -> tuple[str, ...]:
    """Return a command to one cluster, which gives up soon where that does not answer."""
    return ("kubectl", "--context", context, "--request-timeout", "5s", *words)


def ask_config(context: str) -> tuple[str, ...]:
    """Return what shows which registry a cluster names."""
    return kubectl(
        context, "get", "configmap", CONFIG_MAP, "--namespace", NAMESPACE, "--ignore-not-found", "--output", "json"
    )


def publish(context: str) -> tuple[str, ...]:
    """Return what has a cluster take a manifest from standard input."""
    return kubectl(context, "apply", "--filename", "-")


def withdraw(context: str) -> tuple[str, ...]:
    """Return what has a cluster name no registry."""
    return kubectl(context, "delete", "configmap", CONFIG_MAP, "--namespace", NAMESPACE)


def publish_by_hand(registry_host: str) -> tuple[str, ...]:
    """Return the one command that names the registry in the cluster that kubectl is set to."""
    named = ("create", "configmap", CONFIG_MAP, "--namespace", NAMESPACE)
    return ("kubectl", *named, f"--from-literal={KEY}={_hosting(registry_host)}")


def manifest(registry_host: str) -> str:
    """Return the ConfigMap as JSON, which is YAML too."""
    metadata = {"name": CONFIG_MAP, "namespace": NAMESPACE, "labels": _OURS}
    said = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: _hosting(registry_host)}}
    return f"{json.dumps(said, indent=2)}\n"


def _hosting(registry_host: str) -> str:
    return f"host: {json.dumps(registry_host)}"


def published(text: str) -> tuple[str, bool]:
    """Read what `ask_config` printed: the registry that the cluster names, and whether nobody else put that there.

    Raises:
        RegistryError: It is not what kubectl prints.
    """
    try:
        said: dict[str, Any] = json.loads(text) if text.strip() else {}
        labels = (said.get("metadata") or {}).get("labels") or {}
        host = re.search(r"^host:[ \t]*['\"]?([^'\"\s#]+)", (said.get("data") or {}).get(KEY, ""), re.MULTILINE)
    except (ValueError, AttributeError, TypeError) as error:
        raise RegistryError("kubectl did not print JSON.", cure="Look by hand: kubectl version") from error
    return host[1] if host else "", not said or labels.items() >= _OURS.items()
