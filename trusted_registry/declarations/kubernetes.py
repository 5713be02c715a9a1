"""A cluster that runs the registry, and whose nodes trust it."""

from __future__ import annotations

from trusted_registry.declarations.flag import MIRRORS, THIS_REGISTRY, Flag
from trusted_registry.declarations.task import Task

IMAGE = Flag("image", "Image of the registry, with a shell; the one that is set by default.")

manifests = Task(
    "kubernetes.manifests",
    "Write manifests and a chart for a cluster.",
    "kubernetes.write",
    *THIS_REGISTRY,
    Flag("out", "Folder to write into, instead of certs/kubernetes.", value="FOLDER"),
    Flag("replicas", "Registries side by side, two by default; one if no bucket has the images.", value="NUMBER"),
    Flag("size", "Size of the volume that has the images, if no bucket has them: 20Gi, or as before."),
    Flag("namespace", "Namespace, which has nothing else in it.", "trusted-registry"),
    IMAGE,
    MIRRORS,
    example="./inv kubernetes.manifests --replicas 3",
)
check = Task(
    "kubernetes.check",
    "Prove the manifests on a cluster, and remove them.",
    "kubernetes_check.check",
    *THIS_REGISTRY,
    Flag("context_", "The cluster, by its name in kubectl's configuration.", value="NAME"),
    Flag("namespace", "A namespace that the cluster does not have.", value="NAME"),
    IMAGE,
    example="./inv kubernetes.check --context kind-dev --namespace registry-check",
)
