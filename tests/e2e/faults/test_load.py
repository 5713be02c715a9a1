"""Many clients, each connection a new one: none fails, beside the document's own set-up in the same run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.faults.survived import FaultCount, keep
from tests.e2e.steps import hand_over, push

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host

CLIENTS = 8
ROUNDS = 3
PORT = 8443
"""Where the document's own registry listens; 443 is this project's."""

PULLS = """
for client in $(seq "$3"); do
    curl --silent --max-time 20 --http1.1 --no-sessionid --header 'Connection: close' --cacert "$1" \\
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' --output /dev/null \\
        --write-out '%{http_code} %{num_connects} %{size_download}\\n' "$2?[1-$4]" &
done
wait
"""
"""Has clients pull one small manifest again and again: each time by a new connection with a full handshake."""


@dataclass
class Side:
    """One registry under load: where its manifest is, whom to trust, and what came of it."""

    name: str
    url: str
    anchor: str
    pulls: int
    rates: list[float] = field(default_factory=list)
    made: int = 0
    errors: int = 0

    def load(self, client: Host) -> None:
        """Have all clients pull side by side, once."""
        begun = time.monotonic()
        said = client.does("sh", "-c", PULLS, "sh", self.anchor, self.url, str(CLIENTS), str(self.pulls)).out
        took = time.monotonic() - begun
        ended = [line.split() for line in said.splitlines()]
        good = [line for line in ended if line[:2] == ["200", "1"] and int(line[2]) > 200]
        self.made += len(ended)
        self.errors += CLIENTS * self.pulls - len(good)
        self.rates.append(len(good) / took)

    def row(self) -> FaultCount:
        """Return the row of the table."""
        rate = round(statistics.median(self.rates))
        return FaultCount(
            f"load, {self.name}", self.made, self.errors, {"connections a second": rate, "clients": CLIENTS}
        )


def test_under_many_new_connections_no_pull_fails_beside_the_document_s_own_set_up(
    registry: Host, client: Host, run: Run
) -> None:
    registry.inv("up")
    hand_over(registry, client)
    _as_the_document(registry)
    for port in (443, PORT):
        push(registry, f"{registry.address}:{port}/proof:latest")
    client.write("/srv/document.crt", registry.read("/srv/document/certs/domain.crt"))
    sides = [
        Side("this project's (P-256, its authority)", _manifest(registry, 443), f"{HOME}/certs/ca.crt", 100),
        Side("the document's (rsa:4096, self-signed)", _manifest(registry, PORT), "/srv/document.crt", 30),
    ]
    for _ in range(ROUNDS):
        for side in sides:
            side.load(client)
    keep(run, "load", [side.row() for side in sides])
    assert [side.errors for side in sides] == [0, 0]
    ours, theirs = (statistics.median(side.rates) for side in sides)
    assert ours > theirs

    registry.inv("down")
    gone = Side("nobody's", sides[0].url, sides[0].anchor, 2)
    stopped = client.run("sh", "-c", PULLS, "sh", gone.anchor, gone.url, str(CLIENTS), "2")
    assert "200" not in stopped.out, "a meter that hears no errors measures nothing"
    gone.load(client)
    assert gone.errors == CLIENTS * gone.pulls


def _manifest(registry: Host, port: int) -> str:
    return f"https://{registry.address}:{port}/v2/proof/manifests/latest"


def _as_the_document(registry: Host) -> None:
    """Type the document's own commands: its certificate, its registry, its push and its pull."""
    variables = {
        "BENCH_REGISTRY": f"{registry.address}:{PORT}",
        "BENCH_ADDRESS": registry.address,
        "BENCH_PORT": str(PORT),
        "BENCH_KEY": "-newkey rsa:4096",
        "BENCH_FOLDER": "/srv/document",
        "BENCH_CONTAINER": "document",
        "BENCH_VOLUME": "document",
        "BENCH_IMAGE": "registry:2",
    }
    registry.does("sh", "bench/document.sh", env=variables)
