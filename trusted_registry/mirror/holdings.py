"""Holdings of a mirror: images and bytes on its disk, and how many answers came from there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trusted_registry.engine.protocol import Engine
from trusted_registry.images import history, inventory, usage
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import Listing
from trusted_registry.images.volume import VolumeStorage

_CONTENT = re.compile(r"/v2/[^ ?]+/(?:blobs|manifests)/(?P<digest>sha256:[0-9a-f]{64})")
_DELIVERED = frozenset({"200", "206"})
_SPAN = re.compile(r"([0-9.]+)(h|ms|µs|us|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
"""Units of a duration (Go, time.Duration.String)."""


@dataclass(frozen=True)
class CacheUse:
    """Answers to clients since a time: those from the disk, and those for which the upstream was asked.

    Layers, configurations and manifests by digest are counted. A tag is none: the upstream is always asked for that.
    """

    hits: int = 0
    misses: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class Holdings:
    """Images, bytes on the disk, free bytes there, answers, and the times at which the first and the last image came.

    The time of a tag is that of the last question to the upstream about that tag.
    """

    images: int
    bytes: int
    free: int | None
    cache_use: CacheUse
    oldest: float
    newest: float


def find(name: str, engine: Engine) -> Holdings:
    """Return the holdings of a mirror that runs.

    Raises:
        RegistryError: Its files cannot be listed.
    """
    found = inventory.find(VolumeStorage(name, engine))
    times = [float(it.pushed) for it in found.images if it.pushed]
    cache_use = count(engine.log_since(name, 0), found.listing)
    total = usage.total(found.listing)
    newest, oldest = max(times, default=0.0), min(times, default=0.0)
    return Holdings(len(found.images), total, found.listing.free, cache_use, oldest, newest)


def count(lines: Iterable[str], listing: Listing) -> CacheUse:
    """Return the hits and misses among the answers in a mirror's log.

    An answer is a miss where the content came to the disk after the question: each is fetched but once. One that is not
    there any more is not counted.
    """
    hits = misses = 0
    since = 0.0
    for line in lines:
        when = history.time_of(line)
        since = since or when or 0.0
        if not when or (asked := _asked(line)) is None:
            continue
        digest, took = asked
        if held := listing.blobs.get(digest):
            missed = held.changed >= int(when - took)
            misses += missed
            hits += not missed
    return CacheUse(hits, misses, since)


def _asked(line: str) -> tuple[str, float] | None:
    """Return digest and seconds of an answer that gave a client a content; None of every other line."""
    if 'msg="response completed"' not in line:
        return None
    said = history.fields(line)
    found = _CONTENT.match(said.get("http.request.uri", ""))
    # Questions of this project name no program.
    if not found or said.get("http.response.status") not in _DELIVERED or not said.get("http.request.useragent"):
        return None
    if said.get("http.request.method") != "GET":
        return None
    spans = _SPAN.findall(said.get("http.response.duration", ""))
    return found["digest"], sum(_number(number) * _SECONDS[unit] for number, unit in spans)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def held(found: Inventory) -> dict[str, list[str]]:
    """Return the digests that a mirror gives without its upstream, by repository."""
    every = {}
    for name in found.listing.names:
        repository = found.listing.repositories[name]
        named = (*repository.revisions, *repository.layers)
        every[name] = [it for it in dict.fromkeys(named) if it in found.listing.blobs]
    return every
