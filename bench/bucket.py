"""Pushes and pulls of a registry whose images are in a bucket, beside one with a volume; both on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from bench import fronted
from bench.programs import WEED
from bench.report import Compared, Row
from bench.stand import INV, output
from bench.timing import BenchError, Spread
from trusted_registry.registry import probe
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.deadline import Pace
    from bench.stand import Stand

BUCKET = "bench"
_KEYS = {"access_key": "bench", "secret_key": "bench-secret"}
_RIGHTS = [f"{right}:{BUCKET}" for right in ("Read", "Write", "List", "Tagging")]
_START = 60
_PORTS = ("-s3.port.https", "-s3.port", "-master.port", "-volume.port", "-filer.port")
_GRPC = ("-master.port.grpc", "-volume.port.grpc", "-filer.port.grpc", "-s3.port.grpc")
_NONE = ("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false")


def rates(here: Stand, other: Stand, pace: Pace) -> list[Row]:
    """Count what passes a second, with the images in a bucket and in a volume, in turn.

    Args:
        here: The registry.
        other: A place whose certificate the bucket's server shows.
        pace: How often each is measured.
    """
    measures: dict[str, tuple[Callable[[Stand], float], str]] = {
        "pushes": (fronted.pushes, "pushes/s"),
        "manifests": (fronted.manifests, "manifests/s"),
        "MB of blobs": (fronted.megabytes, "MB/s"),
    }
    found: dict[str, dict[str, list[float]]] = {side: {name: [] for name in measures} for side in ("bucket", "volume")}
    took: list[float] = []
    other.clear()
    output([INV, "cert"], env=other.env)
    with _server(other) as endpoint:
        while not pace.enough(took):
            begun = time.monotonic()
            for side, figures in found.items():
                here.clear()
                if side == "bucket":
                    _tell(here, other, endpoint, len(took))
                here.inv("up")
                for name, (measure, _) in measures.items():
                    figures[name].append(measure(here))
            took.append(time.monotonic() - begun)
    return [
        Row(
            f"{name}, images in a bucket",
            "in a volume",
            unit,
            Spread(tuple(found["bucket"][name])),
            Spread(tuple(found["volume"][name])),
            Compared.RATIO,
        )
        for name, (_, unit) in measures.items()
    ]


def _tell(here: Stand, other: Stand, endpoint: str, turn: int) -> None:
    """Have the registry keep its images in the bucket, each time under a prefix that nobody has used."""
    keys = here.home / "key.json"
    keys.write_text(json.dumps(_KEYS))
    words = ("--endpoint", endpoint, "--ca", str(other.certificates / "ca.crt"), "--credentials", str(keys))
    here.inv("registry.storage", "--to", f"s3://{BUCKET}/{turn}", *words)


@contextlib.contextmanager
def _server(of: Stand) -> Iterator[str]:
    """Yield the URL of a server with an empty bucket, which ends with the context."""
    folder = of.folder / "s3"
    folder.mkdir()
    ports = dict(zip((*_PORTS, *_GRPC), _free(of.host, len(_PORTS) + len(_GRPC)), strict=True))
    credentials = [{"accessKey": _KEYS["access_key"], "secretKey": _KEYS["secret_key"]}]
    identity = {"name": "bench", "credentials": credentials, "actions": _RIGHTS}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    argv = [
        str(WEED),
        "-logtostderr=true",
        "server",
        "-s3",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        f"-s3.ip.bind={of.host}",
    ]
    argv += ["-volume.max=200", f"-s3.config={folder / 's3.json'}", *_NONE, *(f"{it}={to}" for it, to in ports.items())]
    argv += [f"-s3.cert.file={of.certificates / 'domain.crt'}", f"-s3.key.file={of.certificates / 'domain.key'}"]
    with (folder / "log").open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder) as process:
        try:
            s3 = Endpoint(of.host, ports["-s3.port.https"])
            _await(Endpoint("127.0.0.1", ports["-filer.port"]), s3, folder)
            make = f"s3.bucket.create -name {BUCKET}\n"
            shell = [str(WEED), "shell", f"-master=127.0.0.1:{ports['-master.port']}.{ports['-master.port.grpc']}"]
            subprocess.run(shell, input=make, stdout=subprocess.DEVNULL, text=True, check=True, timeout=_START)
            yield f"https://{s3}"
        finally:
            process.kill()


def _free(host: str, number: int) -> list[int]:
    """Return ports that nobody listens on, at this address and on loopback."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((host, 0))) for _ in range(number)]
        return [it.getsockname()[1] for it in sockets]


def _await(filer: Endpoint, s3: Endpoint, folder: Path) -> None:
    """Wait until the server keeps what is written.

    Raises:
        BenchError: It does not.
    """
    end = time.monotonic() + _START
    while time.monotonic() < end:
        with contextlib.suppress(*probe.NO_ANSWER):
            written = probe.request(filer, "PUT", "/ready", None, body=b"x").status == http.client.CREATED
            if written and probe.request(s3, "GET", "/status", probe.unverified()).status == http.client.OK:
                return
        time.sleep(0.2)
    raise BenchError(f"SeaweedFS did not start: {(folder / 'log').read_text()[-300:]}")
