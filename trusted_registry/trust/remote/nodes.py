"""Cluster nodes that are containers: how they are selected, how the kit runs in them, and the cluster's ConfigMap."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.engine.types import ExecResult, ListedContainer
from trusted_registry.errors import RegistryError, SettingError

PIECE_BYTES = 30_000
"""Characters of a script in one argument: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN), and one may be 4 bytes."""

CHANGED, FAILED, LEFT_OUT = "changed", "failed", "left out"
"""Results of a run on a node; the kit has further ones."""
_SAID = re.compile(r"trusted-registry: (changed|already trusted|would change|trusted|absent|failed)\Z")
"""Pattern of the kit's last line."""

_MOST_NOTES, _LONGEST = 20, 500
"""Notes of a node that are shown, and the characters of a line."""

CONFIG_MAP, NAMESPACE = "local-registry-hosting", "kube-public"
KEY = "localRegistryHosting.v1"
_HOST_NAMES = ("hostFromContainerRuntime", "hostFromClusterNetwork")
"""Further names of a registry: an address is one, from wherever clients ask."""
_NAMED = ("configmap", CONFIG_MAP, "--namespace", NAMESPACE)
_OURS = {"app.kubernetes.io/managed-by": "trusted-registry"}

FIND_RUNTIME = """for it in k3s dockerd containerd; do
    if command -v "$it" > /dev/null; then echo "$it"; exit; fi
done"""
"""Shell script that prints the program that pulls images on a node.

k3s contains a containerd of its own, and dockerd runs one beside, so both are looked for first.
"""

STORES = {"k3s": "k3s", "dockerd": "docker", "containerd": "containerd"}
"""Store that a runtime reads, under the name that the kit's --only takes."""

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
"""Shell script that writes the kit from arguments to a temporary file and runs that: the kit checks its own checksum.

Arguments rather than `docker cp`, which writes below a mount over /tmp (kind mounts a tmpfs there), and rather than
standard input, which not every connection to an engine can close.
"""


@dataclass(frozen=True)
class Kind:
    """A tool whose containers are cluster nodes, and the labels that mark those nodes.

    Args:
        name: Name of the tool, with which a cluster's context in kubectl's configuration begins.
        label: Label on all containers of the tool: KEY=VALUE, or KEY for any value.
        role: Label with a container's role.
        roles: Roles of nodes; a container without the label is a node too.
        cluster: Label with the cluster's name; empty if unknown.
    """

    name: str
    label: str
    role: str = ""
    roles: tuple[str, ...] = ()
    cluster: str = ""


_KIND = "io.x-k8s.kind.cluster"
KINDS = (
    # github.com/kubernetes-sigs/kind, pkg/cluster/internal/providers/docker/constants.go and pkg/cluster/constants
    Kind("kind", _KIND, "io.x-k8s.kind.role", ("control-plane", "worker"), _KIND),
    # github.com/k3d-io/k3d, pkg/types/types.go
    Kind("k3d", "app=k3d", "k3d.role", ("server", "agent"), "k3d.cluster"),
    # github.com/kubernetes-retired/kubeadm-dind-cluster, image/Dockerfile
    Kind("kubeadm-dind-cluster", "mirantis.kubeadm_dind_cluster"),
)
_LABELLED = Kind("--label", "")


@dataclass(frozen=True)
class Node:
    """Container that is a cluster node; `context` is kubectl's name of the cluster, empty if unknown."""

    name: str
    kind: str
    state: str
    context: str = ""


@dataclass(frozen=True)
class NodeResult:
    """Result on one node: its state, the work that is left there, and whether the run succeeded."""

    node: Node
    runtime: str
    state: str
    left: str = ""
    fine: bool = True


def label(text: str) -> tuple[str, str]:
    """Return key and value of `--label`; an empty value stands for any.

    Raises:
        SettingError: The text is no label.
    """
    key, _, value = text.partition("=")
    if not key or re.search(r"\s", text):
        raise SettingError(f"--label is {text!r}.", cure="Write it as on the containers: --label KEY=VALUE or KEY")
    return key, value


def select(containers: Iterable[ListedContainer], wanted: str = "") -> tuple[Node, ...]:
    """Return the nodes among containers: of all known kinds, or with a label.

    Raises:
        SettingError: `wanted` is no label.
        RegistryError: No container is a node; the error names the labels that were tried.
    """
    found = []
    for container in containers:
        kind = next((it for it in KINDS if _has(container, it.label)), _LABELLED if wanted else None)
        if kind and (not wanted or _has(container, wanted)) and _is_node(container, kind):
            cluster = container.labels.get(kind.cluster, "")
            context = f"{kind.name}-{cluster}" if cluster else ""
            found.append(Node(container.name, kind.name, container.state, context))
    if not found:
        labels = wanted or ", ".join(kind.label for kind in KINDS)
        raise RegistryError(
            f"No container of this engine is a node: none has a label {labels}.",
            cure="Name one that yours have: --label KEY=VALUE; docker ps --format '{{.Names}} {{.Labels}}' shows them",
        )
    return tuple(found)


def _has(container: ListedContainer, wanted: str) -> bool:
    key, value = label(wanted)
    return key in container.labels and (not value or container.labels[key] == value)


def _is_node(container: ListedContainer, kind: Kind) -> bool:
    return not kind.role or container.labels.get(kind.role, kind.roles[0]) in kind.roles


def wake_command(node: Node) -> str:
    """Return the command that starts a node again, even a paused one.

    Empty for a node that runs.
    """
    if node.state == "running":
        return ""
    return pasteable(["docker", "unpause" if node.state == "paused" else "start", node.name])


def kit_argv(kit: bytes, name: str, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that runs the kit in a container, with flags."""
    text = kit.decode()
    pieces = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
    return ("sh", "-c", RUN_KIT, "sh", name, str(len(pieces)), *pieces, *flags)


def shown_commands(node: str, kit: str, flags: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return commands to type that run a kit of this folder on a node."""
    return (
        ("docker", "cp", kit, f"{node}:/{kit}"),
        ("docker", "exec", "--user", "0", node, "sh", f"/{kit}", *flags),
        ("docker", "exec", "--user", "0", node, "rm", f"/{kit}"),
    )


def read_result(node: Node, runtime: str, ran: ExecResult) -> NodeResult:
    """Return the kit's result on a node, from exit status and last line."""
    said = _SAID.search(ran.out.rstrip())
    if said and said[1] != FAILED:
        return NodeResult(node, runtime, said[1], fine=ran.code == 0)
    errors = (line.removeprefix("error: ") for line in ran.err.splitlines() if line.startswith("error: "))
    reason = short(next(errors, ""))
    if not said:
        last = (ran.err.strip() or ran.out.strip()).splitlines()[-1:]
        reason = reason or "; ".join(["it ended before the kit was through", *map(short, last)])
    return failure(node, runtime, reason or "the kit does not say why")


def notes(ran: ExecResult) -> tuple[str, ...]:
    """Return the kit's notes on a node, for a person's attention; of too many the first."""
    found = [short(line.removeprefix("note: ")) for line in ran.err.splitlines() if line.startswith("note: ")]
    more = len(found) - _MOST_NOTES
    return (*found[:_MOST_NOTES], *([f"and {more} more notes, which are not shown"] if more > 0 else ()))


def short(line: str) -> str:
    """Return a node's line, cut where it is longer than any of the kit's."""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def failure(node: Node, runtime: str, reason: str) -> NodeResult:
    """Return the result of a node on which the run failed."""
    return NodeResult(node, runtime, FAILED, reason, fine=False)


# KEP-1755: a ConfigMap names the local registry to the cluster


def kubectl(context: str, *words: str) -> tuple[str, ...]:
    """Return a kubectl command for one cluster, with a timeout of 5 seconds."""
    return ("kubectl", "--context", context, "--request-timeout", "5s", *words)


def ask_config(context: str) -> tuple[str, ...]:
    """Return the command that prints the registry that a cluster names."""
    return kubectl(context, "get", *_NAMED, "--ignore-not-found", "--output", "json")


def publish(context: str) -> tuple[str, ...]:
    """Return the command that applies a manifest from standard input."""
    return kubectl(context, "apply", "--filename", "-")


def withdraw(context: str) -> tuple[str, ...]:
    """Return the command that removes the registry from a cluster."""
    return kubectl(context, "delete", *_NAMED)


def publish_by_hand(registry_host: str) -> tuple[str, ...]:
    """Return the command that names the registry in kubectl's current cluster."""
    return ("kubectl", "create", *_NAMED, f"--from-literal={KEY}={_hosting(registry_host)}")


def manifest(registry_host: str) -> str:
    """Return the ConfigMap as JSON, which is YAML too."""
    metadata = {"name": CONFIG_MAP, "namespace": NAMESPACE, "labels": _OURS}
    said = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {KEY: _hosting(registry_host, *_HOST_NAMES)},
    }
    return f"{json.dumps(said, indent=2)}\n"


def _hosting(registry_host: str, *more: str) -> str:
    return "\n".join(f"{name}: {json.dumps(registry_host)}" for name in ("host", *more))


def published(text: str) -> tuple[str, bool]:
    """Parse the output of `ask_config`.

    Returns:
        The registry that the cluster names, or "", and whether the entry is ours or absent.

    Raises:
        RegistryError: The output is not JSON of kubectl.
    """
    try:
        said: dict[str, Any] = json.loads(text) if text.strip() else {}
        labels = (said.get("metadata") or {}).get("labels") or {}
        host = re.search(r"^host:[ \t]*['\"]?([^'\"\s#]+)", (said.get("data") or {}).get(KEY, ""), re.MULTILINE)
    except (ValueError, AttributeError, TypeError) as error:
        raise RegistryError("kubectl did not print JSON.", cure="Look by hand: kubectl version") from error
    return host[1] if host else "", not said or labels.items() >= _OURS.items()
