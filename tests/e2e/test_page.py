"""What trust.serve offers, taken by another machine: the line to type, and the page in a browser there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, fingerprint, is_refused, offer, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

LOG = "/srv/serve.log"
SIZES = ("390x844", "1280x900")
"""A phone, and a desk."""


def test_the_line_that_trust_serve_shows_has_another_machine_trust_the_registry(
    registry: Host, client: Host, bystander: Host
) -> None:
    reference = f"{registry.address}/app:1"
    registry.inv("up")
    pushed = push(registry, reference)
    lines = [line for line in _offer(registry) if _is_for(client, line)]
    assert lines
    is_refused(client, reference)
    for line in lines:
        said = client.does("sh", "-c", f"cd /srv && {line}").out
        assert f"proof: {registry.address} is accepted by docker" in said, said
        assert f"now: docker pull {registry.address}/IMAGE" in said, said
        assert pull(client, reference) == pushed
        client.does("sh", "-c", f"{line} --remove")
        is_refused(client, reference)
    is_refused(bystander, reference)
    assert registry.peek(LOG).count(f"{client.address} took trust-") == 2 * len(lines)


def test_what_the_line_did_is_undone_by_the_copy_that_it_left_and_a_registry_that_is_off_is_told(
    registry: Host, client: Host
) -> None:
    reference = f"{registry.address}/app:1"
    registry.inv("up")
    push(registry, reference)
    line = next(line for line in _offer(registry) if _is_for(client, line))
    done = client.does("sh", "-c", f"{line} && rm -rf /tmp/tmp.*")
    (undo,) = re.findall(r"^To remove this later: (sudo sh .+ --remove)$", done.out, re.MULTILINE)
    client.does("sh", "-c", undo)
    is_refused(client, reference)
    assert client.run("test", "-e", "/var/lib/trusted-registry").code == 1
    registry.inv("registry.stop")
    off = client.does("sh", "-c", line)
    assert ("proof:" in off.out, f"note: {registry.address} does not answer" in off.err) == (False, True), off


def test_the_line_runs_nothing_that_was_changed_on_the_way(registry: Host, client: Host) -> None:
    reference = f"{registry.address}/app:1"
    registry.inv("up")
    push(registry, reference)
    for line in _offer(registry):
        if not _is_for(client, line):
            continue
        digest = re.search(r"[0-9a-f]{64}", line)
        assert digest
        client.fails("sh", "-c", f"cd /srv && {line.replace(digest[0], digest[0][::-1])}", saying="FAILED")
    is_refused(client, reference)


def test_a_browser_on_another_machine_shows_the_page_with_the_registrys_fingerprint(
    registry: Host, lab: Lab, suite: Suite
) -> None:
    (desktop,) = lab.start({"desktop": suite.name}, desktop="desktop")
    registry.inv("up")
    push(registry, f"{registry.address}/app:1")
    registry.write("/srv/image_clients.py", (Path(__file__).parent / "image_clients.py").read_bytes())
    registry.does("python3", "/srv/image_clients.py", "copy", registry.address, f"{CERTS}/ca.crt", "app", "1", "199")
    _offer(registry)
    for size in SIZES:
        argv = ["python3", f"{HOME}/tests/browser.py", f"http://{registry.address}:8000/", size, f"/srv/{size}.png"]
        found = json.loads(desktop.does(*argv).out)
        assert found["fingerprint"] == fingerprint(registry, f"{CERTS}/ca.crt")
        assert (found["width"], found["sticks_out"]) == (found["scrolls"], [])
        assert (found["refused"], found["buttons"]) == ([], found["boxes"])
        assert found["boxes"] > 3 * 200
        assert desktop.does("head", "-c", "8", f"/srv/{size}.png").out.endswith("PNG\r\n\x1a\n")


def _is_for(client: Host, line: str) -> bool:
    """Whether a machine has the program by which a line fetches the kit."""
    (program,) = re.findall(r"&& (curl|wget) ", line)
    return client.run("which", program).code == 0


def _offer(registry: Host) -> list[str]:
    """Have the registry's host offer everything for some minutes, and return the lines for Linux that it shows."""
    return [line for line in offer(registry, log=LOG) if "sudo sh" in line]
