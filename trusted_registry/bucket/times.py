"""Times of pushes in a bucket: a link that was copied there has the time of its copy, and no store sets another one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from trusted_registry.bucket.client import Bucket, Object
from trusted_registry.images.manifest import json_object

NAME = "trusted-registry-times.json"
"""File of this project's own, beside those of the registry."""
_MOST = 200_000
"""Links whose times are kept, the last that were copied; each takes up to 200 bytes."""
_LATEST = 1 << 33
"""Seconds since the epoch, until which a time can be shown."""

Times = dict[str, tuple[int, int]]
"""Seconds since the epoch of the copy of a link, and of its push, by the path below the prefix."""


def read(bucket: Bucket) -> Times:
    """Return the times that are kept; whoever has the bucket may have written the file."""
    found = json_object(bucket.read(NAME) or b"")
    return {path: (it[0], it[1]) for path, it in found.items() if _is_possible(it)}


def _is_possible(it: object) -> bool:
    return isinstance(it, list) and list(map(type, it)) == [int, int] and 0 < it[1] <= it[0] < _LATEST


def add(bucket: Bucket, times: Times) -> None:
    """Keep the times of links that were copied."""
    every = {**{path: it for path, it in read(bucket).items() if path not in times}, **times}
    bucket.write(NAME, json.dumps(dict([*every.items()][-_MOST:]), separators=(",", ":")).encode())


def timed(found: Object, times: Mapping[str, tuple[int, int]]) -> Object:
    """Return a link with the time of its push; one that was written since its copy has its own."""
    copied, pushed = times.get(found.path, (0, 0))
    return found._replace(changed=pushed) if int(found.changed) == copied else found
