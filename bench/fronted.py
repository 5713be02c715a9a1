"""What a front costs: new connections, manifests and blobs through it, beside the registry alone; memory and start."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from typing import TYPE_CHECKING

from bench import connections
from bench.report import Compared, Row
from bench.stand import INV, ROOT, output
from bench.timing import BenchError, Side, Spread, in_turn, seconds
from trusted_registry.registry import probe, upload
from trusted_registry.registry.api import RegistryClient, digest
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.deadline import Pace
    from bench.stand import Stand

BLOB = 24_000_000
_SECONDS = 2.0
_MEMORY = re.compile(r"([0-9.]+)MiB")
_REPOSITORY = "bench"


def rates(here: Stand, image: str, pace: Pace) -> list[Row]:
    """Count what passes a second, through a front and without one, in turn; then time both kinds of `up`.

    Args:
        here: The registry.
        image: Its image, for `up`.
        pace: How often each is measured.
    """
    measures: dict[str, Callable[[Stand], float]] = {
        "new TLS connections": connections.rate,
        "manifests": manifests,
        "MB of blobs": megabytes,
        "pushes": pushes,
    }
    found: dict[str, dict[str, list[float]]] = {front: {name: [] for name in measures} for front in ("on", "off")}
    memory: list[float] = []
    took: list[float] = []
    haproxy = ""
    here.clear()
    while not pace.enough(took):
        begun = time.monotonic()
        for front, figures in found.items():
            here.inv("up", "--front", front)
            for name, measure in measures.items():
                figures[name].append(measure(here))
            if front == "on":
                memory.append(_memory(here))
                haproxy = output(["docker", "inspect", "--format", "{{.Config.Image}}", f"{here.name}-front"])
        took.append(time.monotonic() - begun)
    units = ("connections/s", "manifests/s", "MB/s", "pushes/s")
    rows = [
        _row(name, unit, found["on"][name], found["off"][name], least)
        for (name, unit, least) in zip(measures, units, (0.9, 0.9, 0.7, 0.9), strict=True)
    ]
    rows.append(Row("memory of the front", "", "MB", Spread(tuple(memory)), None, Compared.ALONE, 30))
    return [*rows, _up(here, image, haproxy, pace)]


def _row(name: str, unit: str, through: Sequence[float], direct: Sequence[float], least: float) -> Row:
    sides = Spread(tuple(through)), Spread(tuple(direct))
    return Row(f"{name}, through a front", "direct", unit, *sides, Compared.RATIO, least, at_least=True)


def _up(here: Stand, image: str, haproxy: str, pace: Pace) -> Row:
    """Time `up` with a front and without, both from images that are there: an image is made once, not at each `up`."""
    env = here.env | {"INVOKE_REGISTRY_IMAGE": image, "INVOKE_REGISTRY_FRONT_IMAGE": haproxy}
    sides = {
        "front": Side([INV, "up", "--front", "on"], env, ROOT, before=here.clear),
        "none": Side([INV, "up"], env, ROOT, before=here.clear),
    }
    taken = in_turn(sides, pace=pace, warm=True)
    with_front, without = seconds(taken["front"]), seconds(taken["none"])
    return Row("./inv up --front on", "./inv up", "s", with_front, without, Compared.RATIO, 1.6)


def _client(here: Stand) -> RegistryClient:
    tls = probe.context(here.certificates / "ca.crt")
    return RegistryClient(Endpoint(here.host, here.port), tls)


def manifests(here: Stand) -> float:
    """Return the manifests that one client gets in a second."""
    client = _client(here)
    upload.put(upload.tiny(), client.at, _REPOSITORY, ["1"], client.tls)

    def get() -> float:
        client.manifest(_REPOSITORY, "1")
        return 1

    return _a_second(get)


def megabytes(here: Stand) -> float:
    """Return the megabytes of a blob that one client gets in a second."""
    client, content = _client(here), os.urandom(BLOB)
    client.upload(_REPOSITORY, content)
    tls: ssl.SSLContext = probe.context(here.certificates / "ca.crt")

    def get() -> float:
        connection = http.client.HTTPSConnection(here.host, here.port, context=tls)
        connection.request("GET", f"/v2/{_REPOSITORY}/blobs/{digest(content)}")
        size = len(connection.getresponse().read())
        connection.close()
        return size / 1e6

    return _a_second(get)


def pushes(here: Stand) -> float:
    """Return the small blobs that one client pushes in a second."""
    client = _client(here)

    def push() -> float:
        client.upload(_REPOSITORY, os.urandom(1000))
        return 1

    return _a_second(push)


def _a_second(once: Callable[[], float]) -> float:
    begun, done = time.monotonic(), 0.0
    while time.monotonic() - begun < _SECONDS:
        done += once()
    return done / (time.monotonic() - begun)


def _memory(here: Stand) -> float:
    said = output(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", f"{here.name}-front"])
    found = _MEMORY.match(said)
    if not found:
        raise BenchError(f"docker stats said {said!r}")
    return float(found[1])
