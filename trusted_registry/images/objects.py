"""Objects of a bucket as a registry's storage: listed, read, hashed, mended, and moved into the trash and out of it.

S3 renames nothing and deletes under no condition, so a push beside a removal is found afterwards. A registry writes a
tag's link in its index before its current link (distribution, storage/tagstore.go, Tag). Whoever deletes a current link
and then lists the index sees each push whose link that deletion may have taken, and writes that link anew; a run that
was killed between the two does the same when the step is taken again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from trusted_registry.bucket.client import Bucket, Object
from trusted_registry.images import listing, mend
from trusted_registry.images.listing import Entry, Listing
from trusted_registry.images.manifest import is_digest
from trusted_registry.images.mend import Step, Verb

FOLDER = "docker/registry/v2/"
"""First part of the paths of all that the registry keeps."""
_TAG = "/_manifests/tags/"
_CURRENT = "/current/link"


class Objects:
    """The storage of a registry whose images are in a bucket.

    Each method raises StorageError where the bucket does not do as asked. Paths are relative to the registry's folder.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def files(self) -> Listing:
        """Return all files; contents come last, so that none is missed that a push adds meanwhile.

        A bucket tells no free bytes.
        """
        listed = Listing()
        for part in ("repositories/", "blobs/"):
            for it in self._bucket.objects(FOLDER + part):
                listing.add(_entry(it), listed)
                if tag := _tag_of(it.path.removeprefix(FOLDER)):
                    listing.add(Entry(tag), listed)
        return listed

    def read(self, entries: Iterable[Entry]) -> dict[str, bytes]:
        """Return the files that are as large as they were when they were listed, by their paths."""
        found: dict[str, bytes] = {}
        for it in entries:
            content = self._bucket.read(FOLDER + it.path, it.size + 1)
            if content is not None and len(content) == it.size:
                found[it.path] = content
        return found

    def hashes(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield each file with the SHA-256 of its content in hex as read now, "" of one that is gone."""
        for it in entries:
            yield it, self._bucket.sha256(FOLDER + it.path)

    def mend(self, steps: Iterable[Step]) -> None:
        """Take the steps of a mending, those for which all is as it was seen."""
        for step in dict.fromkeys(steps):
            if step.verb is Verb.DISCARD:
                self._discard(step)
            elif step.verb is Verb.DAMAGED:
                hexed = self._bucket.sha256(FOLDER + step.path)
                if hexed and hexed != step.about:
                    self._bucket.remove([FOLDER + step.path])
            elif mend.state(self._link(step.path)) == step.seen:
                self._mend_link(step)

    def _mend_link(self, step: Step) -> None:
        tag = _tag_of(step.path)
        if step.verb is Verb.WRITE:
            # A tag that somebody removed meanwhile has nothing left.
            if not tag or self._under(tag):
                self._bucket.write(FOLDER + step.path, step.about.encode())
        elif not step.about or not self._under(step.about):
            whole = step.verb is Verb.UNTAG
            self._remove(self._under(tag) if whole else [step.path])

    def _discard(self, step: Step) -> None:
        found = self._objects(step.path)
        if found and max(it.changed for it in found.values()) < time.time() - 60 * int(step.about):
            self._remove(found)

    def link(self, path: str, digest: str) -> None:
        """Write a link, unless there is one, to a content that is there."""
        if not self._link(path) and self._under(listing.path_of(digest)):
            self._bucket.write(FOLDER + path, digest.encode())

    def untag(self, tag: str, aside: str, digest: str, pushed: int) -> None:
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

    def unlink(self, path: str, pushed: int) -> None:
        """Remove the link of a manifest, if nobody pushed that since; a tag of a later push has it written again."""
        if (at := self._objects(path).get(path)) and int(at.changed) == pushed:
            self._remove([path])

    def tag(self, tag: str, aside: str) -> None:
        """Bring a tag back, unless it was pushed again; its current link comes last, and then nothing stays aside."""
        kept = {it.path: f"{tag}{it.path.removeprefix(aside)}" for it in self._bucket.objects(f"{aside}/")}
        if not self._link(f"{tag}{_CURRENT}"):
            for path in sorted(kept, key=lambda it: it.endswith(_CURRENT)):
                self._bucket.copy(path, FOLDER + kept[path])
            found = self._objects(tag)
            if others := [it for path, it in found.items() if "/index/" in path and path not in kept.values()]:
                self._point(tag, others)  # pushed meanwhile
        self._bucket.remove(kept)

    def _link(self, path: str) -> bytes | None:
        return self._bucket.read(FOLDER + path)

    def _objects(self, path: str) -> dict[str, Object]:
        """Return an object of this path, or those of this folder, by their paths."""
        found = {it.path.removeprefix(FOLDER): it for it in self._bucket.objects(FOLDER + path)}
        return {it: found[it] for it in found if it == path or it.startswith(f"{path}/")}

    def _under(self, path: str) -> list[str]:
        return list(self._objects(path))

    def _remove(self, paths: Iterable[str]) -> None:
        self._bucket.remove([FOLDER + it for it in paths])


def _entry(found: Object) -> Entry:
    return Entry(found.path.removeprefix(FOLDER), found.size, found.size, int(found.changed))


def _tag_of(path: str) -> str:
    """Return the folder of the tag to which a path belongs; "" for none."""
    repository, tags, rest = path.partition(_TAG)
    return f"{repository}{tags}{rest.partition('/')[0]}" if tags else ""
