"""Damage of a storage: faults by a kill, a full disk or a hand, and how each is mended."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from trusted_registry.console import Console
from trusted_registry.images import inventory, listing, mend
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import Entry, Listing, Repository
from trusted_registry.images.manifest import is_digest
from trusted_registry.images.mend import Step, Verb
from trusted_registry.images.reference import joined
from trusted_registry.images.storage import Storage

UPLOAD_MINUTES = 24 * 60
"""Minutes after which an upload in which nothing comes any more is left over; the registry waits a week."""
LEFTOVER_MINUTES = 60
"""Minutes after which a file that waits for its name is left over; a registry gives it one within milliseconds."""


class Kind(str, enum.Enum):
    """Kind of damage, in a word for people and for JSON."""

    BLOB = "blob"
    LINK = "link"
    TAG = "tag"
    IMAGE = "image"
    INDEX = "index"
    SIGNATURE = "signature"
    UPLOAD = "upload"
    LEFTOVER = "leftover"
    UNREADABLE = "unreadable"
    REFUSED = "refused"

    def __str__(self) -> str:
        """Return the word."""
        return self.value


@dataclass(frozen=True)
class Damage:
    """Something broken.

    Args:
        kind: Its kind.
        subject: The image, or the file.
        evidence: The fault that was found.
        steps: Steps that mend the fault here; none if no step can.
        push: References, separated by blanks, whose push brings back the lost parts.
    """

    kind: Kind
    subject: str
    evidence: str
    steps: tuple[Step, ...] = ()
    push: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Parts that tell this damage from others."""
        return str(self.kind), self.subject, self.evidence

    @property
    def is_harmless(self) -> bool:
        """Whether nothing fails by this damage, which only takes room."""
        return self.kind in {Kind.SIGNATURE, Kind.UPLOAD, Kind.LEFTOVER}


@dataclass
class Search:
    """A search for damage: the listed files, contents that are sound or not, and the text of each link."""

    listing: Listing
    now: float
    sound: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    links: dict[str, bytes] = field(default_factory=dict)
    inventory: Inventory = field(default_factory=lambda: Inventory(Listing()))

    def has(self, digest: str) -> bool:
        """Whether a content is there and not known to be something else."""
        return digest in self.listing.blobs and digest not in self.broken

    def lost(self, digest: str) -> str:
        """Return a content's digest and fault."""
        return f"{digest} {self.broken.get(digest, 'is not there')}"

    def is_unread(self, entry: Entry | None) -> bool:
        """Whether a link is there and could not be read."""
        return entry is not None and entry.path not in self.links

    def link(self, entry: Entry | None) -> bytes | None:
        """Return the content of a link; None where there is none."""
        return self.links.get(entry.path) if entry else None


def find(storage: Storage, console: Console, sound: Iterable[str] = ()) -> tuple[list[Damage], Search]:
    """Return all damage of a running registry's storage, and the search that found it.

    Others push, pull and delete meanwhile: only a fault that two looks find counts.

    Args:
        storage: The registry's storage.
        console: The console that shows the progress.
        sound: Digests of contents that were read before, and were as they should be.
    """
    search = Search(Listing(), time.time(), set(sound))
    first = _scan(search, storage, console)
    seen = {it.key for it in first}
    return [it for it in (_scan(search, storage, console) if first else []) if it.key in seen], search


def _scan(search: Search, storage: Storage, console: Console) -> list[Damage]:
    """List the files anew, read contents that were not read before, and judge all."""
    search.unread.clear()
    for _ in range(2):
        search.listing = storage.files(sizes=True)
        _hash(search, storage, console)
    every = (entry for it in search.listing.repositories.values() for entry in _links(it))
    search.links = inventory.links_of(every, storage)
    search.inventory = inventory.build(search.listing, storage)
    return [damage for judge in _JUDGES for damage in judge(search)]


def _links(repository: Repository) -> Iterator[Entry]:
    for entries in (repository.layers, repository.revisions, repository.tags):
        yield from entries.values()


def _hash(search: Search, storage: Storage, console: Console) -> None:
    """Read each content that was not read before, and compare its SHA-256 with its name."""
    digests = {entry.path: digest for digest, entry in search.listing.blobs.items()}
    known = {*search.sound, *search.broken}
    left = [it for it in search.listing.blobs.values() if digests[it.path] not in known]
    done, total = 0, sum(it.size for it in left)
    with console.progress("Reading all contents") as progress:
        for entry, hexed in storage.hashes(left):
            done += entry.size
            progress.update("contents", done, total)
            _sort(digests[entry.path], entry, hexed, search)


def _sort(digest: str, entry: Entry, hexed: str, search: Search) -> None:
    """Put a content among those that are sound, those that are not, or those that could not be read."""
    algorithm, _, wanted = digest.partition(":")
    if hexed == wanted or (hexed and algorithm != "sha256"):
        search.sound.add(digest)
    elif hexed:
        is_other = f"is something else: its {entry.size} bytes have another digest"
        search.broken[digest] = is_other if entry.size else "is empty"
    else:
        search.unread.add(digest)


def _contents(search: Search) -> Iterator[Damage]:
    """Yield contents that do not have the digest of their name: a push that finds one would not send another."""
    for digest, fault in search.broken.items():
        if digest in search.listing.blobs:
            step = Step(Verb.DAMAGED, search.listing.blobs[digest].path, digest.partition(":")[2])
            yield Damage(Kind.BLOB, digest, fault, (step,))
    for digest in search.unread:
        if digest in search.listing.blobs:
            yield Damage(Kind.UNREADABLE, digest, _UNREAD)


def _plain_links(search: Search) -> Iterator[Damage]:
    """Yield links of layers and manifests that lead nowhere, or say another digest than their path."""
    for name, repository in search.listing.repositories.items():
        needed = {it for digest in repository.revisions for it in search.inventory.needed(digest)}
        for digest, entry in (*repository.layers.items(), *repository.revisions.items()):
            if search.is_unread(entry):
                yield Damage(Kind.UNREADABLE, entry.path, _UNREAD)
            else:
                is_needed = digest in needed or digest not in repository.layers
                yield from _plain_link(f"{name}@{digest}", digest, entry, search, is_needed=is_needed)


def _plain_link(subject: str, digest: str, entry: Entry, search: Search, *, is_needed: bool) -> Iterator[Damage]:
    link = search.link(entry)
    text, state = listing.text(link), mend.state(link)
    # A content that was pushed by a digest of another algorithm lies under the usual one, and the link says which.
    target = text if is_digest(text) and not digest.startswith("sha256:") else digest
    if not search.has(target):
        step = Step(Verb.UNLINK, entry.path, listing.path_of(target), state)
        kind = Kind.LINK if is_needed else Kind.LEFTOVER
        yield Damage(kind, subject, f"leads nowhere: {search.lost(target)}", (step,))
    elif text != target:
        yield Damage(Kind.LINK, subject, _fault(link), (Step(Verb.WRITE, entry.path, target, state),))


_UNREAD = "the registry's container could not read it"


def _fault(link: bytes | None) -> str:
    return "it has no link" if link is None else "its link is no digest" if link else "its link is empty"


def _tags(search: Search) -> Iterator[Damage]:
    """Yield tags that lead to no manifest: they are listed, and every pull of them fails."""
    for name, repository in search.listing.repositories.items():
        for tag in sorted({*repository.tags, *repository.folders}):
            entry = repository.tags.get(tag)
            text = listing.text(search.link(entry))
            if search.is_unread(entry):
                yield Damage(Kind.UNREADABLE, joined(name, tag), _UNREAD)
            elif not is_digest(text) or not search.has(text):
                yield _lost(name, tag, search.link(entry), search)
            elif text not in repository.revisions:
                step = Step(Verb.WRITE, listing.revision_path(name, text), text, mend.ABSENT)
                yield Damage(Kind.TAG, joined(name, tag), f"its repository does not know {text}", (step,))


def _lost(name: str, tag: str, link: bytes | None, search: Search) -> Damage:
    """Return the damage of a tag whose manifest is lost, or whose link is: its earlier digests are in its index."""
    reference, path = joined(name, tag), f"repositories/{name}/_manifests/tags/{tag}/current/link"
    text, state = listing.text(link), mend.state(link)
    past = search.listing.repositories[name].past.get(tag, {})
    left = [digest for digest in past if search.has(digest)]
    if left and not is_digest(text):
        last = max(left, key=lambda it: past[it].changed)
        return Damage(Kind.TAG, reference, _fault(link), (Step(Verb.WRITE, path, last, state),))
    fault = f"leads nowhere: {search.lost(text)}" if is_digest(text) else _fault(link)
    content = listing.path_of(text) if is_digest(text) else ""
    return Damage(Kind.TAG, reference, fault, (Step(Verb.UNTAG, path, content, state),), push=reference)


def _manifests(search: Search) -> Iterator[Damage]:
    """Yield images and indexes of which a part is lost, or is not known in their repository."""
    for name, repository in search.listing.repositories.items():
        for digest in repository.revisions:
            found = search.inventory.manifests.get(digest) if search.has(digest) else None
            if found is None:
                continue
            aliases = search.inventory.aliases
            blobs = [(it.digest, Kind.IMAGE) for it in found.blobs if not it.is_optional and it.digest not in aliases]
            children = [(it.digest, Kind.INDEX) for it in found.children]
            for part, kind in (*blobs, *children):
                yield from _part(name, digest, part, kind, search)


def _part(name: str, digest: str, part: str, kind: Kind, search: Search) -> Iterator[Damage]:
    """Yield the damage of a part of an image, or of an image of an index."""
    repository, subject = search.listing.repositories[name], f"{name}@{digest}"
    known, path = (
        (repository.layers, listing.layer_path(name, part))
        if kind is Kind.IMAGE
        else (repository.revisions, listing.revision_path(name, part))
    )
    if not search.has(part):
        yield Damage(kind, subject, f"a part of it is lost: {search.lost(part)}", push=_pushes(name, digest, search))
    elif part not in known:
        fault = f"its repository does not know its part {part}"
        yield Damage(kind, subject, fault, (Step(Verb.WRITE, path, part, mend.ABSENT),))


def _pushes(name: str, digest: str, search: Search) -> str:
    """Return the tags of a repository that lead to a manifest, or its digest where none does."""
    found = search.inventory
    tagged = (it for it in found.images if it.repository == name and it.is_tagged)
    return " ".join(joined(name, it.name) for it in tagged if digest in found.needed(it.digest)) or joined(name, digest)


def _signatures(search: Search) -> Iterator[Damage]:
    """Yield signatures whose subjects are not there."""
    for it in search.inventory.images:
        if it.subject and it.subject not in search.listing.repositories[it.repository].revisions:
            yield Damage(Kind.SIGNATURE, joined(it.repository, it.name), f"is one of {it.subject}, which is not here")


def _leftovers(search: Search) -> Iterator[Damage]:
    for name, repository in search.listing.repositories.items():
        for number, entries in repository.uploads.items():
            if _is_old(entries, UPLOAD_MINUTES, search):
                fault = f"was begun and never ended: {sum(it.disk for it in entries)} bytes"
                folder = f"repositories/{name}/_uploads/{number}"
                yield Damage(Kind.UPLOAD, folder, fault, (Step(Verb.DISCARD, folder, str(UPLOAD_MINUTES)),))
    for entry in search.listing.strays:
        if entry.path.endswith(".tmp") and _is_old([entry], LEFTOVER_MINUTES, search):
            step = Step(Verb.DISCARD, entry.path, str(LEFTOVER_MINUTES))
            yield Damage(Kind.LEFTOVER, entry.path, "never got its name", (step,))


def _is_old(entries: Iterable[Entry], minutes: int, search: Search) -> bool:
    return max(it.changed for it in entries) < search.now - 60 * minutes


def _unread(search: Search) -> Iterator[Damage]:
    for line in search.listing.unread:
        yield Damage(Kind.UNREADABLE, line[:300], _UNREAD)


_JUDGES: tuple[Callable[[Search], Iterator[Damage]], ...] = (
    _contents,
    _plain_links,
    _tags,
    _manifests,
    _signatures,
    _leftovers,
    _unread,
)
