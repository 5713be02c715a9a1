"""A registry that is killed every second while clients push and pull: what was acknowledged is there, and the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.checkout import HOME
from tests.e2e.faults.survived import FaultCount, keep
from tests.e2e.steps import hand_over

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host

IMAGES = 200
CLIENTS = 8
SECONDS = 480
"""In which all of it must be through: the registry lives for a second at a time, so it takes three minutes."""

SCRIPT = "/srv/storm_clients.py"
REPOSITORIES = "/var/lib/docker/volumes/trusted-registry/_data/docker/registry/v2/repositories/storm"

STORM = """
kills=0 helped=0
while [ "$kills" -lt "$1" ] && [ ! -e /srv/enough ]; do
    sleep 1
    pid=$(docker inspect --format '{{.State.Pid}}' registry)
    if [ "$pid" -gt 0 ] && kill -9 "$pid"; then
        kills=$((kills + 1))
        sleep 0.25
    fi
    if [ "$(docker inspect --format '{{.State.Restarting}}' registry)" = true ]; then
        docker restart --time 0 registry
        helped=$((helped + 1))
    fi > /dev/null
    echo "$kills $helped"
done
echo "ended"
"""
"""Kills the registry's process after each second of its life; the engine starts it again, and each time takes twice as
long to: where that is longer than a fifth of a second it is told to do it now, which makes it begin anew."""


@pytest.mark.timeout(2 * SECONDS)
def test_no_acknowledged_push_is_lost_by_a_registry_that_is_killed_every_second(
    registry: Host, client: Host, run: Run
) -> None:
    registry.inv("up")
    hand_over(registry, client)
    client.inv("trust.linux")
    client.write(SCRIPT, (Path(__file__).parent / "storm_clients.py").read_text())

    registry.begin("sh", "-c", STORM, "sh", str(SECONDS), log="/srv/storm")
    begun = time.monotonic()
    pushed = _clients(client, "push", registry.address, str(IMAGES), str(CLIENTS), str(SECONDS))
    seconds = time.monotonic() - begun
    registry.write("/srv/enough", "")
    registry.wait_for("the storm's end", lambda: "ended" in registry.peek("/srv/storm"))
    kills, helped = map(int, registry.peek("/srv/storm").split()[-3:-1])
    there = ["curl", "--silent", "--fail", "--insecure", f"https://{registry.address}/v2/"]
    registry.wait_for("the registry answers by itself", lambda: registry.silently(*there).code == 0, seconds=90)

    after = _pulled(client, registry, pushed["acknowledged"])
    figures: dict[str, float] = {
        "kills": kills,
        "restarts asked for": helped,
        "seconds": round(seconds),
        "files mended": _mended(registry),
    }
    keep(run, "storm", [_row(pushed, after, figures)])
    assert kills > seconds / 5
    assert pushed["counts"]["pushes repeated"], "not one push met a dead registry: that was no storm"
    assert not pushed["late"], f"not through within {SECONDS} s: {pushed['words']}"
    assert (after["missing"], pushed["missing"], pushed["unequal"], after["unequal"]) == ([], [], [], [])
    _is_clean_or_mended(registry)
    _what_is_lost_is_seen_to_be(registry, client, pushed["acknowledged"])


def _row(pushed: dict[str, Any], after: dict[str, Any], figures: dict[str, float]) -> FaultCount:
    figures |= {
        "pushes acknowledged": len(pushed["acknowledged"]),
        "pushes repeated": pushed["counts"]["pushes repeated"],
        "pulls": pushed["counts"]["pulls"] + after["counts"]["pulls"],
        "pulls repeated": pushed["counts"]["pulls repeated"],
        "digests unequal": len(pushed["unequal"]) + len(after["unequal"]),
    }
    return FaultCount("a registry that is killed every second under 8 clients", IMAGES, len(after["missing"]), figures)


def _mended(registry: Host) -> int:
    """Return how many files the registry found left empty at its starts."""
    said = registry.silently("docker", "logs", "registry").said
    assert "could be looked through" not in said
    return said.count(" it was left empty: ")


def _is_clean_or_mended(registry: Host) -> None:
    """Insist that a storage which survived the kills is sound, or is so once it was mended without a push."""
    registry.inv("images.check", "--fix", "--yes")
    assert "nothing is broken" in registry.inv("images.check").out


def _what_is_lost_is_seen_to_be(registry: Host, client: Host, acknowledged: dict[str, str]) -> None:
    """Insist that an image which is taken away is missed, and that one which is exchanged is unequal."""
    gone, other, whole = sorted(name for name in acknowledged if name.startswith("skopeo"))[:3]
    registry.does("rm", "-r", f"{REPOSITORIES}/{gone}", f"{REPOSITORIES}/{other}")
    registry.does("cp", "-r", f"{REPOSITORIES}/{whole}", f"{REPOSITORIES}/{other}")
    after = _pulled(client, registry, {name: acknowledged[name] for name in (gone, other, whole)}, seconds=3)
    assert (after["missing"], after["unequal"]) == ([gone], [other])


def _pulled(client: Host, registry: Host, acknowledged: dict[str, str], *, seconds: int = 90) -> dict[str, Any]:
    """Return what came of pulling what the registry acknowledged, from nothing."""
    client.write("/srv/acknowledged", json.dumps(acknowledged))
    return _clients(client, "pull", registry.address, str(CLIENTS), str(seconds))


def _clients(client: Host, *words: str) -> dict[str, Any]:
    said = client.does(f"{HOME}/.venv/bin/python", SCRIPT, *words, env={"PYTHONPATH": HOME}, seconds=SECONDS + 30)
    return dict(json.loads(said.out))
