"""What is offered to the LAN: three things, for a while, to clients that may be anybody."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ADDRESS
from tests.disk import mode, snapshot
from tests.programs import put
from tests.recorder import Recorder
from tests.trust import sample
from tests.trust.elsewhere.kits import SHELLS, installed
from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.chapters import kit as kits
from trusted_registry.chapters import serve as chapter
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.trust.elsewhere import kit, page, serve
from trusted_registry.trust.elsewhere.serve import Offer, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Invoke, MakeSettings
    from trusted_registry.settings import Settings

HOST = "127.0.0.1"
HOST_ON_THE_LAN = "127.0.0.3"
"""Loopback all the same, which is no setting; so the test names it past the settings' checks."""
KIT = b'#!/bin/sh\nprintf "trusted %s" "$*" > "$DONE"\n'
OFFERED = (
    Offer("/", "text/html; charset=utf-8", b"<!doctype html>", policy="default-src 'none'; style-src 'sha256-x'"),
    Offer("/trust-r.sh", "application/x-sh", KIT, "trust-r.sh"),
    Offer("/ca.crt", "application/pem-certificate-chain", sample.CERTIFICATE, "ca.crt"),
)


@pytest.fixture(autouse=True)
def _loopback_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "all_own", lambda: (HOST, "::1"))


@pytest.fixture
def taken() -> list[str]:
    """What the server said was taken, and by whom."""
    return []


@pytest.fixture
def start(taken: list[str]) -> Iterator[Callable[..., int]]:
    """A starter of servers on loopback; returns the port."""
    with contextlib.ExitStack() as stack:

        def begin(offered: tuple[Offer, ...] = OFFERED, host: str = HOST) -> int:
            server = serve.listen(host, 0, offered, lambda client, offer: taken.append(f"{client} {offer.path}"))
            over = threading.Event()
            thread = threading.Thread(target=_answer, args=[server, over])
            for step in (server.server_close, thread.join, over.set):  # the last one first
                stack.callback(step)
            thread.start()
            return int(server.server_address[1])

        yield begin


def _answer(server: Server, over: threading.Event) -> None:
    server.timeout = 0.02
    while not over.is_set():
        server.handle_request()


def _ask(port: int, path: str, method: str = "GET", host: str = HOST) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def _await(condition: Callable[[], bool]) -> None:
    """Wait for what the server does once a client has all that it asked for."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _say(port: int, words: bytes) -> bytes:
    """Send bytes and return all that comes back until the other side ends it."""
    with socket.create_connection((HOST, port), timeout=10) as client:
        client.sendall(words)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65536):
                said += part
        return said


# What is there, and nothing else


@pytest.mark.parametrize("offer", OFFERED, ids=lambda offer: offer.path)
def test_each_thing_is_given_as_it_is_with_its_type(offer: Offer, start: Callable[..., int]) -> None:
    status, headers, body = _ask(start(), offer.path)
    assert (status, headers["content-type"], body) == (200, offer.kind, offer.content)
    assert headers["content-length"] == str(len(offer.content))
    saved = f'attachment; filename="{offer.name}"' if offer.name else None
    assert headers.get("content-disposition") == saved


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_every_answer_says_that_it_is_neither_kept_nor_guessed_at(path: str, start: Callable[..., int]) -> None:
    _, headers, _ = _ask(start(), path)
    expected = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    assert {name: headers.get(name) for name in expected} == expected
    assert re.fullmatch(r"trusted-registry ?", headers["server"])


def test_the_page_comes_with_its_policy_and_the_rest_with_a_stricter_one(start: Callable[..., int]) -> None:
    port = start()
    assert [_ask(port, offer.path)[1]["content-security-policy"] for offer in OFFERED] == [
        "default-src 'none'; style-src 'sha256-x'",
        "default-src 'none'",
        "default-src 'none'",
    ]


def test_head_says_the_same_without_the_content(start: Callable[..., int], taken: list[str]) -> None:
    port = start()
    told, headers, body = _ask(port, "/ca.crt", "HEAD")
    assert (told, headers["content-length"], body) == (200, str(len(sample.CERTIFICATE)), b"")
    assert taken == []


@pytest.mark.parametrize(
    "path",
    [
        *["/ca.key", "/certs/ca.key", "/../certs/ca.key", "/ca.crt/", "/ca.crt?x=1", "/%63a.crt", "/./ca.crt", "/."],
        *["/trust-r.sh/../ca.key", "/CA.CRT", "*", "http://127.0.0.1/ca.crt", "/etc/passwd", "/index.html"],
    ],
)
def test_nothing_else_is_there(path: str, start: Callable[..., int], taken: list[str]) -> None:
    status, headers, body = _ask(start(), path)
    assert (status, headers["content-type"], body) == (404, "text/plain; charset=utf-8", b"404\n")
    assert taken == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_whatever_is_no_get_is_refused(method: str, start: Callable[..., int]) -> None:
    status, headers, body = _ask(start(), "/ca.crt", method)
    assert (status, headers["allow"], body) == (405, "GET, HEAD", b"405\n")


def test_what_is_offered_holds_no_key_and_is_what_the_registry_has(settings: Settings) -> None:
    subject = kits.subject(settings)
    shown, script, certificate = serve.offers(subject, ADDRESS)
    assert certificate.content == (settings.folder / "ca.crt").read_bytes()
    assert (script.content, script.path) == (kit.render(subject, ADDRESS), f"/{kit.file_name(subject, ADDRESS)}")
    assert shown.policy == page.policy(shown.content)
    for secret in ("ca.key", "domain.key"):
        lines = (settings.folder / secret).read_bytes().split()
        assert not [line for line in lines if len(line) > 20 and any(line in it.content for it in (shown, script))]
    assert not [it.path for it in (shown, script, certificate) if b"PRIVATE KEY" in it.content]


# Whoever asks


def test_each_download_is_told_once_with_who_took_it(start: Callable[..., int], taken: list[str]) -> None:
    port = start()
    for path in ("/nothing", "/ca.crt", "/"):
        _ask(port, path)
    _await(lambda: len(taken) > 1)
    assert sorted(taken) == ["127.0.0.1 /", "127.0.0.1 /ca.crt"]


@pytest.mark.parametrize(
    "words",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 2000 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
def test_a_request_that_is_too_long_is_refused(words: bytes, start: Callable[..., int], taken: list[str]) -> None:
    assert re.match(rb"HTTP/1\.0 431 |\Z", _say(start(), words))
    assert taken == []


@pytest.mark.parametrize(
    "words", [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_request_is_no_trouble(
    words: bytes, start: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start()
    with socket.create_connection((HOST, port), timeout=5) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        client.recv(100)
    assert _ask(port, "/ca.crt")[0] == 200
    assert capsys.readouterr().err == ""


def test_a_client_that_says_nothing_is_hung_up_on(start: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SECONDS", 0.3)
    begun = time.monotonic()
    assert _say(start(), b"") == b""
    assert time.monotonic() - begun < 1.5


def test_a_client_that_dribbles_is_hung_up_on(start: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SECONDS", 0.4)
    with socket.create_connection((HOST, start()), timeout=5) as client, pytest.raises(ConnectionError):
        _dribble(client)


def _dribble(client: socket.socket) -> None:
    for _ in range(40):  # each byte in time, all of them not
        client.sendall(b"G")
        time.sleep(0.05)


def test_those_who_come_when_it_is_full_are_turned_away_and_later_ones_served(
    start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "AT_ONCE", 2)
    port = start()
    with socket.create_connection((HOST, port)), socket.create_connection((HOST, port)):
        time.sleep(0.1)
        assert _say(port, b"GET /ca.crt HTTP/1.0\r\n\r\n") == b""
    time.sleep(0.1)
    assert _ask(port, "/ca.crt")[0] == 200


def test_a_client_that_goes_away_is_no_trouble_and_took_nothing(
    start: Callable[..., int], taken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start((Offer("/", "text/plain", b"x" * 20_000_000),))
    with socket.create_connection((HOST, port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(100)
    time.sleep(0.2)
    assert (taken, capsys.readouterr().err) == ([], "")


# Where and how long


def test_it_ends_by_itself(taken: list[str]) -> None:
    begun = time.monotonic()
    with serve.listen(HOST, 0, OFFERED, lambda _client, offer: taken.append(offer.path)) as server:
        server.offer_for(0.2)
        port = server.server_address[1]
    assert 0.2 <= time.monotonic() - begun < 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, int(port)))


def test_it_ends_in_time_though_somebody_keeps_asking(taken: list[str]) -> None:
    with serve.listen(HOST, 0, OFFERED, lambda _client, offer: taken.append(offer.path)) as server:
        port = int(server.server_address[1])
        begun = time.monotonic()
        asking = threading.Thread(target=_ask_until_refused, args=[port])
        asking.start()
        server.offer_for(0.5)
        ended = time.monotonic() - begun
    asking.join()
    assert 0.5 <= ended < 1
    assert taken


def _ask_until_refused(port: int) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            _ask(port, "/ca.crt")


def test_it_listens_on_the_registry_s_address_alone(start: Callable[..., int]) -> None:
    port = start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=1)
    assert _ask(port, "/ca.crt")[0] == 200


def test_an_ipv6_address_will_do(start: Callable[..., int], taken: list[str]) -> None:
    assert _ask(start(host="::1"), "/ca.crt", host="::1")[0] == 200
    _await(lambda: taken == ["::1 /ca.crt"])


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::", "no-such-name.invalid"])  # noqa: S104 - refused
def test_an_address_of_another_machine_is_refused_with_a_cure(host: str) -> None:
    with pytest.raises(RegistryError, match="no address of this machine") as caught:
        serve.listen(host, 0, OFFERED, lambda *_: None)
    assert "--address" in caught.value.cure


def test_a_taken_port_is_named_with_another(start: Callable[..., int]) -> None:
    port = start()
    with pytest.raises(RegistryError, match=f"Port {port} of {HOST} is in use") as caught:
        serve.listen(HOST, port, OFFERED, lambda *_: None)
    assert caught.value.cure == f"Use another: --at {port + 1}"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EACCES, "takes root"), (errno.EADDRNOTAVAIL, "Nothing can listen on port 80 of")]
)
def test_a_port_that_may_not_be_had_is_an_error_with_a_cure(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> Server:
        raise OSError(number, "no")

    monkeypatch.setattr(serve, "Server", refuse)
    with pytest.raises(RegistryError, match=said) as caught:
        serve.listen(HOST, 80, OFFERED, lambda *_: None)
    assert caught.value.cure


# The line to type


LINUX = ("Linux, with curl", "Linux, with wget")


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """A machine on which the line is typed: what sudo and the kit did leave is in `outcome`."""

    folder: Path
    present: Path
    outcome: Path
    shell: tuple[str, ...]

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Type a line, with variables that a person's shell may have, and tell which folder that ends in."""
        environ = {**os.environ, "TMPDIR": str(self.folder), "DONE": str(self.outcome), "CDPATH": str(self.folder)}
        line = f"{line}; ended=$?; pwd; exit $ended"
        return subprocess.run(
            [*self.shell, "-c", line], cwd=self.present, env=environ, capture_output=True, text=True, check=False
        )


@pytest.fixture(params=installed({**SHELLS, "zsh": ("zsh", "-f")}))
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Elsewhere:
    """A machine whose present folder holds all that could be in the way of the line, or be run instead."""
    present = tmp_path / "present"
    present.mkdir()
    for name in ("trust-r.sh", "ca.crt"):
        (present / name).symlink_to(tmp_path / "theirs")
    (present / "d").write_text("theirs")
    for name in ("mktemp", "curl", "wget", "sha256sum", "sudo"):
        (present / name).write_text("#!/bin/sh\nexit 1\n")
        (present / name).chmod(0o755)
    (tmp_path / "theirs").write_text("theirs")
    return Elsewhere(tmp_path, present, tmp_path / "outcome", request.param)


@pytest.fixture
def asked(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sudo that tells what it was asked, and does nothing else."""
    put("sudo", 'printf "%s " "$@" > "$DONE"', elsewhere.folder, monkeypatch)
    return elsewhere.outcome


@pytest.mark.process
@pytest.mark.parametrize("flag", ["", "--remove"])
@pytest.mark.parametrize("machine", LINUX)
def test_the_line_to_type_runs_what_was_offered_and_nothing_that_lies_in_the_present_folder(
    machine: str, flag: str, elsewhere: Elsewhere, start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("sudo", 'exec "$@"', elsewhere.folder, monkeypatch)
    before = snapshot(elsewhere.present)
    done = elsewhere.type(f"{serve.typed(serve.base(HOST, start()), OFFERED)[machine]} {flag}")
    assert (done.returncode, elsewhere.outcome.read_text()) == (0, f"trusted {flag}"), done
    assert (snapshot(elsewhere.present), (elsewhere.folder / "theirs").read_text()) == (before, "theirs")
    made = Path(done.stdout.splitlines()[-1])
    assert (mode(made), [it.name for it in made.iterdir()]) == (0o700, ["trust-r.sh"])


@pytest.mark.process
@pytest.mark.parametrize("machine", LINUX)
def test_the_line_to_type_works_in_a_folder_that_may_not_be_written(
    machine: str, elsewhere: Elsewhere, start: Callable[..., int], asked: Path
) -> None:
    line = serve.typed(serve.base(HOST, start()), OFFERED)[machine]
    elsewhere = dataclasses.replace(elsewhere, present=Path("/proc"))
    assert (elsewhere.type(line).returncode, asked.read_text()) == (0, "sh trust-r.sh ")


@pytest.mark.process
def test_the_line_to_type_runs_nothing_where_no_folder_can_be_made(
    elsewhere: Elsewhere, start: Callable[..., int], asked: Path
) -> None:
    before = snapshot(elsewhere.present)
    elsewhere = dataclasses.replace(elsewhere, folder=elsewhere.folder / "nowhere")
    for line in serve.typed(serve.base(HOST, start()), OFFERED).values():
        assert elsewhere.type(line).returncode != 0
    assert (asked.exists(), snapshot(elsewhere.present)) == (False, before)


@pytest.mark.process
@pytest.mark.parametrize("machine", [*LINUX, "macOS"])
def test_the_line_to_type_runs_nothing_that_was_changed_by_one_byte_on_the_way(
    machine: str, elsewhere: Elsewhere, start: Callable[..., int], asked: Path
) -> None:
    changed = tuple(Offer(it.path, it.kind, it.content[:-1] + b" ", it.name) for it in OFFERED)
    done = elsewhere.type(serve.typed(serve.base(HOST, start(changed)), OFFERED)[machine])
    assert (done.returncode != 0, asked.exists()) == (True, False)
    assert "FAILED" in done.stdout


@pytest.mark.process
def test_the_line_to_type_runs_nothing_where_nothing_is_offered(
    elsewhere: Elsewhere, start: Callable[..., int], asked: Path
) -> None:
    for line in serve.typed(serve.base(HOST, start(OFFERED[:1])), OFFERED).values():
        assert elsewhere.type(line).returncode != 0
    assert not asked.exists()


@pytest.mark.process
def test_on_a_mac_the_line_trusts_the_certificate_that_was_checked(
    elsewhere: Elsewhere, start: Callable[..., int], asked: Path
) -> None:
    assert shutil.which("shasum"), "perl has it, as macOS does"
    assert elsewhere.type(serve.typed(serve.base(HOST, start()), OFFERED)["macOS"]).returncode == 0
    assert asked.read_text() == (
        "security add-trusted-cert -d -r trustRoot -p ssl -p basic -k /Library/Keychains/System.keychain ca.crt "
    )


def test_an_ipv6_address_stands_in_brackets_and_no_shell_takes_them_for_a_pattern() -> None:
    lines = serve.typed(serve.base("fd00::12", 8000), OFFERED)
    assert lines["Linux, with curl"].startswith(
        "d=$(mktemp -d) && cd \"$d\" && curl -fsSO 'http://[fd00::12]:8000/trust-r.sh' && echo "
    )


# The task


@pytest.mark.parametrize(
    ("minutes", "port"),
    [("0", "8000"), ("1441", "8000"), ("ten", "8000"), ("", "8000"), ("1", "0"), ("1", "65536"), ("1", "http")],
)
def test_a_flag_that_makes_no_sense_is_refused(
    minutes: str, port: str, make_settings: MakeSettings, edge: Recorder
) -> None:
    with pytest.raises(SettingError):
        chapter.serve(make_settings(), edge, minutes=minutes, at=port)


def test_without_a_certificate_there_is_nothing_to_offer(make_settings: MakeSettings, edge: Recorder) -> None:
    with pytest.raises(RegistryError, match="no certificate to trust"):
        chapter.serve(make_settings(), edge, minutes="1", at="8000")


def test_a_dry_run_shows_what_would_be_offered_and_listens_nowhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "Server", None)
    edge = Recorder(dry=True)
    chapter.serve(settings, edge, minutes="1", at="8000")
    said = "\n".join(edge.said)
    assert edge.typed == []
    assert (f"http://{ADDRESS}:8000/ca.crt" in said, "sha256sum -c -" in said) == (True, True)


def test_the_task_says_what_to_type_who_took_what_and_that_it_is_over(
    settings: Settings, edge: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(settings, address=HOST_ON_THE_LAN)
    monkeypatch.setattr(address, "all_own", lambda: (HOST_ON_THE_LAN,))
    asked: list[int] = []

    def ask(server: Server, seconds: float) -> None:
        threading.Thread(target=lambda: asked.append(_ask(port, "/ca.crt", host=HOST_ON_THE_LAN)[0])).start()
        server.handle_request()
        _await(lambda: bool(asked) and "took" in edge.said[-1])
        assert seconds == 60

    with socket.create_server((HOST_ON_THE_LAN, 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(Server, "offer_for", ask)
    chapter.serve(settings, edge, minutes="1", at=str(port))
    fingerprint = issue.trusted(settings.folder).fingerprint.upper()
    assert any(fingerprint in line.replace(":", "") for line in edge.said)
    took, over = edge.said[-2:]
    assert re.fullmatch(r"127\.0\.0\.[13] took ca\.crt", took)
    assert over == "serve: the time is over, nothing is offered any more; downloads: 1"


@pytest.mark.process
def test_ctrl_c_ends_it_at_once_and_without_a_traceback(invoke: Invoke) -> None:
    own = address.routed_address() or pytest.skip("this machine has no address but loopback")
    port = _free(own)
    assert invoke("cert", INVOKE_REGISTRY_ADDRESS=own).returncode == 0
    argv = [sys.executable, "-m", "invoke", "trust.serve", "--address", own, "--at", str(port)]
    with subprocess.Popen(argv, cwd=invoke.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout
        told = ""
        while "Ctrl-C ends it" not in told:
            line = run.stdout.readline()
            assert line, told
            told += line
        assert _ask(port, "/ca.crt", host=own)[0] == 200
        assert run.stdout.readline() == f"{own} took ca.crt\n"
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
    assert (run.returncode, rest) == (130, "Stopped.\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own, port), timeout=1)


def _free(host: str) -> int:
    with socket.create_server((host, 0)) as taken:
        return int(taken.getsockname()[1])
