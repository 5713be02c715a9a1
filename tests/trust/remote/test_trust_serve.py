"""The task that offers it: what it refuses, what it says, and how it ends."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.conftest import ADDRESS
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.remote.offered import ask, wait_for
from tests.trust.remote.pages import Read
from trusted_registry import address
from trusted_registry.certificate import changeover, issue
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit, trust_serve
from trusted_registry.trust.remote import kit_server, page
from trusted_registry.trust.remote.kit_server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Invoke, MakeSettings
    from trusted_registry.settings import Settings

HOST_ON_THE_LAN = "127.0.0.3"
"""Loopback all the same, which is no setting; so the test names it past the settings' checks."""

pytestmark = pytest.mark.usefixtures("loopback_is_ours")


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, whichever this machine has: the page lists no images."""
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_, **__: nobody())


@pytest.mark.parametrize(
    ("minutes", "port"),
    [("0", "8000"), ("1441", "8000"), ("ten", "8000"), ("", "8000"), ("1", "0"), ("1", "65536"), ("1", "http")],
)
def test_a_flag_that_makes_no_sense_is_refused(
    minutes: str, port: str, make_settings: MakeSettings, console: Recorder
) -> None:
    with pytest.raises(SettingError):
        trust_serve.serve(Run(make_settings(), console), minutes=minutes, at=port)


def test_without_a_certificate_there_is_nothing_to_offer(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="no certificate to trust"):
        trust_serve.serve(Run(make_settings(), console), minutes="1", at="8000")


def test_a_dry_run_shows_what_would_be_offered_and_listens_nowhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_server, "Server", None)
    console = Recorder(dry=True)
    trust_serve.serve(Run(settings, console), minutes="1", at="8000")
    said = "\n".join(console.said)
    assert console.typed == []
    assert (f"http://{ADDRESS}:8000/ca.crt" in said, "sha256sum -c -" in said) == (True, True)
    heads = [line for line in said.splitlines() if line.endswith(":") and " " * 2 not in line]
    assert heads[0] == "Linux, with curl:", "the line that most paste comes first"
    assert "Linux:" not in heads, "a line that only saves the page is not to be taken for it"


def test_in_a_changeover_it_tells_what_the_page_lacks(settings: Settings) -> None:
    trust_serve.serve(Run(settings, none := Recorder(dry=True)), minutes="1", at="8000")
    changeover.begin(Run(settings, Recorder()))
    trust_serve.serve(Run(settings, both := Recorder(dry=True)), minutes="1", at="8000")
    assert none.warned == []
    assert ["present root alone" in line for line in both.warned] == [True]


def test_one_code_of_all_that_is_offered_is_shown_and_the_kit_s_page_has_one_of_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    console = Recorder(dry=True)
    trust_serve.serve(Run(settings, console), minutes="1", at="8000")
    (told,) = [it.rpartition(": ")[2] for it in console.said if it.startswith("Code of all that is offered: ")]
    offered = kit_server.offers(trust_kit.load_anchor(settings), ADDRESS, kit_server.base(ADDRESS, 8000))
    assert told.replace(" ", "") == hashlib.sha256(offered[0].content).hexdigest()[:20]
    for part in offered[1:]:
        assert base64.b64encode(part.content) in offered[0].content
    kept = Recorder()
    _, paged = trust_kit.write(Run(settings, kept), out=str(tmp_path / "kit"))
    assert [page.code(paged.read_bytes()) in line for line in kept.said if line.startswith("page: code")] == [True]
    assert not any(told in line for line in kept.said)


def test_the_page_that_is_offered_has_the_line_of_the_terminal_and_a_kit_s_page_has_none(
    settings: Settings, tmp_path: Path
) -> None:
    console = Recorder(dry=True)
    trust_serve.serve(Run(settings, console), minutes="1", at="8000")
    anchor = trust_kit.load_anchor(settings)
    offered = kit_server.offers(anchor, ADDRESS, kit_server.base(ADDRESS, 8000))
    made = Read(offered[0].content.decode())
    first, *_ = made.boxes("linux")
    assert first == kit_server.download_commands(kit_server.base(ADDRESS, 8000), offered)["Linux, with curl"]
    assert any(first in line for line in console.said)
    _, paged = trust_kit.write(Run(settings, Recorder()), out=str(tmp_path / "kit"))
    assert not [it for it in Read(paged.read_text()).boxes("linux") if "mktemp" in it]


def test_a_line_that_can_be_typed_saves_the_page_and_prints_its_sum() -> None:
    lines = kit_server.page_commands("http://192.168.0.12:8000")
    assert lines["Linux"] == "curl -fsSo trust.html http://192.168.0.12:8000/ && sha256sum trust.html"
    assert max(map(len, lines.values())) < 100
    assert "'http://[fd00::12]:8000/'" in kit_server.page_commands(kit_server.base("fd00::12", 8000))["macOS"]


@pytest.mark.parametrize("missing", ["192.168.0.99", "fd00::99", "other.local"])
def test_what_no_client_would_accept_is_not_offered(missing: str, settings: Settings) -> None:
    names = dataclasses.replace(settings, names=(missing,))
    other = names if "local" in missing else dataclasses.replace(settings, address=missing)
    for offer in (lambda run: trust_serve.serve(run, minutes="1", at="8000"), trust_kit.write):
        with pytest.raises(RegistryError, match=f"does not name {missing}") as caught:
            offer(Run(other, Recorder()))
        assert caught.value.cure.endswith(f"./inv up {' '.join(other.flags)}")


def test_a_dry_run_offers_nothing_and_says_so(settings: Settings) -> None:
    console = Recorder(dry=True)
    trust_serve.serve(Run(settings, console), minutes="1", at="8000")
    assert "nothing is offered" in console.said[-1]


def test_the_task_says_what_to_type_who_took_what_and_that_it_is_over(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(settings, address=HOST_ON_THE_LAN)
    issue.ensure(Run(settings, Recorder()), force=True)
    monkeypatch.setattr(address, "own_addresses", lambda: (HOST_ON_THE_LAN,))
    asked: list[int] = []

    def offer_for(server: Server, seconds: float) -> None:
        threading.Thread(target=lambda: asked.append(ask(port, "/ca.crt", host=HOST_ON_THE_LAN)[0])).start()
        server.handle_request()
        wait_for(lambda: bool(asked) and "took" in console.said[-1])
        assert seconds == 60

    port = loopback.free_port()
    monkeypatch.setattr(Server, "offer_for", offer_for)
    trust_serve.serve(Run(settings, console), minutes="1", at=str(port))
    fingerprint = issue.trust_anchor(settings.folder).fingerprint.upper()
    assert any(fingerprint in line.replace(":", "") for line in console.said)
    took, over = console.said[-2:]
    assert re.fullmatch(r"127\.0\.0\.[13] took ca\.crt", took)
    assert over == "serve: time is up, nothing is offered any more; downloads: 1"


@pytest.mark.process
def test_ctrl_c_ends_it_at_once_and_without_a_traceback(invoke: Invoke) -> None:
    own = address.own_address()
    port = loopback.free_port()
    assert invoke("cert", INVOKE_REGISTRY_ADDRESS=own).returncode == 0
    argv = [sys.executable, "-m", "invoke", "trust.serve", "--address", own, "--at", str(port)]
    with subprocess.Popen(argv, cwd=invoke.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout
        told = ""
        while "Ctrl-C ends it" not in told:
            line = run.stdout.readline()
            assert line, told
            told += line
        assert ask(port, "/ca.crt", host=own)[0] == 200
        assert run.stdout.readline() == f"{own} took ca.crt\n"
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
    assert (run.returncode, rest) == (130, "Stopped.\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own, port), timeout=1)
