"""A real haproxy does as a front is expected to: nothing is refused or cut when it is told to lead on."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.programs import on_host, real
from trusted_registry.client_messages import catalogue
from trusted_registry.instance import roles
from trusted_registry.instance.model import PORT, TRIAL_PORT, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings

pytestmark = [pytest.mark.process, on_host("haproxy")]

SWITCHES = 6


class Front:
    """haproxy by our own configuration, whose servers are ports of loopback instead of containers."""

    def __init__(self, make_settings: MakeSettings, folder: Path) -> None:
        self._settings = make_settings(front="on")
        self.path = folder / "haproxy.cfg"
        self.port, self.trial = loopback.free_port(), loopback.free_port()

    def write(self, leads: int, trial: int | None = None) -> None:
        """Write the configuration that leads to a port, and where there is a trial, to its port too."""
        names = (f"s{leads}", f"s{trial}" if trial else "")
        (file,) = roles.front(self._settings, Image("haproxy", ""), *names).files
        server = rf"^  server s(\d+) s\1:{PORT}$"
        config = re.sub(server, rf"  server s\1 {loopback.HOST}:\1", file.content.decode(), flags=re.MULTILINE)
        for inner, outer in ((PORT, self.port), (TRIAL_PORT, self.trial)):
            config = config.replace(f"bind :{inner}\n", f"bind {loopback.HOST}:{outer}\n")
        self.path.write_text(config)

    @contextlib.contextmanager
    def standing(self) -> Iterator[subprocess.Popen[bytes]]:
        """Have it stand; its log is beside its configuration."""
        command = roles.front(self._settings, Image("haproxy", ""), "").command
        with self.path.with_suffix(".log").open("wb") as log:
            argv = [real("haproxy"), *command[:-1], str(self.path)]
            with subprocess.Popen(argv, stdout=log, stderr=log) as process:
                try:
                    until(lambda: bool(ask(self.port)))
                    yield process
                finally:
                    process.kill()


def ask(port: int) -> bytes:
    """Return what a new connection is answered, nothing where it is refused."""
    with contextlib.suppress(OSError), socket.create_connection((loopback.HOST, port), timeout=20) as connection:
        connection.sendall(b"x")
        return connection.recv(1)
    return b""


def until(holds: Callable[[], bool], again: Callable[[], None] = lambda: None) -> None:
    """Wait until something holds, and do something again meanwhile."""
    for _ in range(100):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            if holds():
                return
            time.sleep(0.01)
        again()
    pytest.fail("it never holds")


@contextlib.contextmanager
def echoing(answer: bytes, port: int = 0) -> Iterator[int]:
    """Answer each byte of each connection by one byte, and lend the port."""
    with socket.create_server((loopback.HOST, port)) as listening:

        def answer_all(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while connection.recv(1):
                    connection.sendall(answer)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer_all, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def front(make_settings: MakeSettings, tmp_path: Path) -> Front:
    """The front."""
    return Front(make_settings, tmp_path)


def test_it_leads_on_without_a_refusal_and_an_open_connection_stays(front: Front) -> None:
    met: list[bytes] = []
    end = threading.Event()

    def knock() -> None:
        while not end.is_set():
            met.append(ask(front.port))

    with echoing(b"a") as one, echoing(b"b") as other:
        front.write(one)
        with front.standing() as process, socket.create_connection((loopback.HOST, front.port)) as kept:
            knocker = threading.Thread(target=knock)
            knocker.start()
            for number in range(SWITCHES):
                now, then = (one, other) if number % 2 == 0 else (other, one)

                def again(process: subprocess.Popen[bytes] = process) -> None:
                    process.send_signal(signal.SIGHUP)

                front.write(now, then)
                again()
                until(lambda: bool(ask(front.trial)), again)
                assert ask(front.trial) == (b"b" if then == other else b"a")
                front.write(then)
                again()
                until(lambda: not ask(front.trial), again)
                since = len(met)
                until(lambda since=since: len(met) > since + 3)  # type: ignore[misc]
                assert {*met[since + 1 :]} == {b"b" if then == other else b"a"}
            end.set()
            knocker.join()
            kept.sendall(b"x")
            assert kept.recv(1) == b"a"
    assert ({*met}, len(met) > SWITCHES) == ({b"a", b"b"}, True)


def test_a_registry_that_restarts_is_waited_for(front: Front) -> None:
    answers: list[bytes] = []
    with echoing(b"a") as port:
        front.write(port)
        standing = contextlib.ExitStack()
        standing.enter_context(front.standing())
    with standing:
        client = threading.Thread(target=lambda: answers.append(ask(front.port)))
        client.start()
        time.sleep(1.5)
        with echoing(b"b", port):
            client.join()
    assert answers == [b"b"]


def test_a_configuration_that_is_none_leaves_the_one_before(front: Front) -> None:
    with echoing(b"a") as port:
        front.write(port)
        with front.standing() as process:
            front.path.write_text("nonsense\n")
            log = front.path.with_suffix(".log")
            until(lambda: "nonsense" in log.read_text(), lambda: process.send_signal(signal.SIGHUP))
            assert (ask(front.port), process.poll()) == (b"a", None)
            front.write(port, port)
            process.send_signal(signal.SIGHUP)
            until(lambda: bool(ask(front.trial)), lambda: process.send_signal(signal.SIGHUP))


def test_its_log_has_the_address_of_the_client_and_the_registry_that_it_was_led_to(front: Front) -> None:
    with echoing(b"a") as port:
        front.write(port)
        with front.standing(), socket.create_connection((loopback.HOST, front.port)) as connection:
            client = connection.getsockname()[1]
            connection.sendall(b"x")
            connection.recv(1)
            connection.close()
            log = front.path.with_suffix(".log")
            until(lambda: f"{loopback.HOST}:{client} " in log.read_text())
            (line,) = [it for it in log.read_text().splitlines() if f":{client} " in it]
    assert re.fullmatch(rf"{loopback.HOST}:{client} \[\S+\] registry s{port} \d+/\d+ ms 1/1 --", line)


def test_told_to_stop_it_ends_when_what_is_under_way_has_ended(front: Front) -> None:
    with echoing(b"a") as port:
        front.write(port)
        with front.standing() as process:
            with socket.create_connection((loopback.HOST, front.port)) as kept:
                until(lambda: bool(ask(front.port)))
                until(lambda: not ask(front.port), lambda: process.send_signal(signal.SIGUSR1))
                kept.sendall(b"x")
                assert (kept.recv(1), process.poll()) == (b"a", None)
            assert process.wait(20) == 0


@pytest.mark.parametrize(
    "client",
    [
        [sys.executable, "-c", "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"],
        pytest.param(["curl", "--silent", "--show-error"], marks=on_host("curl")),
    ],
    ids=["Python", "curl"],
)
def test_what_a_client_says_when_no_registry_is_behind_it_is_explained(client: list[str], front: Front) -> None:
    standing = contextlib.ExitStack()
    with echoing(b"a") as port:
        front.write(port)
        front.path.write_text(front.path.read_text().replace(f"retries {roles.PATIENCE_SECONDS}", "retries 1"))
        standing.enter_context(front.standing())
    with standing:
        url = f"https://{loopback.HOST}:{front.port}/v2/"
        said = subprocess.run([*client, url], capture_output=True, text=True, check=False).stderr
    assert {it.key for it in catalogue.find(said)} == {"hung-up"}, said
