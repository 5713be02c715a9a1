"""Trash: images that were removed, until they come back or their bytes are freed.

A repository of the trash leads to what goes first, so that a collection keeps it; then its tags are moved beside the
storage, and the links of its manifests go. A record is written before anything moves, so the next run goes on with
what was killed half way. Each step of the shell looks again first, since clients push meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trusted_registry.console import Console
from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import ROOT
from trusted_registry.images.manifest import json_object
from trusted_registry.images.retention import Plan
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL, File

NAME = "trusted-registry-trash"
"""Folder beside the storage with one for each removal, and first part of the repositories that keep the contents."""

REMOVED, GOING, COMING = "removed", "going", "coming"
"""States of a removal: done; under way; and being undone."""

_RECORD = "record.json"
_NEW = f"{_RECORD}.new"
_READ = """cd "$1" 2>/dev/null || exit 0
for record in */record.json; do
    [ ! -e "$record" ] || { cat -- "$record"; echo; }
done"""
_STEPS = 500
"""Steps of one run of the shell."""

_SHELL = """cd "$1" && beside=$2 && shift 2 || exit
link() {
    [ -s "$1" ] || { mkdir -p -- "${1%/*}" && printf %s "$2" >"$1.tmp" && mv -- "$1.tmp" "$1"; }
}
names() {
    for tag in "$1"/_manifests/tags/*/current/link; do
        if [ "$(cat -- "$tag" 2>/dev/null)" = "$2" ]; then return; fi
    done
    return 1
}
while [ $# -gt 0 ]; do
    case $1 in
    link) link "$2" "$3" ;;
    untag)
        if [ "$(cat -- "$2/current/link" 2>/dev/null)" = "$4" ]; then
            mkdir -p -- "$beside/${3%/*}" && rm -rf -- "$beside/$3" && mv -- "$2" "$beside/$3"
        fi
        ;;
    unlink) names "${2%/_manifests/revisions/*}" "$3" || rm -rf -- "${2%/link}" ;;
    tag) [ -e "$2" ] || [ ! -e "$beside/$3" ] || { mkdir -p -- "${2%/*}" && mv -- "$beside/$3" "$2"; } ;;
    forget) rm -rf -- "$2" ;;
    folder) mkdir -p -- "$2" ;;
    rename) mv -- "$2" "$3" ;;
    esac || exit
    shift 4
done
echo taken"""


@dataclass(frozen=True)
class Removal:
    """Images that were removed together.

    Args:
        number: Its number; the next removal has the next one.
        when: Time in seconds since the epoch.
        state: How far it is.
        tags: Digests of the tags that went, by repository and tag.
        manifests: Digests of the manifests that went, by repository.
        blobs: Digests of all that they need, by repository.
        frees: Bytes on the disk that are freed in the end.
    """

    number: int
    when: float
    state: str
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    manifests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frees: int = 0

    @property
    def repository(self) -> str:
        """Repository that leads a garbage collection to what it keeps."""
        return f"{NAME}/{self.number}"

    @property
    def folder(self) -> str:
        """Folder beside the storage."""
        return f"{IMAGES_FOLDER}/{NAME}/{self.number}"


def of(plan: Plan, inventory: Inventory, *, number: int, when: float) -> Removal:
    """Return the removal of what a plan says."""
    tags: dict[str, dict[str, str]] = {}
    for image in plan.goes:
        if image.is_tagged:
            tags.setdefault(image.repository, {})[image.name] = image.digest
    manifests = {name: tuple(sorted(some)) for name, some in plan.manifests.items()}
    return Removal(number, when, GOING, tags, manifests, _blobs(manifests, inventory), plan.frees)


def _blobs(manifests: Mapping[str, Iterable[str]], inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """Return the configurations and layers that manifests need, by repository, those that it has."""
    found = {}
    for name, some in manifests.items():
        known = inventory.listing.repositories[name].layers
        blobs = {blob.digest for digest in some for blob in inventory.manifests[digest].blobs if blob.digest in known}
        found[name] = tuple(sorted(blobs))
    return found


def _parse(line: bytes) -> Removal:
    """Return a removal from its record.

    Raises:
        RegistryError: It is none.
    """
    content = json_object(line)
    try:
        return Removal(**content)
    except TypeError as error:
        raise RegistryError(
            f"A record of the trash cannot be read: {line[:100]!r}", cure="./inv images.check"
        ) from error


def is_trash(repository: str) -> bool:
    """Whether a repository is one of the trash."""
    return repository.startswith(f"{NAME}/")


class Trash:
    """The trash of a running registry.

    Args:
        container: The registry's container.
        engine: The engine that runs it.
        console: Where commands are shown.
    """

    def __init__(self, container: str, engine: Engine, console: Console) -> None:
        self._container = container
        self._engine = engine
        self._console = console

    def removals(self) -> list[Removal]:
        """Return the removals that are not forgotten, oldest first.

        Raises:
            RegistryError: A record cannot be read.
        """
        argv = [SHELL, "-c", _READ, "sh", f"{IMAGES_FOLDER}/{NAME}"]
        said = b"".join(self._engine.stream(self._container, argv, bytearray()))
        return sorted((_parse(line) for line in said.splitlines() if line), key=lambda it: it.number)

    def note(self, removal: Removal) -> Removal:
        """Write the record of a removal; a kill leaves the one before it, or this one.

        Raises:
            RegistryError: It cannot be written, on a full disk for example.
        """
        self._run([("folder", removal.folder, "", "")])
        content = json.dumps(asdict(removal), separators=(",", ":")).encode()
        self._engine.put_files(self._container, removal.folder, [File(_NEW, Path(_NEW), content)])
        self._run([("rename", f"{removal.folder}/{_NEW}", f"{removal.folder}/{_RECORD}", "")])
        return removal

    def take(self, removal: Removal) -> None:
        """Keep what goes from being collected, and move its tags away, those that are as they were when chosen."""
        # A collection looks for repositories by this folder alone.
        keep = [("folder", f"repositories/{removal.repository}/_layers", "", "")]
        keep += [("link", _revision(removal.repository, it), it, "") for it in sorted(_all(removal.manifests))]
        keep += [("link", _layer(removal.repository, it), it, "") for it in sorted(_all(removal.blobs))]
        self._run(keep)
        self._run(
            [
                ("untag", f"repositories/{name}/_manifests/tags/{tag}", _aside(removal, name, tag), digest)
                for name, tags in removal.tags.items()
                for tag, digest in tags.items()
            ]
        )

    def unlink(self, removal: Removal) -> None:
        """Have the registry give the manifests no more, those that no tag names by now."""
        self._run([("unlink", _revision(name, it), it, "") for name, some in removal.manifests.items() for it in some])

    def give_back(self, removal: Removal) -> None:
        """Have all be as it was, but for tags that were pushed again since."""
        links = [("link", _layer(name, it), it, "") for name, some in removal.blobs.items() for it in some]
        links += [("link", _revision(name, it), it, "") for name, some in removal.manifests.items() for it in some]
        self._run(links)
        self._run(
            [
                ("tag", f"repositories/{name}/_manifests/tags/{tag}", _aside(removal, name, tag), "")
                for name, tags in removal.tags.items()
                for tag in tags
            ]
        )

    def forget(self, removal: Removal) -> None:
        """Take the trash's own away; what nothing else needs is freed by the next garbage collection."""
        folders = (f"repositories/{removal.repository}", removal.folder)
        self._run([("forget", it, "", "") for it in folders])

    def _run(self, steps: Iterable[tuple[str, str, str, str]]) -> None:
        """Take steps in the registry's storage.

        Raises:
            RegistryError: One cannot be taken, or the shell ends before.
        """
        for some in _portions(list(steps)):
            argv = [SHELL, "-c", _SHELL, "sh", ROOT, IMAGES_FOLDER, *(word for step in some for word in step)]
            self._console.command(["docker", "exec", "--user", "0", self._container, *argv])
            errors = bytearray()
            if self._console.dry:
                continue
            said = list(types.lines(self._engine.stream(self._container, argv, errors)))
            if said != ["taken"] or errors:  # a shell that was killed says nothing
                reason = [*errors.decode(errors="replace").splitlines(), *said, "the shell ended"][0]
                raise RegistryError(f"The storage could not be changed: {reason[:300]}", cure="./inv doctor")


def _portions(steps: list[tuple[str, str, str, str]]) -> Iterator[list[tuple[str, str, str, str]]]:
    for at in range(0, len(steps), _STEPS):
        yield steps[at : at + _STEPS]


def _all(named: Mapping[str, Iterable[str]]) -> set[str]:
    return {digest for some in named.values() for digest in some}


def _aside(removal: Removal, repository: str, tag: str) -> str:
    """Return where a tag is kept; no part of a repository's name begins with an underscore."""
    return f"{NAME}/{removal.number}/tags/{repository}/_tags/{tag}"


def _revision(repository: str, digest: str) -> str:
    return f"repositories/{repository}/_manifests/revisions/{digest.replace(':', '/', 1)}/link"


def _layer(repository: str, digest: str) -> str:
    return f"repositories/{repository}/_layers/{digest.replace(':', '/', 1)}/link"
