"""Clients that work while a registry is replaced: connections and slow streams, engines' pulls and pushes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.steps import CERTS

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

LOGIN = "ada:enough for me"
LOOPS = {
    "pulls": 'docker rmi --force "$1"; docker pull --quiet "$1"',
    "pushes": 'docker tag busybox:1 "$1-$turn" && docker push --quiet "$1-$turn"',
    "podman": 'podman rmi --force "$1"; podman pull --quiet "$1"',
}
LOOP = """
turn=0
while [ ! -e /srv/enough ]; do
    if { %s; } >/srv/said-$2 2>&1; then echo good; else echo bad; cat /srv/said-$2 >&2; fi
    turn=$((turn + 1))
done
echo ended
"""
CLIENTS = "/srv/front_clients.py"


def begin(client: Host, host: str, reference: str) -> None:
    """Have clients of all kinds work on a host, and wait until each has had one good end."""
    client.does("rm", "-f", "/srv/enough", "/srv/at-work")
    client.write(CLIENTS, (Path(__file__).parent / "front_clients.py").read_bytes())
    client.begin("python3", CLIENTS, host, f"{CERTS}/ca.crt", LOGIN, log="/srv/clients")
    for name, command in LOOPS.items():
        client.begin("sh", "-c", LOOP % command, "sh", reference, name, log=f"/srv/{name}")
    for name in LOOPS:
        client.wait_for(f"the first of the {name}", lambda name=name: "good" in client.peek(f"/srv/{name}"))  # type: ignore[misc]
    client.wait_for("the clients' first connection", lambda: client.silently("test", "-e", "/srv/at-work").code == 0)


def end(client: Host) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """End them, and return how often each had good and bad ends, and the words of the bad ones."""
    client.write("/srv/enough", "")
    for name in LOOPS:
        client.wait_for(f"the last of the {name}", lambda name=name: "ended" in client.peek(f"/srv/{name}"))  # type: ignore[misc]
    client.wait_for("the clients' last words", lambda: "counts" in client.peek("/srv/clients"), seconds=120)
    said: Any = json.loads(next(line for line in client.peek("/srv/clients").splitlines() if line.startswith("{")))
    counts: dict[str, dict[str, int]] = said["counts"]
    words: dict[str, int] = said["words"]
    for name in LOOPS:
        lines = client.peek(f"/srv/{name}").splitlines()
        counts[name] = {"good": lines.count("good"), "bad": lines.count("bad")}
        for line in lines:
            if line not in {"good", "bad", "ended"}:
                words[f"{name}: {line}"] = words.get(f"{name}: {line}", 0) + 1
    return counts, words
