"""Objects of a cluster, as tests look at them: read from a folder, named by kind and name, compared with each other."""

from __future__ import annotations

import base64
import copy
import dataclasses
import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.conftest import ADDRESS, ROOT
from tests.recorder import Recorder
from tests.trust import sample
from trusted_registry.defaults import DEFAULTS
from trusted_registry.instance import roles
from trusted_registry.instance.model import File, Image
from trusted_registry.kubernetes import manifests
from trusted_registry.kubernetes.manifests import Cluster
from trusted_registry.settings import load
from trusted_registry.tasks import kubernetes
from trusted_registry.trust.remote import kit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trusted_registry.run import Run

Object = dict[str, Any]
FOLDER = Path("/manifests")
RENDER = """
import json, sys, helm_python
path, namespace, values = sys.argv[1:]
with helm_python.Chart.load(path) as chart:
    rendered = chart.render(json.loads(values), name="registry", namespace=namespace)
print(json.dumps([rendered, helm_python.lint(path, strict=True)["messages"]]))
"""
"""Helm in a process of its own: a library in Go keeps threads for as long as its process lives."""


@dataclass
class Made:
    """Manifests that a run writes."""

    run: Run

    @property
    def folder(self) -> Path:
        """The folder that they are in."""
        return self.run.settings.folder / "kubernetes"

    @property
    def console(self) -> Recorder:
        """What the run said."""
        assert isinstance(self.run.console, Recorder)
        return self.run.console

    def write(self, **given: Any) -> Made:  # noqa: ANN401 - flags of each type
        """Write them, with the flags that are given."""
        flags = {"out": "", "replicas": "", "size": "", "namespace": "registry", "image": "", "mirrors": False}
        kubernetes.write(self.run, **{**flags, **given})
        return self

    @property
    def plain(self) -> dict[str, Object]:
        """The objects of the manifests."""
        return named(read((self.folder / name).read_text() for name in manifests.FILES))

    def chart(self, namespace: str = "registry", /, **values: object) -> tuple[dict[str, Object], list[Object]]:
        """Return the objects that Helm renders of the chart, and its complaints."""
        argv = [sys.executable, "-c", RENDER, str(self.folder / "chart"), namespace, json.dumps(values)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
        rendered, complaints = json.loads(done.stdout)
        return named(read(rendered.values())), complaints


def cluster(**given: str) -> Cluster:
    """Return a registry of settings whose files stay the same, so that whole texts can be compared."""
    bucket = {"storage": "s3://images/lan", "storage_endpoint": "https://192.168.0.9:8333"}
    flags = {f"registry.{name}": value for name, value in {"address": ADDRESS, **bucket, **given}.items()}
    settings = load(DEFAULTS, root=FOLDER, find_address=str, flags=flags)
    instance = roles.tls(settings, Image("registry:3", ""), (kubernetes.PROGRAM,))
    read = tuple(File(it.name, it.source, f"{it.name} here".encode(), immediate=it.immediate) for it in instance.files)
    anchor = sample.anchor()
    script = (kit.file_name(anchor, ADDRESS), kit.render(anchor, ADDRESS))
    return Cluster("registry", 2, "20Gi", dataclasses.replace(instance, files=read), script, settings)


@functools.cache
def texts(**given: str) -> dict[str, str]:
    """Return the files of the manifests of a registry of such settings."""
    return {str(it.path.relative_to(FOLDER)): it.content.decode() for it in manifests.render(cluster(**given), FOLDER)}


def text(name: str) -> str:
    """Return a file of the manifests of that registry."""
    return texts()[name]


@functools.cache
def plain() -> dict[str, Object]:
    """Return the objects of its manifests."""
    return named(read(text(name) for name in manifests.FILES))


def read(texts: Iterable[str]) -> list[Object]:
    """Return the objects of YAML texts."""
    return [it for text in texts for it in YAML(typ="safe").load_all(text)]


def named(objects: Iterable[Object]) -> dict[str, Object]:
    """Return objects by kind and name."""
    return {f"{it['kind']}/{it['metadata']['name']}": it for it in objects}


def decoded(held: Object) -> dict[str, bytes]:
    """Return the files of a Secret or a ConfigMap."""
    files: Mapping[str, str] = held.get("data" if held["kind"] == "Secret" else "binaryData", {})
    return {name: base64.b64decode(text) for name, text in files.items()}


def pod(controller: Object) -> Object:
    """Return the specification of a controller's pods."""
    found: Object = controller["spec"]["template"]["spec"]
    return found


def changed(object_: Object, path: str, value: object) -> Object:
    """Return an object with another value at a path, such as spec.ports.0.port; None takes that away."""
    made = copy.deepcopy(object_)
    *way, last = [int(it) if it.isdigit() else it for it in path.split(".")]
    at: Any = made
    for step in way:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return made


def fault(object_: Object, version: str) -> str:
    """Return the fault of an object by the strict schema of a version of Kubernetes; "" for none."""
    import kubernetes_validate as schemas  # here, as sessions that only collect this test have no such package

    try:
        assert schemas.validate(object_, version, strict=True) == version
    except (schemas.ValidationError, schemas.SchemaNotFoundError) as error:
        return str(error.message)
    return ""


def broken(objects: Mapping[str, Object]) -> list[str]:
    """Return what no schema sees: a name or a label in one object that leads to nothing in the others."""
    return sorted({*_unselected(objects), *_unmounted(objects)})


def _controllers(objects: Mapping[str, Object]) -> list[Object]:
    return [it for it in objects.values() if it["kind"] in {"Deployment", "DaemonSet"}]


def _unselected(objects: Mapping[str, Object]) -> Iterator[str]:
    labelled = [it["spec"]["template"] for it in _controllers(objects)]
    for name, it in objects.items():
        wanted = it.get("spec", {}).get("selector")
        if wanted is None:
            continue
        wanted = wanted.get("matchLabels", wanted)
        own = [it["spec"]["template"]] if it in _controllers(objects) else labelled
        chosen = [pods for pods in own if pods["metadata"]["labels"].items() >= wanted.items()]
        if len(chosen) != 1:
            yield f"{name} selects nothing"
        ports = {port["name"] for pods in chosen for one in pods["spec"]["containers"] for port in one.get("ports", ())}
        if it["kind"] == "Service" and not {port["targetPort"] for port in it["spec"]["ports"]} <= ports:
            yield f"{name} leads to no port"


def _unmounted(objects: Mapping[str, Object]) -> Iterator[str]:
    for it in _controllers(objects):
        held = {volume["name"]: volume for volume in pod(it)["volumes"]}
        mounts = [mount for one in pod(it)["containers"] for mount in one["volumeMounts"]]
        if {mount["name"] for mount in mounts} != {*held}:
            yield f"{it['metadata']['name']} mounts other volumes than it has"
        for volume in held.values():
            source = {
                "Secret": volume.get("secret", {}).get("secretName"),
                "ConfigMap": volume.get("configMap", {}).get("name"),
                "PersistentVolumeClaim": volume.get("persistentVolumeClaim", {}).get("claimName"),
            }
            wanted = {f"{kind}/{name}" for kind, name in source.items() if name}
            if not wanted <= {*objects}:
                yield f"{it['metadata']['name']} mounts what is not there"
