"""A pod as its manifest has it, without a kubelet: its mounts, its user, its rights, its variables, its command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tests.kubernetes.objects import pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.kubernetes.objects import Object

GIVEN = ("HOME=/", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
"""Variables that a runtime gives to each container."""
KERNEL = (
    {"type": "proc", "source": "proc", "destination": "/proc", "options": ["nosuid", "noexec", "nodev"]},
    {"type": "tmpfs", "source": "tmpfs", "destination": "/dev", "options": ["nosuid", "strictatime", "mode=755"]},
)
"""File systems of the kernel's that a runtime gives to each container."""
NOTHING = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def script(controller: Object, image: str, held: Mapping[str, str], *, root: str = "", uid: str = "a") -> str:
    """Return a script that becomes the first process of a controller's pod, for `unshare --mount`.

    Args:
        controller: Deployment or DaemonSet.
        image: Folder with the image's files, among them setpriv.
        held: Folders with the files of the Secret and the ConfigMap, by the names of their volumes.
        root: The node's file system.
        uid: The pod's own id.
    """
    spec = pod(controller)
    (container,) = spec["containers"]
    own = {**spec.get("securityContext", {}), **container["securityContext"]}
    assert (own["capabilities"], spec["hostPID"]) == ({"drop": ["ALL"]}, True)
    assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
    user, group = own["runAsUser"], own.get("runAsGroup", 0)
    groups = f"--groups={own['fsGroup']}" if "fsGroup" in own else "--clear-groups"
    rights = (*NOTHING, f"--reuid={user}", f"--regid={group}", groups)
    variables = [f"{it['name']}={it.get('value', uid)}" for it in container["env"]]
    begin = ("env", "-i", *GIVEN, *variables, "chroot", image, "/usr/bin/setpriv", *rights, *container["command"])
    bound = (
        ("mount", "--rbind", image, image),
        *(("mkdir", "-p", f"{image}{it}") for it in ("/dev", "/proc")),
        ("mount", "--rbind", "/dev", f"{image}/dev"),
        ("mount", "--rbind", "/proc", f"{image}/proc"),
    )
    closed = ("mount", "-o", "remount,ro,bind", image)
    lines = [*bound, *_mounts(spec, container, image, held, root), closed, ("exec", *begin)]
    return "\n".join(["set -e", *map(shlex.join, lines)])


def runtime_spec(controller: Object, tree: str, held: Mapping[str, str], *, name: str, network: str) -> Object:
    """Return a controller's pod as a container of the OCI runtime specification, which every node's runtime takes.

    Args:
        controller: A Deployment whose pods have one container and no folder of the node.
        tree: Folder with the image's files.
        held: Folders with the files of the Secret, by the names of their volumes.
        name: The pod's name.
        network: Its network namespace.
    """
    spec = pod(controller)
    (container,) = spec["containers"]
    own = {**spec["securityContext"], **container["securityContext"]}
    groups = {"additionalGids": [own["fsGroup"]], "uid": own["runAsUser"], "gid": own["runAsGroup"]}
    given = [*GIVEN, *(f"{it['name']}={it['value']}" for it in container["env"])]
    assert own["capabilities"] == {"drop": ["ALL"]}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": groups,
            "args": container["command"],
            "env": given,
            "cwd": "/",
            "noNewPrivileges": not own["allowPrivilegeEscalation"],
        },
        "root": {"path": tree, "readonly": own["readOnlyRootFilesystem"]},
        "hostname": name,
        "mounts": [*KERNEL, *(_bind(it, held) for it in container["volumeMounts"])],
        "linux": {
            "namespaces": [
                *({"type": it} for it in ("pid", "ipc", "uts", "mount")),
                {"type": "network", "path": network},
            ],
            "resources": {
                "memory": {"limit": int(container["resources"]["limits"]["memory"].removesuffix("Mi")) << 20}
            },
            "cgroupsPath": f"/kubepods/{name}",
        },
    }


def _bind(mount: Object, held: Mapping[str, str]) -> Object:
    rights = "ro" if mount.get("readOnly") else "rw"
    source = held[mount["name"]]
    return {"type": "bind", "source": source, "destination": mount["mountPath"], "options": ["rbind", rights]}


def _mounts(
    spec: Object, container: Object, image: str, held: Mapping[str, str], root: str
) -> Iterator[tuple[str, ...]]:
    volumes = {it["name"]: it for it in spec["volumes"]}
    for mount in sorted(container["volumeMounts"], key=lambda it: str(it["mountPath"]).count("/")):
        host = volumes[mount["name"]].get("hostPath")
        source, target = f"{root}{host['path']}" if host else held[mount["name"]], f"{image}{mount['mountPath']}"
        if not host or host.get("type") == "DirectoryOrCreate":
            yield ("mkdir", "-p", source)
        if "subPath" in mount:
            source = f"{source}/{mount['subPath']}"
            yield ("mkdir", "-p", target.rpartition("/")[0])
            yield ("touch", target)
        elif not target.startswith(f"{image}/host/"):  # a node has what is mounted on its own
            yield ("mkdir", "-p", target)
        yield ("mount", "--rbind", source, target)
        if mount.get("readOnly"):
            yield ("mount", "-o", "remount,ro,bind", target)
