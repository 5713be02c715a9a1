"""Images that go and those that stay, pulled by a real client after each; and clients that pull and push meanwhile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import places, s3
from tests.e2e.steps import CERTS, hand_over, push
from tests.e2e.test_images import _client, _printed

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.places import Place
    from tests.e2e.suites import Suite

PULL = 'rm -rf "/srv/pulled-$2" && skopeo copy --quiet --all "docker://$1" "dir:/srv/pulled-$2"'
LOOP = f"""
while [ ! -e /srv/enough ]; do
    if {{ {PULL}; }} >/srv/said-$2 2>&1; then echo good; else echo bad; cat /srv/said-$2 >&2; fi
done
echo ended
"""
CHANGED = "cd /srv && echo changed >changed && tar -c changed | docker import - changed:1"
RULE = ("images.clean", "--keep", "1", "--untagged", "--match", "app", "--yes")


@pytest.fixture(params=["volume", "bucket"])
def place(request: pytest.FixtureRequest, registry: Host, lab: Lab, suite: Suite, tmp_path: Path) -> Place:
    """Place of the registry's images."""
    if request.param == "volume":
        return places.Volume(registry)
    (host,) = lab.start({"bucket": suite.name})
    server = s3.start(host, tmp_path)
    server.is_told_to(registry)
    return places.Bucket(registry, server)


def _trusting(registry: Host, client: Host) -> Host:
    """Return a client that trusts the registry, with the programs that pull and push what docker does not."""
    hand_over(registry, client)
    client.inv("trust.linux")
    for name in ("image_clients.py", "image_loops.py"):
        client.write(f"/srv/{name}", (Path(__file__).parent / name).read_bytes())
    return client


def _pulls(client: Host, reference: str) -> bool:
    return client.run("sh", "-c", PULL, "sh", reference, "one").code == 0


def _bytes(said: str, word: str) -> float:
    """Return the bytes that a line of a task names."""
    found = re.search(rf"{word}: ([0-9.]+) ([kMG]?)B", said)
    assert found, said
    return float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]


def _digests(registry: Host) -> set[tuple[str, Any, str]]:
    return {(it["repository"], it["tag"], it["digest"]) for it in _printed(registry, "images.list")}


def test_what_stays_is_pulled_and_what_goes_is_refused_comes_back_and_is_freed(
    place: Place, registry: Host, client: Host
) -> None:
    place.up()
    trusting = _trusting(registry, client)
    made = json.loads(_client(trusting, registry, "push"))
    host = registry.address
    old = push(registry, f"{host}/app:moved")
    registry.does("sh", "-c", CHANGED)
    assert push(registry, f"{host}/app:moved", "changed:1") != old
    stays = [
        *(f"{host}/{it}" for it in ("app:moved", "list:1", "index:1")),
        f"{host}/lone@{made['digest only']}",
        f"{host}/index@{made['index arm64']}",
    ]
    goes = [
        *(f"{host}/{it}" for it in ("app:1", "app:2", f"app:{made['image'].replace(':', '-')}.sig")),
        *(f"{host}/app@{it}" for it in (made["image"], made["sharing"], made["subject"], old)),
    ]
    assert [it for it in (*stays, *goes) if not _pulls(trusting, it)] == []
    before, size = _digests(registry), place.size("blobs")
    place.clear_pulls()
    registry.inv(*RULE)
    assert ([it for it in stays if not _pulls(trusting, it)], [it for it in goes if _pulls(trusting, it)]) == ([], [])
    assert place.size("blobs") == size
    registry.inv("images.undo")
    assert _digests(registry) == before
    assert [it for it in (*stays, *goes) if not _pulls(trusting, it)] == []
    place.clear_pulls()
    size = place.size()
    said = registry.inv(*RULE, "--now").out
    freed = size - place.size()
    assert abs(freed - _bytes(said, "frees")) <= freed / 100, (freed, said)
    assert ([it for it in stays if not _pulls(trusting, it)], [it for it in goes if _pulls(trusting, it)]) == ([], [])
    registry.inv_fails("images.undo", saying="nothing to bring back")
    assert "nothing is broken" in registry.inv("images.check").out


def test_behind_a_front_no_pull_fails_meanwhile_and_each_push_that_was_taken_is_there(
    place: Place, registry: Host, client: Host, run: Run
) -> None:
    place.up("--front", "on")
    trusting = _trusting(registry, client)
    _client(trusting, registry, "push")
    reference = f"{registry.address}/index:1"
    for number in range(4):
        trusting.begin("sh", "-c", LOOP, "sh", reference, f"{number}", log=f"/srv/pulls-{number}")
    trusting.begin("python3", "/srv/image_loops.py", "push", registry.address, f"{CERTS}/ca.crt", log="/srv/pushes")
    for number in range(4):
        trusting.wait_for("the first pulls", lambda it=number: "good" in trusting.peek(f"/srv/pulls-{it}"))  # type: ignore[misc]
    for deed in (("images.remove", "app:1"), ("images.remove", "app:2", "--now"), ("images.remove", "list:*", "--now")):
        registry.inv(*deed, "--yes")
    trusting.write("/srv/enough", "")
    counts = {"good": 0, "bad": 0}
    for number in range(4):
        trusting.wait_for("the last pulls", lambda it=number: "ended" in trusting.peek(f"/srv/pulls-{it}"))  # type: ignore[misc]
        lines = trusting.peek(f"/srv/pulls-{number}").splitlines()
        counts = {key: counts[key] + lines.count(key) for key in counts}
    trusting.wait_for("the last pushes", lambda: "{" in trusting.peek("/srv/pushes"))
    pushed = json.loads(next(it for it in trusting.peek("/srv/pushes").splitlines() if it.startswith("{")))
    trusting.write("/srv/pushed.json", json.dumps(pushed["taken"]))
    argv = ("python3", "/srv/image_loops.py", "pull", registry.address, f"{CERTS}/ca.crt", "/srv/pushed.json")
    lost = json.loads(trusting.does(*argv, seconds=300).out)
    pushes = f"{len(pushed['taken'])} pushes taken, {pushed['refused']} refused, {len(lost)} lost"
    where, pulls = type(place).__name__.lower(), f"{counts['good']} pulls, {counts['bad']} failed"
    run.notes.append(f"images.remove --now, {where}, front on: {pulls}; {pushes}")
    assert (counts["bad"], lost) == (0, []), (counts, pushed["words"])
    assert counts["good"] > 4
    assert len(pushed["taken"]) > 4
    assert "nothing is broken" in registry.inv("images.check").out
