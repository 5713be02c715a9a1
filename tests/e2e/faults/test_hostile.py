"""What others do on purpose: on the way, beside, below a path, in a registry's and in an engine's place.

Each attack is counted in the table of faults; a loss is whatever it wrote, ran, kept away, or had told as one of ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.certificate.corporate import pem
from tests.e2e.checkout import DEV, HOME
from tests.e2e.faults.hostile import ANSWERS, ENGINE_ANSWERS
from tests.e2e.faults.survived import UNTOLD, FaultCount, keep
from tests.e2e.steps import CERTS, offer, pull, push

if TYPE_CHECKING:
    from tests.e2e.conftest import Run
    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

PROGRAM, ENGINE = "/srv/hostile.py", "/srv/odd.sock"
THEIRS = b"#!/bin/sh\ntouch /srv/owned\n"
"""A kit of somebody else's."""

SLOW = {"says nothing": "", "half a request": r"GET / HTTP/1.1\r\nX: ", "hears nothing": r"GET / HTTP/1.0\r\n\r\n"}
ASKS = 20
MOST_SECONDS = 60
"""In which a task ends whatever a server says; most take two."""

HOSTILE_PATH = "/home/dev/it's $(touch owned);touch owned `touch owned`"
OPENED = (("chmod", "0777", "certs"), ("chown", "daemon", "certs"), ("chmod", "0770", "certs"), ("chmod", "0777", "."))
"""Commands after which others may write to the folder, or rename it."""
CURE = re.compile(r"((?:sudo )?ch(?:mod|own) .*?)(?:; or use another.*)?$", re.MULTILINE)

KITS = 20
SWAP = """
cd /srv/tree
while [ ! -e /srv/enough ]; do
    mv "$1" aside && ln -s /srv/outside "$1"; rm -f "$1"; mv aside "$1"
done 2> /dev/null
"""
"""Puts a link in a folder's place and the folder back, again and again."""

AUTHORITY = forge.authority(permitted=None)
ECDSA = bytes.fromhex("06082a8648ce3d0403")
"""Beginning of the identifiers of ECDSA with SHA-2 in DER; the last byte says which (RFC 5758, 3.2)."""

TASKS = (("up",), ("status",), ("doctor",), ("trust.nodes",))


@pytest.fixture
def hostile(lab: Lab, suite: Suite, client: Host) -> Host:
    """A host whose owner means harm."""
    (host,) = lab.start({f"hostile-{client.name}": suite.name})
    host.write(PROGRAM, (Path(__file__).parent / "hostile.py").read_text())
    return host


def _begin(host: Host, *words: str) -> None:
    """Have the hostile program run on a host, in place of the one before."""
    host.silently("pkill", "--full", PROGRAM)
    host.wait_for("none runs", lambda: host.silently("pgrep", "--full", PROGRAM).code != 0)
    host.silently("rm", "-f", "/srv/hostile.log", ENGINE)
    host.begin("python3", PROGRAM, *words, log="/srv/hostile.log")


def _count(run: Run, kind: str, trials: int, losses: int) -> None:
    keep(run, "attacks", [FaultCount(kind, trials, losses)])


# On the way


def test_a_page_that_was_changed_on_its_way_has_another_code_and_a_changed_kit_does_not_run(
    registry: Host, client: Host, hostile: Host, run: Run
) -> None:
    registry.inv("up")
    lines = offer(registry)
    (code,) = [line.partition(": ")[2].replace(" ", "") for line in lines if line.startswith("Code of all")]
    save = f"cd /srv && {lines[lines.index('The page, on Linux:') + 1]}"
    runs = [line for line in lines if "sudo sh" in line]
    assert (len(code), len(runs)) == (20, 2)
    assert client.does("sh", "-c", save).out.startswith(code)

    check = _forge_page(registry, hostile, runs[0])
    way: tuple[str, ...] = ("OUTPUT", "--protocol", "tcp", "--destination", registry.address, "--dport", "8000")
    way += ("--jump", "DNAT", "--to-destination", f"{hostile.address}:8000")
    client.does("iptables", "--table", "nat", "--append", *way)
    losses = int(client.does("sh", "-c", save).out.startswith(code))
    client.does("sh", "-c", f"cd /srv && {check}")  # what the page itself shows says that all is well
    for line in runs:
        client.fails("sh", "-c", line, saying="FAILED")
    losses += client.silently("test", "-e", "/srv/owned").code == 0
    _count(run, "page and kit changed on the way", 1 + len(runs), losses)
    assert losses == 0

    client.does("iptables", "--table", "nat", "--delete", *way)
    client.does("sh", "-c", runs[0])
    pull(client, _pushed(registry))


def _pushed(registry: Host) -> str:
    push(registry, f"{registry.address}/app:1")
    return f"{registry.address}/app:1"


def _forge_page(registry: Host, hostile: Host, line: str) -> str:
    """Offer the page with another kit in it, by the same name and with a check of its own; return that check."""
    at = f"http://{registry.address}:8000"
    (name,) = {*re.findall(r"trust-[\w.-]+?\.sh", line)}
    page, kit = (hostile.does("curl", "--silent", "--fail", f"{at}/{it}").out for it in ("", name))
    ours, theirs = hashlib.sha256(kit.encode()).hexdigest(), hashlib.sha256(THEIRS).hexdigest()
    assert ours in page
    forged = page.replace(base64.b64encode(kit.encode()).decode(), base64.b64encode(THEIRS).decode())
    hostile.does("mkdir", "/srv/page")
    hostile.write("/srv/page/index.html", forged.replace(ours, theirs))
    hostile.write(f"/srv/page/{name}", THEIRS)
    hostile.begin("python3", "-m", "http.server", "8000", "--directory", "/srv/page", log="/srv/page.log")
    there = ("curl", "--silent", "--fail", f"http://{hostile.address}:8000/")
    hostile.wait_for("it offers another page", lambda: hostile.silently(*there).code == 0)
    return f"curl -fsSO {at}/{name} && echo '{theirs}  {name}' | sha256sum -c -"


# Beside


def test_a_slow_client_s_connections_keep_nobody_else_away(
    registry: Host, client: Host, hostile: Host, run: Run
) -> None:
    registry.inv("up")
    offer(registry)
    asks = ["curl", "--silent", "--max-time", "2", "--output", "/dev/null", "--write-out", "%{http_code}"]
    answers = []
    for first in SLOW.values():
        _begin(hostile, "crowd", registry.address, "8000", "100", first)
        time.sleep(2)  # its connections are there, and those that were closed are there again
        answers += [client.run(*asks, f"http://{registry.address}:8000/ca.crt").out for _ in range(ASKS)]
    losses = len(answers) - answers.count("200")
    _count(run, "slow clients beside others, 100 connections each", len(answers), losses)
    assert losses == 0


# Below a path


def test_a_folder_that_others_may_write_to_gets_no_key_and_its_cure_can_be_pasted_whatever_its_path_holds(
    registry: Host, client: Host, run: Run
) -> None:
    registry.does("cp", "--archive", HOME, HOSTILE_PATH)
    registry.run("rm", "-r", ".venv", folder=HOSTILE_PATH)
    registry.run("touch", "certs/theirs", folder=HOSTILE_PATH)
    registry.does("install", "-d", "-o", "dev", "/srv/paste")
    keys = []
    for opened in OPENED:
        registry.run(*opened, folder=HOSTILE_PATH)
        done = _up(registry)
        assert (done.code, "Traceback" in done.said) == (1, False), done
        keys += registry.run("find", ".", "-name", "*.key", "-path", "./certs/*", folder=HOSTILE_PATH).out.split()
        (cure,) = CURE.findall(done.err)
        pasted = registry.run("sh", "-c", cure, user="dev", folder="/srv/paste")
        assert pasted.code == 0, pasted
    assert _up(registry).code == 0
    owned = registry.run("find", "/home/dev", "/srv", "-name", "owned").out.split()
    _count(run, "folders open to others, below a hostile path", len(OPENED), len([*keys, *owned]))
    assert (keys, owned) == ([], [])

    client.run("sh", "-c", f"cd /srv && ls {HOSTILE_PATH.replace(chr(39), '')}")
    assert client.silently("test", "-e", "/srv/owned").code == 0, "such a path, unquoted, is no trap"


def _up(host: Host) -> Done:
    return host.run("./inv", "up", user="dev", folder=HOSTILE_PATH, env=host.settings)


@pytest.mark.parametrize("folder", ["etc", "etc/docker", "etc/docker/certs.d"])
def test_a_kit_never_leaves_its_root_by_a_link_that_comes_in_its_way(
    folder: str, registry: Host, client: Host, run: Run
) -> None:
    registry.inv("cert")
    registry.inv("trust.kit")
    client.write("/srv/kit.sh", registry.does("sh", "-c", f"cat {HOME}/certs/trust-*.sh").out)
    kit = ("sh", "/srv/kit.sh", "--root", "/srv/tree", "--only", "docker")
    client.does("mkdir", "--parents", "/srv/tree/etc/docker/certs.d", "/srv/outside")
    client.begin("sh", "-c", SWAP, "sh", folder, log="/srv/swap.log")
    left = []
    for _ in range(KITS):
        done = client.run(*kit)
        assert done.code in (0, 1), done
        left += client.silently("find", "/srv/outside", "-mindepth", "1").out.split()
    client.write("/srv/enough", "")
    _count(run, f"kits with --root, while {folder} is swapped for a link", KITS, len(left))
    assert left == []

    client.wait_for("the folder is back", lambda: client.silently("pgrep", "--full", "/srv/outside").code != 0)
    client.does("mkdir", "--parents", f"/srv/tree/{folder}")
    client.does(*kit)
    assert client.does("find", "/srv/tree", "-name", "ca.crt").out


# In a registry's place, and in an engine's


@pytest.mark.parametrize(
    "shown", ["as it should", "signed in an unknown way", "a thousand names", "a hundred behind it"]
)
def test_doctor_ends_in_words_whatever_a_registry_shows(shown: str, client: Host, hostile: Host, run: Run) -> None:
    certificates, key = _shown(shown, hostile.address)
    hostile.write("/srv/shown.crt", certificates)
    hostile.write("/srv/shown.key", key)
    client.write(f"{CERTS}/ca.crt", pem(AUTHORITY), owner=DEV)  # so that what comes after the handshake is read too
    asked = ANSWERS if shown == "as it should" else ["as it should"]
    ended = []
    for answer in asked:
        _begin(hostile, "registry", "8443", answer)
        hostile.wait_for("it listens", lambda: "listens" in hostile.peek("/srv/hostile.log"))
        ended.append(_timed(client, "doctor", "--remote", f"{hostile.address}:8443"))
    wrong = [str(done) for done, seconds in ended if not _is_in_words(done) or seconds > MOST_SECONDS]
    _count(run, f"doctor and a registry that shows {shown}", len(ended), len(wrong))
    assert not wrong, "\n\n".join(wrong)
    assert all(done.code == 1 for done, _ in ended), "nobody told this machine to trust it"


def _shown(kind: str, address: str) -> tuple[bytes, bytes]:
    """Return what a hostile registry shows: flawless certificates or odd ones, and their key."""
    more = [f"host-{number}.lab.local" for number in range(1000)] if kind == "a thousand names" else []
    made = forge.server(AUTHORITY, names=(address, "localhost", *more))
    certificates = pem(made, *[AUTHORITY] * (100 if kind == "a hundred behind it" else 1))
    if kind == "signed in an unknown way":
        der = made.certificate.public_bytes(serialization.Encoding.DER)
        certificates = ssl.DER_cert_to_PEM_cert(der.replace(ECDSA + b"\x02", ECDSA + b"\x7f")).encode()
    return certificates, forge.pem(made.key)


@pytest.mark.timeout(20 * MOST_SECONDS)
def test_every_task_ends_in_words_whatever_an_engine_answers(registry: Host, run: Run) -> None:
    registry.write(PROGRAM, (Path(__file__).parent / "hostile.py").read_text())
    registry.settings["DOCKER_HOST"] = f"unix://{ENGINE}"
    ended = []
    for answer in ENGINE_ANSWERS:
        for task in TASKS:
            _begin(registry, "engine", ENGINE, answer)
            registry.wait_for("it listens", lambda: "listens" in registry.peek("/srv/hostile.log"))
            ended.append(_timed(registry, *task))
    wrong = [str(done) for done, seconds in ended if not _is_in_words(done) or seconds > MOST_SECONDS]
    _count(run, "tasks and an engine's odd answers", len(ended), len(wrong))
    assert not wrong, "\n\n".join(wrong)
    del registry.settings["DOCKER_HOST"]
    registry.inv("up")


def _timed(host: Host, *words: str) -> tuple[Done, float]:
    begun = time.monotonic()
    done = host.run("./inv", *words, user="dev", env=host.settings)
    return done, time.monotonic() - begun


def _is_in_words(done: Done) -> bool:
    """Whether a task ended by itself, in words of its own: nothing that moves a cursor, and no traceback."""
    return done.code in (0, 1, 2) and not UNTOLD.search(done.said) and "\x1b" not in done.said
