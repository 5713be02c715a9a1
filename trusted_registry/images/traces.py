"""Traces of a proof in the registry's storage, taken away at once: no collection is needed for them."""

from __future__ import annotations

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images.listing import ROOT
from trusted_registry.instance.model import SHELL
from trusted_registry.registry.prove import REPOSITORY

_REMOVE = r"""cd "$1" && proof="repositories/$2" hex=$4 || exit
blob() {
    rest=${1#??}
    echo "blobs/sha256/${1%"$rest"}/$1"
}
parts=$(grep -o 'sha256:[0-9a-f]\{64\}' "$(blob "$hex")/data") || exit
rm -rf -- "$proof/_manifests/tags/$3" "$proof/_manifests/revisions/sha256/$hex"
for part in "sha256:$hex" $parts; do
    part=${part#sha256:}
    rm -rf -- "$(blob "$part")" "$proof/_layers/sha256/$part"
done
for folder in _layers/sha256 _layers _manifests/revisions/sha256 _manifests/revisions _manifests/tags _manifests \
    _uploads ''; do
    rmdir "$proof/$folder" 2>/dev/null
done
[ ! -e "$(blob "$hex")" ]"""
"""Folders go only when nothing is in them, since another proof may be under way; those that pushes share stay."""


def remove(reference: str, digest: str, container: str, engine: Engine) -> bool:
    """Remove an image that was made for a proof from the storage; return whether it is gone.

    Args:
        reference: The image.
        digest: Its manifest; nothing else needs what this names, since its content is random.
        container: The registry's container.
        engine: The engine that runs it.
    """
    algorithm, _, hexed = digest.partition(":")
    argv = [SHELL, "-c", _REMOVE, "sh", ROOT, REPOSITORY, reference.rpartition(":")[2], hexed]
    try:
        return algorithm == "sha256" and engine.execute(container, argv).code == 0
    except RegistryError:
        return False
