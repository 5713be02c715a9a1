"""Images in memory, those of registries elsewhere too: the part of the fake engine that needs no container."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import defaultdict
from typing import TYPE_CHECKING

from trusted_registry.engine.types import EngineInfo
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import OFFICIAL_ENTRYPOINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from trusted_registry.registry.users import Login

IMAGE = "registry:3"
INFO = EngineInfo("a stand-in", "28", "", rootless=False, store="classic", insecure=(), desktop=False)


def sha256(content: str) -> str:
    """Return an id of an image, or a digest."""
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def refused(what: str, reason: str) -> RegistryError:
    """Return the error of an engine that refuses."""
    return RegistryError(f"{what}: {reason}", cure="./inv status shows what is there.")


class FakeImages:
    """Ids of images by their names, here and at registries elsewhere; `done` keeps the changes in their order."""

    def __init__(self, images: Iterable[str] = (), remote: Iterable[str] = ()) -> None:
        self.available = True
        self.connect_error: RegistryError | None = None
        self.said = INFO
        self.done: list[str] = []
        self.images = {name: sha256(name) for name in images}
        self.remote = {name: sha256(name) for name in remote}
        self.content: dict[str, str] = {}
        """What images can do that can do what another one can, by their ids."""
        self.layers: dict[str, bytes] = {}
        """What each image was made of that was imported, by its id."""
        self.starts: tuple[str, ...] = OFFICIAL_ENTRYPOINT
        """Entrypoint of each image."""
        self.refusal = ""
        """Reason of registries to refuse a push or a pull."""

    def info(self, *, fresh: bool = False) -> EngineInfo:  # noqa: ARG002 - nothing here can be stale
        self._require()
        return self.said

    def _require(self) -> None:
        if not self.available:
            raise self.connect_error or RegistryError("No Docker Engine answers.", cure="./inv engine")

    def _images_in_use(self) -> set[str]:
        return set()

    def image_id(self, reference: str) -> str | None:
        return reference if reference in self.images.values() else self.images.get(reference)

    def image_content(self, reference: str) -> str | None:
        found = self.image_id(reference)
        return self.content.get(found, found) if found else None

    def image_digest(self, reference: str) -> str | None:
        name = next((name for name in self.remote if self.remote[name] == self.image_id(reference)), None)
        return f"{name.rpartition(':')[0]}@{_digest(self.remote[name])}" if name else None

    def has_image(self, reference: str) -> bool:
        return self.image_id(reference) is not None

    def entrypoint(self, reference: str, *, shell: bool = False) -> tuple[str, ...]:  # noqa: ARG002 - as it is set
        return self.starts if self.has_image(reference) else ()

    def pull(self, reference: str, login: Login | None = None) -> str | None:  # noqa: ARG002 - everybody may
        self.done.append(f"pull {reference}")
        if self.refusal or reference not in self.remote:
            raise refused(f"Pulling {reference} failed", self.refusal or "no such host")
        return self._pull(reference)

    def try_pull(self, reference: str) -> None:
        if self.refusal or reference not in self.remote:
            raise RegistryError(self.refusal or "manifest unknown", cure="")
        self._pull(reference)

    def _pull(self, reference: str) -> str:
        self._require()
        self.images[reference] = self.remote[reference]
        return _digest(self.remote[reference])

    def push(self, reference: str, login: Login | None = None) -> str | None:  # noqa: ARG002 - everybody may
        self._require()
        self.done.append(f"push {reference}")
        if self.refusal or reference not in self.images:
            raise refused(f"Pushing {reference} failed", self.refusal or "An image does not exist locally")
        self.remote[reference] = self.images[reference]
        return _digest(self.images[reference])

    def save(self, reference: str) -> Iterator[bytes]:
        self._require()
        self.done.append(f"save {reference}")
        yield f"{reference}, saved".encode()

    def load(self, archive: Path) -> list[str]:
        self._require()
        self.done.append(f"load {archive.name}")
        try:
            with tarfile.open(archive) as tar:
                manifest = tar.extractfile("manifest.json")
                names: list[str] = json.loads(manifest.read() if manifest else "")[0]["RepoTags"]
        except (OSError, tarfile.TarError, KeyError, ValueError) as error:
            raise refused(f"{archive} is not an archive of images", str(error)) from error
        self.images |= {name: sha256(name) for name in names}
        return names

    def import_image(
        self,
        reference: str,
        tar: bytes,
        changes: Iterable[str] = (),
        *,
        typed: Sequence[str] = (),  # noqa: ARG002 - it has no console
    ) -> str:
        self._require()
        self.done.append(f"import {reference}")
        made = self.images[reference] = sha256(repr((tar, *changes)))
        self.content[made] = sha256(repr((tar, *(it for it in changes if not it.startswith("LABEL ")))))
        self.layers[made] = tar
        return made

    def tag(self, image: str, reference: str) -> None:
        self._require()
        self.done.append(f"tag {reference}")
        found = self.image_id(image)
        if found is None:
            raise refused(f"{image} could not be tagged", f"No such image: {image}")
        self.images[reference] = found

    def untag(self, reference: str) -> None:
        self._require()
        self.done.append(f"untag {reference}")
        names: dict[str, list[str]] = defaultdict(list)
        for name, id_ in self.images.items():
            names[id_].append(name)
        goes = names.get(reference) or [it for it in (reference,) if it in self.images]
        if goes and (id_ := self.images[goes[0]]) in self._images_in_use() and len(goes) == len(names[id_]):
            raise refused(f"{reference} could not be removed", "image is being used by a container")
        for name in goes:
            del self.images[name]


def _digest(image: str) -> str:
    return sha256(f"manifest of {image}")
