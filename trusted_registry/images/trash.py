"""Trash: images that were removed, until they come back or their bytes are freed.

A repository of the trash leads to all parts that go, so that a garbage collection keeps them; then the tags are moved
beside the storage, and the links of the manifests go. A record is written before anything moves, so the next run goes
on with a removal killed half way. Clients push meanwhile: each step looks first, and images that were pushed again
stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from trusted_registry.console import Console
from trusted_registry.images import removal as removals
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import TRASH, layer_path, path_of, revision_path
from trusted_registry.images.removal import Removal
from trusted_registry.images.storage import Change, Storage

_RECORD = "record.json"
_LARGEST = 10**6
"""Number of a removal that nobody comes to: who may push may call a repository as the trash is called."""


class Trash:
    """The trash of a running registry.

    Args:
        storage: The registry's storage.
        console: Where commands are shown.
    """

    def __init__(self, storage: Storage, console: Console) -> None:
        self._storage = storage
        self._console = console
        self.removals: list[Removal] = []
        self.unread: list[int] = []
        self.read()

    def read(self) -> None:
        """Read the removals, oldest first, and the numbers of those whose records are none.

        Raises:
            RegistryError: They cannot be listed.
        """
        records = self._storage.records()
        self.removals, self.unread = [], []
        for number, record in records:
            try:
                self.removals.append(removals.parse(number, record))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                self.unread += [int(number)] if re.fullmatch("[1-9][0-9]{0,8}", number) else []
        self.removals.sort(key=lambda it: it.number)

    def next_number(self, inventory: Inventory) -> int:
        """Return a number that no removal has, and no repository of the trash."""
        names = (it.removeprefix(f"{TRASH}/") for it in inventory.listing.repositories if it.startswith(f"{TRASH}/"))
        left = (int(it) for it in names if it.isdecimal() and int(it) < _LARGEST)
        return max([0, *self.unread, *left, *(it.number for it in self.removals)]) + 1

    def note(self, removal: Removal, state: str) -> Removal:
        """Write the record of a removal; a kill leaves the record before, or this one.

        Raises:
            RegistryError: The record cannot be written, on a full disk for example.
        """
        noted = replace(removal, state=state)
        self._run([("folder", noted.folder, "", "")])
        content = json.dumps(asdict(noted), separators=(",", ":")).encode()
        removals.parse(str(noted.number), content.decode())  # what could not be read again is not begun
        self._storage.write_own(f"{noted.repository}/{_RECORD}", content)
        return noted

    def take(self, removal: Removal) -> None:
        """Keep the parts that go from being collected, and move away the tags that are as they were when chosen."""
        # A collection looks for repositories by this folder alone.
        keep = [("folder", f"repositories/{removal.repository}/_layers", "", "")]
        keep += [_link(revision_path(removal.repository, it), it) for it in sorted(_all(removal.needed))]
        # In a bucket no folder is empty.
        blobs = _all(removal.blobs) or _all(removal.needed)
        keep += [_link(layer_path(removal.repository, it), it) for it in sorted(blobs)]
        # Each has a tag, as it may be somebody else's collection, which takes what has none.
        keep += [_link(_link_of(removal.repository, it), it) for it in sorted(_all(removal.needed))]
        self._run(keep, removal)
        self._run(_tags("untag", removal), removal)

    def unlink(self, removal: Removal, inventory: Inventory) -> None:
        """Have the registry give the manifests no more, those that nothing in an inventory of now needs.

        A repository in which nothing is left leaves the catalog.
        """
        stays = removal.needed_by(inventory)
        unlink = [
            ("unlink", revision_path(name, digest), f"{removal.folder}/links/{digest}", f"{pushed}")
            for name, some in removal.manifests.items()
            for digest, pushed in some.items()
            if (name, digest) not in stays
        ]
        self._run(unlink, removal)
        self._run([("clear", f"repositories/{name}", "", "") for name in removal.blobs], removal)

    def link(self, removal: Removal, inventory: Inventory) -> None:
        """Have the registry give those manifests again that something in an inventory of now needs."""
        stays = removal.needed_by(inventory)
        links = [_link(revision_path(*it), it[1]) for it in sorted(stays)]
        for name in removal.blobs:
            there = inventory.listing.repositories.get(name)
            digests = {
                *(there.revisions if there else ()),
                *(digest for repository, digest in stays if repository == name),
            }
            found = [inventory.manifests[it] for it in sorted(digests) if it in inventory.manifests]
            links += [_link(layer_path(name, blob.digest), blob.digest) for it in found for blob in it.blobs]
        self._run(dict.fromkeys(links), removal)

    def give_back(self, removal: Removal) -> None:
        """Restore the removed images, but for tags that were pushed again since."""
        blobs = {name: some or removal.needed.get(name, ()) for name, some in removal.blobs.items()}
        links = [_link(layer_path(name, it), it) for name, some in blobs.items() for it in some]
        links += [_link(revision_path(name, it), it) for name, some in removal.needed.items() for it in some]
        self._run(links, removal)
        self._run(_tags("tag", removal), removal)

    def let_go(self, removal: Removal) -> None:
        """Keep the contents no more: the next collection frees those that nothing else needs."""
        folders = (f"repositories/{removal.repository}", f"{removal.folder}/tags", f"{removal.folder}/links")
        self._run([("remove", it, "", "") for it in folders], removal)

    def forget(self, removal: Removal) -> None:
        """Take the record away, after all else."""
        self._run([("remove", removal.folder, "", "")], removal)

    def _run(self, steps: Iterable[Change], removal: Removal | None = None) -> None:
        """Take steps in the registry's storage, while the record of a removal still has the same state.

        Raises:
            RegistryError: One cannot be taken, or the storage is out of reach.
        """
        record, state = (f"{removal.repository}/{_RECORD}", removal.state) if removal else ("", "")
        self._storage.change(steps, self._console, record=record, state=state)


def _all(named: Mapping[str, Iterable[str]]) -> set[str]:
    return {digest for some in named.values() for digest in some}


def _tags(verb: str, removal: Removal) -> list[Change]:
    """Return the steps that move tags, with digest and time as they were when they were chosen."""
    return [
        (verb, _tag_path(name, tag), _aside(removal, name, tag), f"{digest} {pushed}")
        for name, tags in removal.tags.items()
        for tag, (digest, pushed) in tags.items()
    ]


def _link(path: str, digest: str) -> Change:
    """Return the step that writes a link, unless there is one, to a content that is there."""
    return "link", path, digest, path_of(digest)


def _tag_path(repository: str, tag: str) -> str:
    return f"repositories/{repository}/_manifests/tags/{tag}"


def _link_of(repository: str, digest: str) -> str:
    """Return the link of a tag that is called as its digest."""
    return f"{_tag_path(repository, digest.partition(':')[2])}/current/link"


def _aside(removal: Removal, repository: str, tag: str) -> str:
    """Return where a tag is kept; no part of a repository's name begins with an underscore."""
    return f"{removal.folder}/tags/{repository}/_tags/{tag}"
