"""Clients of a registry on a swarm that work all the time, and the counts of what they met."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.client_loops import CLIENTS, LOOP, LOOPS
from tests.e2e.steps import CERTS, push
from tests.e2e.upstreams import MAKE

if TYPE_CHECKING:
    from tests.e2e.swarms import Site

AT_WORK = "/srv/at-work"
NOBODY = "nobody:nothing"
PULLING = ("pulls-1", "pulls-2", "pulls-3")
"""Loops of docker pull, each of an image that shares nothing with the others'."""
WAITS = """
while [ ! -e /srv/enough ]; do
    curl --silent --output /dev/null --max-time 30 --cacert "$1" \\
        --write-out '%{time_total} %{http_code} %{exitcode}\\n' "https://$2/v2/" || true
    sleep 0.1
done
echo ended
"""
"""A new connection every tenth of a second: seconds until it was answered, the status or 000, and how curl ended."""
CUT = re.compile(r"EOF|reset by peer|curl ended with (35|56)$")
"""Words of a connection that was accepted and then closed; one that was refused has others (curl(1), EXIT CODES)."""


class Load:
    """Clients on one host: new connections, kept ones, slow downloads and uploads, and pulls by docker."""

    def __init__(self, site: Site) -> None:
        self._client, self._virtual = site.client, site.virtual

    def begin(self) -> None:
        """Have all of them begin, and wait for the first pull of each loop."""
        client = self._client
        client.does("rm", "-f", "/srv/enough", AT_WORK)
        for name in PULLING:
            client.does("sh", "-c", MAKE)
            push(client, self.reference(name), "made:1")
            client.does("docker", "rmi", "--force", "made:1")
        client.write(CLIENTS, (Path(__file__).parent / "front_clients.py").read_bytes())
        anchor = f"{CERTS}/ca.crt"
        client.begin("python3", CLIENTS, self._virtual, anchor, NOBODY, log="/srv/clients")
        client.begin("sh", "-c", WAITS, "sh", anchor, self._virtual, log="/srv/waits")
        for name in PULLING:
            client.begin("sh", "-c", LOOP % LOOPS["pulls"], "sh", self.reference(name), name, log=f"/srv/{name}")
        client.wait_for("all clients are at work", lambda: client.silently("test", "-e", AT_WORK).code == 0)
        client.wait_for("the first pulls", lambda: all("good" in self._lines(name) for name in PULLING))

    def reference(self, name: str = PULLING[0]) -> str:
        """Return the image that a loop pulls."""
        return f"{self._virtual}/{name}:1"

    def pulls(self) -> int:
        """Return how many pulls succeeded so far."""
        return sum(self._lines(name).count("good") for name in PULLING)

    def goes_on(self) -> None:
        """Wait for five more pulls from now."""
        before = self.pulls()
        self._client.wait_for("pulls go on", lambda: self.pulls() >= before + 5, seconds=120)

    def stop(self) -> None:
        """Have the clients end, and wait for that: the next ones would be counted with them."""
        self._client.write("/srv/enough", "")
        left = ("pgrep", "-f", "srv/[e]nough|[f]ront_clients")
        self._client.wait_for("all clients have ended", lambda: self._client.silently(*left).code != 0, seconds=180)

    def end(self) -> dict[str, Any]:
        """Have the clients end; return good and bad ends by kind, the longest wait in seconds, and the bad words."""
        client = self._client
        client.write("/srv/enough", "")
        for name in (*PULLING, "waits"):
            client.wait_for(f"the last of {name}", lambda name=name: "ended" in self._lines(name), seconds=180)  # type: ignore[misc]
        client.wait_for("the last words", lambda: "counts" in client.peek("/srv/clients"), seconds=180)
        said: Any = json.loads(next(it for it in self._lines("clients") if it.startswith("{")))
        asked = [it.split() for it in self._lines("waits") if it != "ended"]
        answered = [float(seconds) for seconds, code, _ in asked if code == "200"]
        pulled = Counter(it for name in PULLING for it in self._lines(name) if it != "ended")
        words = {it: count for it, count in pulled.items() if it not in {"good", "bad"}}
        words |= Counter(f"curl ended with {ended}" for _, code, ended in asked if code != "200")
        return {
            **said["counts"],
            "connections by curl": {"good": len(answered), "bad": len(asked) - len(answered)},
            "pulls": {"good": pulled["good"], "bad": pulled["bad"]},
            "longest wait": max(answered),
            "words": {**said["words"], **words},
        }

    def _lines(self, name: str) -> list[str]:
        return self._client.peek(f"/srv/{name}").splitlines()


def connections(found: dict[str, Any], how: str) -> int:
    """Return the new connections of both kinds that ended well, or badly."""
    return int(found["new connections"][how] + found["connections by curl"][how])


def cut(found: dict[str, Any]) -> int:
    """Return the connections and pulls that failed because a connection was cut."""
    return sum(count for words, count in found["words"].items() if CUT.search(words))
