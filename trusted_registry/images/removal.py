"""Removal: images that were removed together, as a record beside the storage keeps them until their bytes are freed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trusted_registry.images import reference
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import TRASH
from trusted_registry.images.manifest import is_digest, json_object
from trusted_registry.images.retention import Plan
from trusted_registry.instance.model import IMAGES_FOLDER

REMOVED, GOING, COMING, ENDING = "removed", "going", "coming", "ending"
"""States of a removal: done; under way; being undone; and given up, so that its bytes can be freed."""

_LARGEST = 1 << 60


@dataclass(frozen=True)
class Removal:
    """Images that were removed together.

    Args:
        number: Its number; the next removal has the next one.
        when: Time in seconds since the epoch.
        state: Stage of the removal.
        images: References to the images that went: tags, and manifests that only a digest named.
        tags: Digests of the tags that went and seconds since the epoch of their pushes, by repository and tag.
        manifests: Digests of the manifests that went and seconds since the epoch of their pushes, by repository.
        blobs: Digests of the configurations and layers that they need, by repository.
        needed: Digests of all manifests that the images which went lead to, by repository.
        frees: Bytes on the disk that are freed in the end.
    """

    number: int
    when: float
    state: str
    images: tuple[str, ...] = ()
    tags: Mapping[str, Mapping[str, tuple[str, int]]] = field(default_factory=dict)
    manifests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    blobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frees: int = 0

    @property
    def repository(self) -> str:
        """Repository that leads a garbage collection to the contents to keep."""
        return f"{TRASH}/{self.number}"

    @property
    def folder(self) -> str:
        """Folder beside the storage."""
        return f"{IMAGES_FOLDER}/{self.repository}"

    def needed_by(self, inventory: Inventory) -> set[tuple[str, str]]:
        """Return repository and digest of those manifests that something in an inventory of now needs."""
        stays: set[tuple[str, str]] = set()
        for name, some in self.manifests.items():
            repository = inventory.listing.repositories.get(name)
            named = {it.digest for it in inventory.images if it.repository == name and it.is_tagged}
            revisions = repository.revisions.items() if repository else ()
            named |= {it for it, entry in revisions if it not in some or entry.changed not in {0, some[it]}}
            needed = {digest for it in named if it for digest in inventory.needed(it)}
            stays |= {(name, it) for it in some if it in needed}
        return stays


def of(plan: Plan, inventory: Inventory, *, number: int, when: float) -> Removal:
    """Return the removal of the images that go by a plan."""
    tags: dict[str, dict[str, tuple[str, int]]] = {}
    led: dict[str, set[str]] = {}
    for image in plan.goes:
        led.setdefault(image.repository, set()).update(inventory.needed(image.digest) & inventory.manifests.keys())
        if image.is_tagged:
            tags.setdefault(image.repository, {})[image.name] = image.digest, image.pushed
    pushed = {name: inventory.listing.repositories[name].revisions for name in plan.manifests}
    manifests = {name: {it: pushed[name][it].changed for it in sorted(some)} for name, some in plan.manifests.items()}
    blobs = {name: _blobs(name, some, inventory) for name, some in led.items()}
    needed = {name: tuple(sorted(some)) for name, some in led.items()}
    images = tuple(reference.joined(it.repository, it.name) for it in plan.goes)
    return Removal(number, when, GOING, images, tags, manifests, blobs, needed, plan.frees)


def _blobs(name: str, manifests: Iterable[str], inventory: Inventory) -> tuple[str, ...]:
    """Return the configurations and layers of manifests, those that their repository knows."""
    known = inventory.listing.repositories[name].layers
    found = {blob.digest for digest in manifests for blob in inventory.manifests[digest].blobs}
    return tuple(sorted({inventory.aliases.get(it, it) for it in found if it in known}))


def parse(number: str, record: str) -> Removal:
    """Return a removal from its record.

    Raises:
        ValueError: The record is of no removal: whoever has the volume may have written there.
    """
    found = json_object(record.encode())
    if str(found.get("number")) != number or found.get("state") not in {REMOVED, GOING, COMING, ENDING}:
        raise ValueError(record)
    tags = {_name(name): dict(map(_tag, some.items())) for name, some in found["tags"].items()}
    manifests = {_name(name): dict(map(_manifest, some.items())) for name, some in found["manifests"].items()}
    blobs, needed = (
        {_name(name): tuple(map(_digest, some)) for name, some in found[key].items()} for key in ("blobs", "needed")
    )
    when, frees = float(_number(found["when"])), int(_number(found["frees"]))
    images = tuple(map(_reference, found["images"]))
    return Removal(int(found["number"]), when, found["state"], images, tags, manifests, blobs, needed, frees)


def _name(found: str) -> str:
    if not reference.is_repository(found):
        raise ValueError(found)
    return found


def _reference(found: str) -> str:
    if not reference.is_reference(found):
        raise ValueError(found)
    return found


def _manifest(found: tuple[object, object]) -> tuple[str, int]:
    digest, pushed = found
    return _digest(digest), int(_number(pushed))


def _number(found: object) -> Any:  # noqa: ANN401 - a number
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found < _LARGEST:
        raise ValueError(found)
    return found


def _digest(found: object) -> str:
    if not isinstance(found, str) or not is_digest(found):
        raise ValueError(found)
    return found


def _tag(found: tuple[str, Any]) -> tuple[str, tuple[str, int]]:
    name, (digest, pushed) = found
    if not reference.is_tag(name):
        raise ValueError(name)
    return name, (_digest(digest), int(_number(pushed)))
