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
    assert own["capabilities"] == {"drop": ["ALL"]}
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


def engine_flags(controller: Object, held: str) -> list[str]:
    """Return what `docker run` takes to run a controller's pod: flags, image, and the arguments of its command.

    Args:
        controller: A Deployment whose pods mount one Secret and no folder of the node.
        held: Folder with the files of the Secret.
    """
    spec = pod(controller)
    (container,) = spec["containers"]
    shared, own = spec["securityContext"], container["securityContext"]
    assert (own["capabilities"], own["readOnlyRootFilesystem"]) == ({"drop": ["ALL"]}, True)
    (mount,) = container["volumeMounts"]
    program, *arguments = container["command"]
    user = f"--user={shared['runAsUser']}:{shared['runAsGroup']}"
    rights = [user, f"--group-add={shared['fsGroup']}", "--read-only", "--cap-drop=ALL"]
    rights += [
        "--security-opt=no-new-privileges",
        f"--memory={container['resources']['limits']['memory'][:-1].lower()}",
    ]
    given = [f"--env={it['name']}={it['value']}" for it in container["env"]]
    return [
        *rights,
        *given,
        f"--volume={held}:{mount['mountPath']}:ro",
        f"--entrypoint={program}",
        container["image"],
        *arguments,
    ]


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
