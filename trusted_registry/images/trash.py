"""Trash: images that were removed, until they come back or their bytes are freed.

A repository of the trash leads to all parts that go, so that a garbage collection keeps them; then the tags are moved
beside the storage, and the links of the manifests go. A record is written before anything moves, so the next run goes
on with a removal killed half way. Clients push meanwhile: each step of the shell looks first, and images that were
pushed again stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from trusted_registry.console import Console
from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.images import removal as removals
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import ROOT, TRASH, layer_path, path_of, revision_path
from trusted_registry.images.removal import Removal
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL, File

_FOLDER = f"{IMAGES_FOLDER}/{TRASH}"
_RECORD = "record.json"
_READ = """cd "$1" 2>/dev/null || exec echo end
for folder in [1-9]*; do
    set -- "$folder"/*
    [ ! -e "$1" ] || { echo "$folder" && tr -d '\\n' <"$folder/record.json"; echo; }
done
echo end"""
_CURES = {
    "No space left": "docker image prune; ./inv images.clean --now",
    "unrecognized option": "./inv registry.upgrade --image registry:2.8.3",  # no mv -T before busybox 1.34
}
"""What helps, by what the shell says."""
_STEPS = 500
"""Steps of one run of the shell."""
_LARGEST = 10**6
"""Number of a removal that nobody comes to: who may push may call a repository as the trash is called."""

_SHELL = r"""root=$1 trash=$2 record=$3 state=$4
shift 4
mkdir -p -- "$trash" && cd "$root" || exit
if command -v flock >/dev/null; then exec 8<"$trash" && flock 8; fi
# A shell whose task was killed may be late.
[ -z "$state" ] || grep -q "\"state\":\"$state\"" "$record" || exit
as_chosen() {
    [ "$(cat -- "$1/current/link" 2>/dev/null) $(stat -c %Y -- "$1/current/link" 2>/dev/null)" = "$2" ]
}
link() {
    [ -s "$1" ] || [ ! -e "$3" ] || { mkdir -p -- "${1%/*}" && printf %s "$2" >"$1.tmp" && mv -- "$1.tmp" "$1"; }
}
untag() {
    # What was moved at the moment of another push, by a run that was killed then.
    [ -e "$1" ] || [ ! -e "$2" ] || as_chosen "$2" "$3" || mv -T -- "$2" "$1" || return
    as_chosen "$1" "$3" || return 0
    mkdir -p -- "${2%/*}" && mv -T -- "$1" "$2" || return
    as_chosen "$2" "$3" || [ -e "$1" ] || mv -T -- "$2" "$1" # pushed again at that moment
}
unlink() {
    folder=${1%/link}
    [ "$(stat -c %Y -- "$1" 2>/dev/null)" = "$3" ] || return 0
    rm -rf -- "$2" && mkdir -p -- "${2%/*}" && mv -T -- "$folder" "$2" || return
    [ "$(stat -c %Y -- "$2/link")" = "$3" ] || [ -e "$folder" ] || mv -T -- "$2" "$folder" # as above
    rm -rf -- "$2"
}
tag() {
    [ -e "$2" ] && [ ! -s "$1/current/link" ] || return 0
    mkdir -p -- "${1%/*}" || return
    if [ -e "$1" ]; then
        mkdir -p -- "$1/current" && { ln -- "$2/current/link" "$1/current/link" 2>/dev/null || :; }
    else
        mv -T -- "$2" "$1" || [ -e "$1" ]
    fi
}
clear() { # of a repository in which nothing is and no upload has begun
    for folder in "$1"/_manifests/revisions/* "$1/_manifests/revisions" "$1/_manifests/tags" "$1/_manifests" \
        "$1/_uploads"; do
        [ ! -e "$folder" ] || rmdir -- "$folder" 2>/dev/null || return 0
    done
    rm -rf -- "$1/_layers"
}
while [ $# -gt 0 ]; do
    case $1 in
    link) link "$2" "$3" "$4" ;;
    untag) untag "$2" "$3" "$4" ;;
    unlink) unlink "$2" "$3" "$4" ;;
    tag) tag "$2" "$3" ;;
    remove) rm -rf -- "$2" ;;
    folder) mkdir -p -- "$2" ;;
    clear) clear "$2" ;;
    esac || exit
    shift 4
done
echo taken"""

_Step = tuple[str, str, str, str]


class Trash:
    """The trash of a running registry.

    Args:
        container: The registry's container.
        engine: The container's engine.
        console: Where commands are shown.
    """

    def __init__(self, container: str, engine: Engine, console: Console) -> None:
        self._container = container
        self._engine = engine
        self._console = console
        self.removals: list[Removal] = []
        self.unread: list[int] = []
        self.read()

    def read(self) -> None:
        """Read the removals, oldest first, and the numbers of those whose records are none.

        Raises:
            RegistryError: They cannot be listed.
        """
        errors = bytearray()
        # A record is one line, of any length.
        listed = b"".join(self._engine.stream(self._container, [SHELL, "-c", _READ, "sh", _FOLDER], errors))
        lines = listed.decode(errors="replace").splitlines()
        if not lines or lines.pop() != "end":
            said = errors.decode(errors="replace").strip() or "nothing was said"
            raise RegistryError(f"The trash could not be listed: {said[:300]}", cure="./inv doctor")
        self.removals, self.unread = [], []
        for number, record in zip(lines[::2], lines[1::2], strict=False):
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
        self._engine.put_files(self._container, noted.folder, [File(_RECORD, Path(_RECORD), content)])
        return noted

    def take(self, removal: Removal) -> None:
        """Keep the parts that go from being collected, and move away the tags that are as they were when chosen."""
        # A collection looks for repositories by this folder alone.
        keep = [("folder", f"repositories/{removal.repository}/_layers", "", "")]
        keep += [_link(revision_path(removal.repository, it), it) for it in sorted(_all(removal.needed))]
        keep += [_link(layer_path(removal.repository, it), it) for it in sorted(_all(removal.blobs))]
        # Each has a tag, as it may be somebody else's collection, which takes what has none.
        keep += [_link(_link_of(removal.repository, it), it) for it in sorted(_all(removal.needed))]
        self._run(keep, removal)
        untag = [
            ("untag", _tag_path(name, tag), _aside(removal, name, tag), f"{digest} {pushed}")
            for name, tags in removal.tags.items()
            for tag, (digest, pushed) in tags.items()
        ]
        self._run(untag, removal)

    def unlink(self, removal: Removal, inventory: Inventory) -> None:
        """Have the registry give the manifests no more, those that nothing in an inventory of now needs.

        A repository in which nothing is left leaves the catalog.
        """
        kept = removal.needed_by(inventory)
        unlink = [
            ("unlink", revision_path(name, digest), f"{removal.folder}/links/{digest}", f"{pushed}")
            for name, some in removal.manifests.items()
            for digest, pushed in some.items()
            if (name, digest) not in kept
        ]
        self._run(unlink, removal)
        self._run([("clear", f"repositories/{name}", "", "") for name in removal.blobs], removal)

    def link(self, removal: Removal, inventory: Inventory) -> None:
        """Have the registry give those manifests again that something in an inventory of now needs."""
        kept = removal.needed_by(inventory)
        links = [_link(revision_path(*it), it[1]) for it in sorted(kept)]
        for name in removal.blobs:
            there = inventory.listing.repositories.get(name)
            digests = {
                *(there.revisions if there else ()),
                *(digest for repository, digest in kept if repository == name),
            }
            found = [inventory.manifests[it] for it in sorted(digests) if it in inventory.manifests]
            links += [_link(layer_path(name, blob.digest), blob.digest) for it in found for blob in it.blobs]
        self._run(dict.fromkeys(links), removal)

    def give_back(self, removal: Removal) -> None:
        """Restore the removed images, but for tags that were pushed again since."""
        links = [_link(layer_path(name, it), it) for name, some in removal.blobs.items() for it in some]
        links += [_link(revision_path(name, it), it) for name, some in removal.needed.items() for it in some]
        self._run(links, removal)
        tags = [
            ("tag", _tag_path(name, tag), _aside(removal, name, tag), "")
            for name, some in removal.tags.items()
            for tag in some
        ]
        self._run(tags, removal)

    def let_go(self, removal: Removal) -> None:
        """Keep the contents no more: the next collection frees those that nothing else needs."""
        folders = (f"repositories/{removal.repository}", f"{removal.folder}/tags", f"{removal.folder}/links")
        self._run([("remove", it, "", "") for it in folders], removal)

    def forget(self, removal: Removal) -> None:
        """Take the record away, after all else."""
        self._run([("remove", removal.folder, "", "")], removal)

    def _run(self, steps: Iterable[_Step], removal: Removal | None = None) -> None:
        """Take steps in the registry's storage, while the record of a removal still has the same state.

        Raises:
            RegistryError: One cannot be taken, or the shell ends before.
        """
        record, state = (f"{removal.folder}/{_RECORD}", removal.state) if removal else ("", "")
        for some in _portions(list(steps)):
            words = [ROOT, _FOLDER, record, state, *(word for step in some for word in step)]
            argv = [SHELL, "-c", _SHELL, "sh", *words]
            self._console.command(["docker", "exec", "--user", "0", self._container, *argv])
            errors = bytearray()
            if self._console.dry:
                continue
            said = list(types.lines(self._engine.stream(self._container, argv, errors)))
            if said != ["taken"] or errors:  # a shell that was killed says nothing
                reason = [*errors.decode(errors="replace").splitlines(), *said, "the shell ended"][0]
                cure = next((cure for text, cure in _CURES.items() if text in reason), "./inv doctor")
                raise RegistryError(f"The storage could not be changed: {reason[:300]}", cure=cure)


def _portions(steps: list[_Step]) -> Iterator[list[_Step]]:
    for at in range(0, len(steps), _STEPS):
        yield steps[at : at + _STEPS]


def _all(named: Mapping[str, Iterable[str]]) -> set[str]:
    return {digest for some in named.values() for digest in some}


def _link(path: str, digest: str) -> _Step:
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
