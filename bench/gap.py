"""How long the registry does not answer while a certificate is renewed, beside `docker restart` of the same container.

As a client outside of this host sees it, without and with a long download that is under way.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench import outside
from bench.outside import Download
from bench.report import Compared, Row
from bench.stand import INV, output
from bench.timing import BenchError, Spread
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.deadline import Pace
    from bench.stand import Stand

RUNS = 3
"""Runs of each side at most: one with a download takes some ten seconds."""
SIZE = 48_000_000
RATE = 6_000_000
_UNDER_WAY = 3
"""Seconds after which a download meets the end of the registry that it is from: five more are left then."""
_SETTLED = 0.5
"""Seconds of answers before a command."""
_SHARE = 0.4
"""The part of the time for the trials without a download."""
_TIMES = 0.5
"""Most that a renewal may be dark, of a restart."""
RESTART, RENEW = "docker restart", "./inv cert.renew"


@dataclass(frozen=True)
class Trial:
    """One run of one side.

    Args:
        lead: Seconds from the command to the gap.
        seconds: Length of the gap.
        whole: Whether the download that was under way came to its end.
    """

    lead: float
    seconds: float
    whole: bool = False


@dataclass(frozen=True)
class Side:
    """A command that has a registry stop and start again."""

    here: Stand
    argv: Sequence[str]

    def alone(self) -> Trial:
        """Run the command while a client asks."""
        return self._run(_SETTLED)

    def beside(self, download: Download, lead: float) -> Trial:
        """Run the command while a client downloads, such that as much is left of that when the gap begins."""
        return self._run(max(_SETTLED, _UNDER_WAY - lead), download)

    def _run(self, delay: float, download: Download | None = None) -> Trial:
        with outside.client(self.here, download) as client:
            time.sleep(delay)
            begun = time.monotonic()
            output(self.argv, env=self.here.env, patience=None)
            seen = client.end()
        since, seconds = seen.gap(begun)
        return Trial(since - begun, seconds, seen.digest == download.digest if download else False)


def renewal(here: Stand, pace: Pace) -> Iterator[Row]:
    """Time the gap of both sides in turn, without and with a download."""
    here.clear()
    here.inv("cert", "registry.tls")
    sides = {RENEW: Side(here, [INV, "cert.renew"]), RESTART: Side(here, ["docker", "restart", here.name])}
    alone = _in_turn({name: side.alone for name, side in sides.items()}, pace.share(_SHARE))
    yield row(alone, "no answer for")
    download = _put(here)
    leads = {name: statistics.median(it.lead for it in alone[name]) for name in sides}
    beside = {name: partial(side.beside, download, leads[name]) for name, side in sides.items()}
    yield row(_in_turn(beside, pace), f"the same, {SIZE // 10**6} MB under way", downloads=True)


def _in_turn(sides: Mapping[str, Callable[[], Trial]], pace: Pace) -> dict[str, list[Trial]]:
    """Return the trials of each side: three at most, and one at least where they are slow."""
    trials: dict[str, list[Trial]] = {name: [] for name in sides}
    took: list[float] = []
    while not took or (len(took) < RUNS and time.monotonic() + max(took) < pace.until):
        begun = time.monotonic()
        for name, side in sides.items():
            trials[name].append(side())
        took.append(time.monotonic() - begun)
    return trials


def row(trials: Mapping[str, Sequence[Trial]], what: str, *, downloads: bool = False) -> Row:
    """Return a row of trials of both sides; one with downloads says how many were whole."""
    ours, theirs = (Spread(tuple(it.seconds for it in trials[name])) for name in (RENEW, RESTART))
    said = [f"{name}{_whole(trials[name]) if downloads else ''}" for name in (RENEW, RESTART)]
    return Row(f"{said[0]}: {what}", said[1], "s", ours, theirs, Compared.RATIO, _TIMES)


def _whole(trials: Sequence[Trial]) -> str:
    return f" ({sum(it.whole for it in trials)} of {len(trials)} downloads whole)"


def _put(here: Stand) -> Download:
    """Put a blob of random bytes into a registry.

    Raises:
        BenchError: The registry does not take it.
    """
    content = os.urandom(SIZE)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    tls = probe.context(here.certificates / "ca.crt")
    at = probe.Endpoint(here.host, here.port)
    begun = urlsplit(probe.request(at, "POST", "/v2/bench/blobs/uploads/", tls)[1].get("location", ""))
    status, *_ = probe.request(at, "PUT", f"{begun.path}?{begun.query}&digest={digest}", tls, {}, content)
    if status != http.client.CREATED:
        raise BenchError(f"the registry did not take a blob: status {status}")
    return Download(f"/v2/bench/blobs/{digest}", digest, RATE)
