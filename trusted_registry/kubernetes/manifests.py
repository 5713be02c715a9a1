"""Manifests of a cluster by kustomize's layout, and a chart of Helm: the same templates, in which the chart has names.

No value that reaches a template has two braces, which Helm would read: files are in Base64, all others were checked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import address, files, templates
from trusted_registry.files import PRIVATE_FILE, PUBLIC_FILE, Write
from trusted_registry.instance.model import DRAIN_SECONDS, FILES_FOLDER, IMAGES_FOLDER, LINGER_SECONDS, PORT, Instance
from trusted_registry.settings import Settings
from trusted_registry.trust.remote import kit as kits
from trusted_registry.trust.remote import nodes

USER = 65534
"""User and group of the registry's pods: nobody."""
PAUSE_SECONDS = 5
"""Seconds for which a pod that ends takes new connections; until then some node may lead them there."""
LOOK_SECONDS = 60
"""Seconds between two looks at a node's trust."""
NODE_PORTS = range(30000, 32768)
"""Ports that a cluster opens on its nodes, by default (kubernetes.io, "Service", type NodePort)."""

SECRET = "secret.yaml"  # noqa: S105 - a file's name
HOSTING = "hosting.yaml"
OBJECTS = (SECRET, "registry.yaml", "trust.yaml", HOSTING)
FILES = ("namespace.yaml", *OBJECTS)
_SHOWN = ("kustomization.yaml", *FILES)
_IGNORED = f"# These have keys.\n{SECRET}\n"
_MARKS = {".gitignore": _IGNORED, "kustomization.yaml": "# kubectl apply --kustomize applies these"}
"""Beginnings of files that a folder of manifests has, and by which one of somebody else's is known."""
_SIZE = re.compile(r'^size: "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Cluster:
    """A registry in a cluster, and the trust of its nodes.

    Args:
        namespace: Namespace of all objects but the ConfigMap of KEP-1755.
        replicas: Registries side by side: one, unless a bucket has the images.
        size: Size of the volume that has them otherwise, as Kubernetes writes quantities.
        instance: The registry as one container.
        kit: Name and content of the kit.
        settings: The registry's names, its port, and the seconds of a drain.
    """

    namespace: str
    replicas: int
    size: str
    instance: Instance
    kit: tuple[str, bytes]
    settings: Settings

    @property
    def drain(self) -> int:
        """Seconds that a registry that is to end has for its transfers; one with a volume lets its successor wait."""
        return self.settings.drain if self.settings.storage else DRAIN_SECONDS

    @property
    def changeable(self) -> dict[str, str]:
        """Values that a chart's user may change, as JSON."""
        found = {"image": self.instance.image.name, "service": _service(self.settings)}
        more = {"replicas": self.replicas} if self.settings.storage else {"size": self.size}
        return {name: json.dumps(value) for name, value in {**more, **found}.items()}


def _service(settings: Settings) -> dict[str, object]:
    """Return a Service by which clients reach a registry at the address and port of its certificate."""
    port: dict[str, object] = {"name": "https", "port": settings.port, "targetPort": "https"}
    kind: dict[str, object] = {"type": "LoadBalancer"}
    if settings.port in NODE_PORTS:
        kind, port = {"type": "NodePort"}, {**port, "nodePort": settings.port}
    elif address.is_ip(settings.address):
        kind["loadBalancerIP"] = settings.address
    selector = {"app.kubernetes.io/name": "registry"}
    return {**kind, "ipFamilyPolicy": "PreferDualStack", "selector": selector, "ports": [port]}


def render(cluster: Cluster, folder: Path) -> list[Write]:
    """Return the files of a folder: manifests, a chart of the same objects, and the names that git is to ignore."""
    fixed, chart = _fixed(cluster), folder / "chart"
    plain = {**fixed, **cluster.changeable, "namespace": json.dumps(cluster.namespace)}
    named = {name: f"{{{{ .Values.{name} | toJson }}}}" for name in cluster.changeable}
    charted = {**fixed, **named, "namespace": "{{ .Release.Namespace | toJson }}"}
    values = "".join(f"{name}: {value}\n" for name, value in cluster.changeable.items())
    return [
        Write(folder / ".gitignore", _IGNORED.encode()),
        *(_write(folder, name, plain) for name in _SHOWN),
        _write(chart, "Chart.yaml", {}),
        Write(chart / "values.yaml", values.encode()),
        *(_write(chart / "templates", name, charted) for name in OBJECTS),
    ]


def _write(folder: Path, name: str, values: Mapping[str, object]) -> Write:
    content = templates.render(f"kubernetes/{name}", **values)
    return Write(folder / name, content.encode(), PRIVATE_FILE if name == SECRET else PUBLIC_FILE)


def _fixed(cluster: Cluster) -> dict[str, object]:
    """Return the values of templates that manifests and chart have in common."""
    instance, drain, (name, script) = cluster.instance, cluster.drain, cluster.kit
    kit = {"keep.sh": keep_script(), name: script}
    return {
        "files": {it.name: _base64(it.content) for it in instance.files},
        # Users count at once in the pods that run.
        "files_sum": _sum({it.name: it.content for it in instance.files if not it.immediate}),
        "kit": {name: _base64(content) for name, content in kit.items()},
        "kit_sum": _sum(kit),
        "kit_name": name,
        "keeper": name.rpartition("-")[2],
        "record": kits.FOLDER,
        "user": USER,
        "pause": PAUSE_SECONDS,
        "drain": drain,
        "grace": PAUSE_SECONDS + drain + LINGER_SECONDS + 2,
        "command": json.dumps(["/bin/sh", *instance.command]),
        "environment": json.dumps([{"name": name, "value": value} for name, value in instance.environment]),
        "inner": PORT,
        "memory": f"{instance.memory.removesuffix('m')}Mi",
        "folder": FILES_FOLDER,
        "images": "" if cluster.settings.storage else IMAGES_FOLDER,
        "replicas": cluster.replicas,
        "hosting": nodes.manifest(cluster.settings.registry_host).rstrip("\n"),
    }


def others(folder: Path, wanted: Iterable[Path]) -> str:
    """Return the name of a file in a folder that is somebody else's and would be written over; "" for none.

    Args:
        folder: The folder.
        wanted: Paths of all that would be written there.
    """
    with files.explained(folder, "read"):
        marked = {folder / name: mark.encode() for name, mark in _MARKS.items()}
        there = [it for it in wanted if files.exists(it)]
        ours = folder / "kustomization.yaml" in there
        foreign = (it for it in there if not (it.read_bytes().startswith(marked[it]) if it in marked else ours))
        return next((str(it.relative_to(folder)) for it in foreign), "")


def size(folder: Path) -> str:
    """Return the size of the volume that a folder's manifests ask for; "" if they ask for none, or are not there."""
    values = folder / "chart" / "values.yaml"
    with files.explained(folder, "read"):
        found = _SIZE.search(values.read_text(errors="replace")) if files.exists(values) else None
    return found[1] if found else ""


def keep_script() -> bytes:
    """Return the script that keeps a node's trust."""
    return templates.render("kubernetes/keep.sh", seconds=LOOK_SECONDS).encode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _sum(contents: Mapping[str, bytes]) -> str:
    listed = [(name, hashlib.sha256(content).hexdigest()) for name, content in contents.items()]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]
