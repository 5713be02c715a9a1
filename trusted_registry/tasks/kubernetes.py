"""Manifests and a chart for a cluster that runs the registry, and whose nodes trust it."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

from trusted_registry import files, installation, values
from trusted_registry.bucket import opening
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.files import Write
from trusted_registry.images import reference
from trusted_registry.instance import roles
from trusted_registry.instance.model import Image
from trusted_registry.kubernetes import manifests
from trusted_registry.kubernetes.manifests import Cluster
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit
from trusted_registry.trust.remote import kit

PROGRAM = "registry"
"""Name of the registry's program, which is on PATH in the official images and in those that are made here."""
_NAMESPACE = re.compile(r"(?!default\Z|kube-)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_SIZE = re.compile(r"[1-9][0-9]{0,8}[MGT]i\Z")
"""A quantity of Kubernetes' in binary units, which storage does not round."""
_ROOM = "20Gi"
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_MOST = 100


def write(  # noqa: PLR0913 - the task has as many flags
    run: Run, *, out: str, replicas: str, size: str, namespace: str, image: str, mirrors: bool
) -> None:
    """Write manifests and a chart into a folder, by default one beside the certificates.

    Raises:
        SettingError: A flag's value cannot be used.
        RegistryError: There is no certificate, no mirror to tell of, or the folder cannot be written.
    """
    folder = run.settings.root / values.path("--out", out) if out else run.settings.folder / "kubernetes"
    told = (check_namespace(namespace), _check_replicas(run, replicas), check_image(image))
    before = manifests.size(folder)
    size = values.matching("--size", size or before or _ROOM, _SIZE, "one such as 20Gi")
    try:
        changed = save(load(run, *told, size=size, mirrors=mirrors), folder, run)
        done = f"{len(changed)} files written" if changed else "nothing changed"
        run.console.say(f"manifests: {done} in {folder}")
    except RegistryError as error:
        if not run.console.dry:
            raise
        run.console.say(f"manifests: {error.message}")
    run.console.say(f"{manifests.SECRET} has keys: git ignores it there, and nobody else may read it")
    if not run.settings.storage:
        run.console.say(f"images: a volume of the cluster, {size}, which goes with its namespace")
    elif before:
        run.console.say("images: in the bucket; those in the cluster's volume stay there, unseen")
    run.console.advise(["kubectl", "--context", "CLUSTER", "apply", "--kustomize", str(folder)])
    cluster = ["--kube-context", "CLUSTER", "--namespace", namespace, "--create-namespace"]
    run.console.advise(["helm", "upgrade", "--install", *cluster, "registry", str(folder / "chart")])


def check_namespace(text: str) -> str:
    """Return a namespace that can go with all that is in it.

    Raises:
        SettingError: It cannot, or the text is none.
    """
    return values.matching("--namespace", text, _NAMESPACE, "one of its own, of small letters, digits and -")


def check_image(text: str) -> str:
    """Return an image's name, or "" for the one that is set.

    Raises:
        SettingError: The text is none.
    """
    name, at, digest = text.partition("@")
    if (text and not reference.is_image(name)) or (at and not _DIGEST.fullmatch(digest)):
        raise SettingError(f"--image is {text!r}.", cure="Use one such as registry:3.")
    return text


def _check_replicas(run: Run, text: str) -> int:
    """Return a number of registries, two if none is given and a bucket has their images.

    Raises:
        SettingError: The text is none.
    """
    return values.whole_number("--replicas", text or ("2" if run.settings.storage else "1"), 1, _MOST)


def load(  # noqa: PLR0913 - all that makes one cluster another
    run: Run, namespace: str, replicas: int, image: str, *, size: str = "1Gi", mirrors: bool = False
) -> Cluster:
    """Return the registry of the settings, and the trust in it, for a cluster.

    Raises:
        SettingError: Several registries have no bucket for their images.
        RegistryError: There is no certificate, no bucket by that name, or no mirror to tell of.
    """
    settings = run.settings
    if replicas > 1 and not settings.storage:
        cure = "./inv registry.move --to s3://BUCKET/PREFIX"
        raise SettingError(f"{replicas} registries need their images in a bucket; a volume has one.", cure=cure)
    if settings.storage:
        opening.opened(settings)
    anchor = trust_kit.load_anchor(settings, dry=run.console.dry, mirrors=mirrors)
    installation.ensure(settings.folder, run.console)
    # With another beside, as behind a front, a registry that goes has all the time of a drain.
    behind = replace(settings, front=bool(settings.storage), metrics=0)
    instance = roles.tls(behind, Image(image or settings.image, ""), (PROGRAM,))
    if lacking := [it.name for it in instance.files if not it.content]:
        raise RegistryError(f"{', '.join(lacking)} is not in {settings.folder}.", cure="./inv up")
    host = settings.registry_host
    script = (kit.file_name(anchor, host), kit.render(anchor, host))
    return Cluster(namespace, replicas, size, instance, script, settings)


def save(cluster: Cluster, folder: Path, run: Run) -> list[Write]:
    """Write the files of a cluster that a folder lacks or has otherwise, and return them; a dry run writes none.

    Raises:
        SettingError: The folder has files of somebody else under these names.
    """
    wanted = manifests.render(cluster, folder)
    if name := manifests.others(folder, [it.path for it in wanted]):
        raise SettingError(f"{folder} has a {name} of its own.", cure=f"--out {folder / 'registry'}")
    changed = [it for it in wanted if not _is_written(it)]
    if not run.console.dry:
        files.carry_out([*changed])
    return changed


def _is_written(wanted: Write) -> bool:
    with files.explained(wanted.path, "read"):
        if not files.exists(wanted.path) or wanted.path.read_bytes() != wanted.content:
            return False
        return stat.S_IMODE(wanted.path.stat().st_mode) == wanted.mode
