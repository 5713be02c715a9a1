"""Objects of a bucket as a registry's storage: listed, read, hashed, mended, and moved into the trash and out of it.

S3 renames nothing and deletes under no condition, so a push beside a removal is found afterwards. A registry writes a
tag's link in its index before its current link (distribution, storage/tagstore.go, Tag). Whoever deletes a current link
and then lists the index sees each push whose link that deletion may have taken, and writes that link anew; a run that
was killed between the two does the same when the step is taken again.

Pushes are told apart by the store's whole seconds: a change begins in a later second than the last push that it saw
(`Listing.at`). The entity tag says no more than the digest, which a second push of an image does not change.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trusted_registry.bucket import times
from trusted_registry.bucket.client import AT_ONCE, Bucket, Object
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError
from trusted_registry.images import listing, mend
from trusted_registry.images.listing import TRASH, Entry, Listing
from trusted_registry.images.manifest import is_digest
from trusted_registry.images.mend import Step, Verb
from trusted_registry.images.storage import Change
from trusted_registry.instance.model import IMAGES_FOLDER

FOLDER = "docker/registry/v2/"
"""First part of the paths of all that the registry keeps."""
_TAG = "/_manifests/tags/"
_CURRENT = "/current/link"
_RECORD = re.compile(rf"{TRASH}/(?P<number>[1-9][0-9]{{0,8}})/.+")
_AWS = {
    "link": ("cp", "-"),
    "untag": ("mv", "--recursive"),
    "tag": ("mv", "--recursive"),
    "unlink": ("rm",),
    "remove": ("rm", "--recursive"),
    "clear": ("rm", "--recursive"),
}
"""What a person would type for a step of the trash."""

_Deed = TypeVar("_Deed")
_Done = TypeVar("_Done")


class Objects:
    """The storage of a registry whose images are in a bucket.

    Each method raises StorageError where the bucket does not do as asked. Paths are relative to the registry's folder.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._times: times.Times = {}

    def files(self, *, sizes: bool = True, seconds: int = 0) -> Listing:  # noqa: ARG002 - a bucket tells every size
        """Return all files; contents come last, so that none is missed that a push adds meanwhile.

        A bucket tells no free bytes.
        """
        bucket, end = self._bucket.bounded(seconds) if seconds else self._bucket, time.monotonic() + seconds
        listed = Listing(at=bucket.clock())
        self._times = times.read(bucket)
        for part in ("repositories/", "blobs/"):
            for it in map(self._timed, bucket.objects(FOLDER + part)):
                listing.add(Entry(it.path, it.size, it.size, int(it.changed)), listed)
                if tag := _tag_of(it.path):
                    listing.add(Entry(tag), listed)
                if seconds and time.monotonic() > end:
                    raise RegistryError(f"{bucket.location} has too many images.", cure="./inv images lists them.")
        return listed

    def read(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        """Return the files that are as large as they were when they were listed, by their paths."""
        read = _each(lambda it: self._bucket.read(FOLDER + it.path, it.size + 1), entries)
        return {it.path: content for it, content in read if content is not None and len(content) == it.size}

    def hashes(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield each file with the SHA-256 of its content in hex as read now, "" of one that is gone."""
        return _each(lambda it: self._bucket.sha256(FOLDER + it.path), entries)

    def records(self) -> list[tuple[str, str]]:
        """Return number and record of each removal in the trash."""
        found = (_RECORD.fullmatch(it.path) for it in self._bucket.objects(f"{TRASH}/"))
        numbers = dict.fromkeys(it["number"] for it in found if it)
        read = _each(lambda it: self._bucket.read(f"{TRASH}/{it}/record.json"), numbers)
        return [(number, (record or b"").decode(errors="replace")) for number, record in read]

    def read_own(self, path: str) -> bytes:
        """Return a file of this project's own, beside those of the registry; b"" where there is none."""
        return self._bucket.read(path) or b""

    def write_own(self, path: str, content: bytes) -> None:
        """Write a file of this project's own."""
        self._bucket.write(path, content)

    def mend(self, steps: Iterable[Step], console: Console) -> list[str]:
        """Take the steps of a mending, those for which all is as it was seen; a bucket that refuses one raises."""
        for step in dict.fromkeys(steps):
            verb = "cp" if step.verb is Verb.WRITE else "rm"
            console.command(["aws", "s3", verb, *["-"] * (verb == "cp"), self._url(step.path)])
            if not console.dry:
                self._mend(step)
        return []

    def _mend(self, step: Step) -> None:
        if step.verb is Verb.DISCARD:
            self._discard(step)
        elif step.verb is Verb.DAMAGED:
            hexed = self._bucket.sha256(FOLDER + step.path)
            if hexed and hexed != step.about:
                self._remove([step.path])
        elif mend.state(self._link(step.path)) == step.seen:
            self._mend_link(step)

    def _mend_link(self, step: Step) -> None:
        tag = _tag_of(step.path)
        if step.verb is Verb.WRITE:
            # A tag that somebody removed meanwhile has nothing left.
            if not tag or self._objects(tag):
                self._bucket.write(FOLDER + step.path, step.about.encode())
        elif not step.about or not self._objects(step.about):
            self._remove(self._objects(tag) if step.verb is Verb.UNTAG else [step.path])

    def _discard(self, step: Step) -> None:
        found = self._objects(step.path)
        if found and max(it.changed for it in found.values()) < time.time() - 60 * int(step.about):
            self._remove(found)

    def change(self, changes: Iterable[Change], console: Console, *, record: str = "", state: str = "") -> None:  # noqa: ARG002 - no shell is late here
        """Take steps of the trash; those of one call do not depend on each other."""
        every = [it for it in changes if it[0] in _AWS]
        for verb, *paths, _ in every:
            places = [self._url(it) for it in (paths if verb in {"untag", "tag"} else paths[:1])]
            console.command(["aws", "s3", *_AWS[verb], *(reversed(places) if verb == "tag" else places)])
        if console.dry or not every:
            return
        self._times = times.read(self._bucket)
        if back := {path: it for _, copied in _each(self._take, every) for path, it in copied.items()}:
            times.add(self._bucket, back)

    def _take(self, change: Change) -> times.Times:
        """Take a step, and return the times of the links that came back by that."""
        verb, path, second, third = change
        if verb == "link":
            self._write_link(path, second)
        elif verb == "untag":
            digest, _, pushed = third.partition(" ")
            self._untag(path, _own(second), digest, int(pushed))
        elif verb == "unlink":
            self._unlink(path, int(third))
        elif verb == "tag":
            digest, _, pushed = third.partition(" ")
            return self._tag(path, _own(second), digest, int(pushed))
        elif verb == "remove":
            prefix = f"{_own(path)}/"
            self._bucket.remove([it.path for it in self._bucket.objects(prefix)])
        elif verb == "clear" and not any(self._objects(f"{path}/{it}") for it in ("_manifests", "_uploads")):
            self._remove(self._objects(f"{path}/_layers"))
        return {}

    def _write_link(self, path: str, digest: str) -> None:
        """Write a link, unless there is one, to a content that is there."""
        if not self._link(path) and self._objects(listing.path_of(digest)):
            self._bucket.write(FOLDER + path, digest.encode())

    def _untag(self, tag: str, aside: str, digest: str, pushed: int) -> None:
        """Move a tag aside, if nobody pushed it since; what is pushed meanwhile stays.

        Args:
            tag: Folder of the tag.
            aside: Folder, relative to the bucket's prefix, that keeps the links.
            digest: Digest that the tag had when it was chosen.
            pushed: Seconds since the epoch of that push.
        """
        current = f"{tag}{_CURRENT}"
        seen = self._objects(tag)
        at = seen.get(current)
        if at and (int(at.changed) != pushed or self._link(current) != digest.encode()):
            return
        if at:
            for path in seen:
                self._bucket.copy(FOLDER + path, aside + path.removeprefix(tag))
            self._remove([current])
        elif not any(self._bucket.objects(f"{aside}/")):
            return
        if not self._restored(tag, pushed):
            self._remove(path for path, it in self._objects(tag).items() if int(it.changed) <= pushed)

    def _restored(self, tag: str, pushed: int) -> bool:
        """Have the last push after a time be the tag's, whose current link may have gone; say whether there is one."""
        found = self._objects(tag)
        newer = [it for path, it in found.items() if "/index/" in path and int(it.changed) > pushed]
        if newer and f"{tag}{_CURRENT}" not in found:
            self._point(tag, newer)
        return bool(newer)

    def _point(self, tag: str, links: Iterable[Object]) -> None:
        """Write a tag's current link as the last of these links of its index says."""
        _, algorithm, hexed, _ = max(links, key=lambda it: it.changed).path.rsplit("/", 3)
        if is_digest(digest := f"{algorithm}:{hexed}"):
            self._bucket.write(f"{FOLDER}{tag}{_CURRENT}", digest.encode())

    def _unlink(self, path: str, pushed: int) -> None:
        """Remove the link of a manifest, if nobody pushed that since; a tag of a later push has it written again."""
        if (at := self._objects(path).get(path)) and int(at.changed) == pushed:
            self._remove([path])

    def _tag(self, tag: str, aside: str, digest: str, pushed: int) -> times.Times:
        """Bring a tag back, unless it was pushed again; its current link comes last, and then nothing stays aside."""
        moved = {it.path: f"{tag}{it.path.removeprefix(aside)}" for it in self._bucket.objects(f"{aside}/")}
        back: times.Times = {}
        current = next((path for path in moved if path.endswith(_CURRENT)), "")
        if current and not self._link(f"{tag}{_CURRENT}"):
            for path in moved.keys() - {current}:
                self._bucket.copy(path, FOLDER + moved[path])
            copied = self._objects(tag)
            if f"{tag}{_CURRENT}" not in copied:
                self._bucket.copy(current, f"{FOLDER}{tag}{_CURRENT}")
            found = self._objects(tag)
            links = [it for path, it in found.items() if "/index/" in path]
            if others := [it for it in links if it.path not in moved.values() or it != copied.get(it.path)]:
                self._point(tag, others)  # pushed meanwhile
            else:
                newest = (_CURRENT, f"/{digest.replace(':', '/')}/link")
                back = {FOLDER + it: (int(found[it].changed), pushed - (not it.endswith(newest))) for it in found}
        self._bucket.remove(moved)
        return back

    def _link(self, path: str) -> bytes | None:
        return self._bucket.read(FOLDER + path)

    def _objects(self, path: str) -> dict[str, Object]:
        """Return an object of this path, or those of this folder, by their paths."""
        found = {it.path: it for it in map(self._timed, self._bucket.objects(FOLDER + path))}
        return {it: found[it] for it in found if it == path or it.startswith(f"{path}/")}

    def _remove(self, paths: Iterable[str]) -> None:
        self._bucket.remove([FOLDER + it for it in paths])

    def _url(self, path: str) -> str:
        return f"s3://{self._bucket.location.bucket}/{self._bucket.location.key(_own(path))}"

    def _timed(self, found: Object) -> Object:
        """Return an object by its path in the registry's folder, with the time of its push."""
        return times.timed(found, self._times)._replace(path=found.path.removeprefix(FOLDER))


def _each(deed: Callable[[_Deed], _Done], every: Iterable[_Deed]) -> Iterator[tuple[_Deed, _Done]]:
    """Yield each of some things with what was done for that, a few at a time."""
    things = list(every)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from zip(things, threads.map(deed, things), strict=True)


def _own(path: str) -> str:
    """Return the path, relative to the prefix, of a file that a volume has there or in the registry's folder."""
    return path.removeprefix(f"{IMAGES_FOLDER}/") if path.startswith(f"{IMAGES_FOLDER}/") else FOLDER + path


def _tag_of(path: str) -> str:
    """Return the folder of the tag to which a path belongs; "" for none."""
    repository, tags, rest = path.partition(_TAG)
    return f"{repository}{tags}{rest.partition('/')[0]}" if tags else ""
