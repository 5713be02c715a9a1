"""History of a registry: who pulled which image and when, and how much the images took, kept beside the images.

The container's log is small and goes with the container. So each look takes the pulls from there, and the last look
comes before a container goes.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import storages, usage
from trusted_registry.images.listing import Listing, is_ours
from trusted_registry.images.manifest import json_object
from trusted_registry.images.storage import Storage
from trusted_registry.run import Run

FILE = "trusted-registry-history.json"
"""File in the folder of the images, beside what is the registry's own."""

_CLIENTS = 1000
"""Clients of an image that are told apart."""
_SAMPLE_SECONDS = 3600
"""Seconds between two sizes that are kept."""
_SAMPLED_SECONDS = 14 * 24 * 3600
"""Seconds for which a size is kept."""
_LATELY_SECONDS = 3 * 24 * 3600
"""Seconds after which the last size says nothing of how the images grow now."""
_FIELD = re.compile(r'(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')
"""Field of a line of the registry's log (logrus, TextFormatter)."""
_LINE = 8192
"""Characters of a line that is read: a client may send a million, and all of them stand there."""
_MANIFEST = re.compile(r"/v2/(?P<repository>[^ ?]+)/manifests/(?P<name>[^ ?/]+)")


@dataclass(frozen=True)
class Pulls:
    """Pulls of a tag or a digest: the last one's time in seconds since the epoch, their number, and who made them."""

    last: float
    count: int
    clients: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """Past of a registry, as far as known.

    Args:
        since: Time from which on all pulls are known; 0 if none are.
        until: Time of the last line of a log that was taken.
        container: Id of the container whose log was read last.
        ended: Whether that was the last look before the container went.
        pulls: By repository, then by tag or digest.
        sizes: Time and bytes of all images, oldest first.
    """

    since: float = 0.0
    until: float = 0.0
    container: str = ""
    ended: bool = False
    pulls: dict[str, dict[str, Pulls]] = field(default_factory=dict)
    sizes: tuple[tuple[float, int], ...] = ()

    def pulls_of(self, repository: str, *names: str) -> Pulls | None:
        """Return the pulls of an image by any of its names; None if none is known."""
        known = self.pulls.get(repository, {})
        found = [known[name] for name in names if name in known]
        if not found:
            return None
        clients = dict.fromkeys(client for it in found for client in it.clients)
        return Pulls(max(it.last for it in found), sum(it.count for it in found), tuple(clients))

    @property
    def growth(self) -> float:
        """Bytes a day by which the images grew lately; 0 where that is not known yet."""
        if len(self.sizes) < 2 or self.sizes[-1][0] - self.sizes[0][0] < 24 * 3600:  # noqa: PLR2004 - a difference
            return 0.0
        if self.sizes[-1][0] < time.time() - _LATELY_SECONDS:
            return 0.0
        (begun, before), (ended, after) = self.sizes[0], self.sizes[-1]
        return (after - before) / (ended - begun) * 24 * 3600


def updated(
    container: Container, run: Run, engine: Engine, held: Listing | None = None, *, ends: bool = False
) -> History:
    """Return the history of a running registry, and keep the pulls in its log since the last look.

    If that fails, a warning says so: whoever looks why a disk is full need not be able to write there.

    Args:
        container: The registry's container.
        run: Settings with its name, and the console.
        engine: The container's engine.
        held: Files of the storage, if they are known: pulls of images that are gone are forgotten.
        ends: Whether the container is about to go.
    """
    storage = storages.of(container, run.settings, engine)
    content = storage.read_own(FILE)
    before = parse(content)
    now = _folded(before, container, run.settings.container, engine)
    now = replace(_sized(_pruned(now, held), usage.total(held), time.time()) if held else now, ended=ends)
    if now != before and not run.console.dry:
        try:
            _keep(now, content, storage)
        except RegistryError as error:
            run.console.warn(f"the last pulls were not noted: {error.message}")
    return now


def _keep(now: History, before: bytes, storage: Storage) -> None:
    """Write a history; a file in its place that is no history is kept under another name."""
    if before and not json_object(before):
        storage.write_own(f"{FILE}.old", before)
    storage.write_own(FILE, json.dumps(asdict(now), separators=(",", ":")).encode())


def _pruned(history: History, held: Listing) -> History:
    """Return a history without the pulls of images that are gone."""
    left = {}
    for repository, named in history.pulls.items():
        if there := held.repositories.get(repository):
            left[repository] = {name: it for name, it in named.items() if name in there.tags or name in there.revisions}
    return replace(history, pulls=left)


def read(storage: Storage) -> History:
    """Return the kept history; an empty one if there is none that can be read."""
    return parse(storage.read_own(FILE))


def parse(content: bytes) -> History:
    """Return a history from its file, without impossible parts: whoever has the volume may have written the file."""
    found = json_object(content)
    sizes = [tuple(it) for it in _list(found.get("sizes")) if isinstance(it, list) and list(map(_number, it)) == it]
    return History(
        _number(found.get("since")),
        _number(found.get("until")),
        str(found.get("container", "")),
        found.get("ended") is True,
        {name: dict(_pulls(named)) for name, named in _items(found.get("pulls"))},
        tuple((when, int(size)) for when, size in (it for it in sizes if len(it) == 2)),  # noqa: PLR2004 - a pair
    )


def _pulls(found: object) -> Iterator[tuple[str, Pulls]]:
    for name, pulls in _items(found):
        clients = tuple(it for it in _list(pulls.get("clients")) if isinstance(it, str))
        yield name, Pulls(_number(pulls.get("last")), int(_number(pulls.get("count"))), clients[:_CLIENTS])


def _items(found: object) -> Iterable[tuple[str, dict[str, Any]]]:
    return [(key, it) for key, it in found.items() if isinstance(it, dict)] if isinstance(found, dict) else ()


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _number(found: object) -> float:
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found < 1e18  # noqa: PLR2004
    return found if is_number else 0.0  # type: ignore[return-value]  # checked just now


def _folded(before: History, container: Container, name: str, engine: Engine) -> History:
    """Return a history with the pulls that a log knows since; older ones may be lost with a log that was cut."""
    if not container.id:  # several hosts, whose logs nobody reads: since then any image may have been pulled
        return replace(before, since=0.0, ended=False)
    first = _first(name, engine)
    if first is None:
        return before
    is_same = before.container == container.id
    unbroken = first <= before.until if is_same else before.ended
    since = before.since if before.since and unbroken else first
    until = begun = before.until if is_same else 0.0
    pulls = {repository: dict(named) for repository, named in before.pulls.items()}
    for line in engine.log_since(name, begun):
        if (when := time_of(line)) and when > begun:
            until = max(until, when)
            _add(line, when, pulls)
    until = min(until, time.time())  # a clock may have been ahead
    return replace(before, since=since, until=until, container=container.id, pulls=pulls)


def _first(name: str, engine: Engine) -> float | None:
    """Return the time of the first line that a log still has."""
    with contextlib.closing(engine.log_since(name, 0)) as lines:
        return next((when for when in map(time_of, lines) if when), None)


def time_of(line: str) -> float | None:
    """Return the time of a line of the registry's, in seconds since the epoch; a fraction has nine digits there."""
    found = re.match(r'time="(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"', line)
    if not found:
        return None
    try:
        second = datetime.datetime.fromisoformat(f"{found[1]}{'+00:00' if found[3] == 'Z' else found[3]}")
    except ValueError:
        return None
    return second.timestamp() + float(found[2] or 0)


def _add(line: str, when: float, pulls: dict[str, dict[str, Pulls]]) -> None:
    """Add the pull that a line tells of, if any: a question for an image counts as its last, and not as a pull."""
    if 'msg="response completed"' not in line or len(line) > _LINE:
        return
    said = fields(line)
    method, found = said.get("http.request.method"), _MANIFEST.match(said.get("http.request.uri", ""))
    # Questions of this project name no program.
    if said.get("http.response.status") != "200" or not said.get("http.request.useragent") or not found:
        return
    if method not in {"GET", "HEAD"} or is_ours(found["repository"]):
        return
    named = pulls.setdefault(found["repository"], {})
    known, client = named.get(found["name"], Pulls(0.0, 0)), _client(said)
    clients = known.clients if client in known.clients else (*known.clients, client)[:_CLIENTS]
    named[found["name"]] = Pulls(max(when, known.last), known.count + (method == "GET"), clients)


def fields(line: str) -> dict[str, str]:
    """Return the fields of a line; of two of one name the first, since a later one may be a client's own words."""
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(line):
        found.setdefault(key, value[1:-1] if value.startswith('"') else value)
    return found


def _client(said: dict[str, str]) -> str:
    """Return the user, or the address without its port."""
    address = re.sub(r":\d+\Z", "", said.get("http.request.remoteaddr", ""))
    return said.get("auth.user.name") or address


def _sized(history: History, size: int, now: float) -> History:
    """Return a history with a size, if the last one is not of this hour."""
    if history.sizes and 0 <= now - history.sizes[-1][0] < _SAMPLE_SECONDS:
        return history
    recent = (it for it in history.sizes if now - _SAMPLED_SECONDS < it[0] <= now)
    return replace(history, sizes=(*recent, (now, size)))
