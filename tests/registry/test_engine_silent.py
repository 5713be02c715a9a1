"""A socket that accepts is no engine yet: each question ends in time, in little memory, in an error of one line."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests import garbage
from tests.recorder import Recorder
from trusted_registry.engine import asking, connection, docker_images
from trusted_registry.engine.docker_engine import DockerEngine
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENCE = 0.4
"""Seconds for an answer here."""
MEMORY = 48 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MUCH = b"[" * 0xFFFE + b"\r\n"
CHUNK = b"fffe\r\n" + MUCH

Attack = tuple[bytes, bytes, float]
"""What is sent first, then without end, and the seconds between."""

SLOW: dict[str, Attack] = {
    "silence": (b"", b"", 60),
    "half a header": (OK + b"X-Mo", b"", 60),
    "headers by drops": (OK, b"X", 0.05),
    "headers one by one": (OK, b"X: y\r\n", 0.05),
    "a first line by drops": (b"HTTP/1.1 ", b"2", 0.05),
    "a body by drops": (OK + b"\r\n", b"[", 0.05),
    "a length by drops": (OK + b"Content-Length: 9999\r\n\r\n", b" ", 0.05),
    "chunks by drops": (CHUNKED, b"1\r\n[\r\n", 0.05),
    "the end of the chunks by drops": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n", 0.05),
    "going on without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "an error by drops": (b"HTTP/1.1 500 No\r\n\r\n", b"x", 0.05),
}
ENDLESS: dict[str, Attack] = {
    "an endless body": (OK + b"\r\n", MUCH, 0),
    "an endless length": (OK + b"Content-Length: 99999999999999\r\n\r\n", MUCH, 0),
    "endless chunks": (CHUNKED, CHUNK, 0),
    "one endless chunk": (CHUNKED + b"fffffffffff\r\n", MUCH.strip(), 0),
    "a size of a chunk without end": (CHUNKED, b"0" * 65536, 0),
    "a header without end": (OK + b"X: ", b"x" * 65536, 0),
    "an endless error": (b"HTTP/1.1 500 No\r\n\r\n", MUCH, 0),
    "leading on": (b"HTTP/1.1 307 On\r\nLocation: /version\r\nContent-Length: 0\r\n\r\n", b"", 0),
}
CLOSED: Attack = (b"", b"", 0)
PONG = OK + b"Api-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
VERSION = OK + b'Content-Length: 22\r\n\r\n{"ApiVersion": "1.40"}'


class Attacker:
    """An engine's place on a socket, in which somebody means harm; before that, the version may be right."""

    def __init__(self, path: Path) -> None:
        self.attack: Attack = SLOW["silence"]
        self.says_version = False
        self.known = {b"/_ping ": PONG, b"/version ": VERSION}
        self.asked = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=self._listening.accept()[:1], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.attack == CLOSED and not self.says_version:
                return
            while asked := connection.recv(65536):
                self.asked += 1
                known = next((it for path, it in self.known.items() if path in asked), b"")
                if self.says_version and known:
                    connection.sendall(known)
                    continue
                if self.attack == CLOSED:
                    return
                first, then, pause = self.attack
                connection.sendall(first)
                while (then or pause) and not self._over.wait(pause):
                    connection.sendall(then)

    def close(self) -> None:
        """Listen no more, and leave whoever is being attacked alone."""
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def attacker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacker]:
    """An attacker at DOCKER_HOST."""
    made = Attacker(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.setattr(asking, "FIRST", PATIENCE)
    monkeypatch.setattr(asking, "READ", PATIENCE)
    monkeypatch.setattr(docker_images, "_TRY", PATIENCE)
    with garbage.collected():
        yield made
        made.close()


@contextlib.contextmanager
def _engine() -> Iterator[DockerEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "FIRST", 30.0)  # the first question is answered here, by a busy machine too
        client = connection.client()
    with contextlib.closing(DockerEngine(client, Recorder())) as engine:
        yield engine


def _fails(ask: Callable[[], object]) -> RegistryError:
    """Have a question fail, in time and in little memory."""
    tracemalloc.start()
    begun = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        ask()
    seconds, memory = time.monotonic() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < PATIENCE + 3
    assert memory < MEMORY
    assert "\n" not in caught.value.message
    assert caught.value.cure
    return caught.value


@pytest.mark.parametrize("name", SLOW)
def test_a_first_question_without_an_answer_ends_soon_and_names_the_socket(
    name: str, attacker: Attacker, tmp_path: Path
) -> None:
    attacker.attack = SLOW[name]
    error = _fails(connection.client)
    assert error.message == f"The Docker Engine at unix://{tmp_path}/engine.sock does not answer."
    assert error.cure == "sudo systemctl restart docker  # or name another one: DOCKER_HOST"
    end = time.monotonic() + 10  # in which a busy machine has the attacker read
    while not attacker.asked and time.monotonic() < end:
        time.sleep(0.01)
    assert attacker.asked == 1


@pytest.mark.parametrize("name", ENDLESS)
def test_a_first_question_with_an_endless_answer_ends_soon(name: str, attacker: Attacker) -> None:
    attacker.attack = ENDLESS[name]
    assert "Docker Engine" in _fails(connection.client).message


def test_a_socket_that_is_closed_at_once_is_no_engine(attacker: Attacker) -> None:
    attacker.attack = CLOSED
    assert "No Docker Engine answers at unix://" in _fails(connection.client).message


def test_a_ping_tells_the_version_for_which_an_engine_would_run_programs(attacker: Attacker) -> None:
    attacker.says_version = True
    with _engine() as engine:
        assert engine._require_client().api.api_version == "1.41"
    assert attacker.asked == 1


TELLING_NOTHING = {
    "a header less": PONG.replace(b"Api-Version: 1.41\r\n", b""),
    "an empty header": PONG.replace(b"1.41", b""),
    "no ping": PONG.replace(b"Api-Version: 1.41\r\n", b"").replace(b"200 OK", b"404 Not Found"),
    "a ping that is forbidden": PONG.replace(b"Api-Version: 1.41\r\n", b"").replace(b"200 OK", b"403 Forbidden"),
}


@pytest.mark.parametrize("pong", TELLING_NOTHING)
def test_an_engine_whose_ping_tells_no_version_is_asked_for_it(pong: str, attacker: Attacker) -> None:
    attacker.says_version = True
    attacker.known[b"/_ping "] = TELLING_NOTHING[pong]
    with _engine() as engine:
        assert engine._require_client().api.api_version == "1.40"
    assert attacker.asked == 2


def test_one_that_falls_silent_after_a_ping_is_told_too(attacker: Attacker) -> None:
    attacker.says_version, attacker.known = True, {b"/_ping ": TELLING_NOTHING["a header less"]}
    assert "does not answer" in _fails(connection.client).message
    assert attacker.asked == 2


@pytest.mark.parametrize("number", [b"\x1b[1A", b"one", b"1.41/../..", b"1.2"])
def test_a_ping_of_no_version_that_can_be_is_no_engine_s(number: bytes, attacker: Attacker) -> None:
    attacker.says_version = True
    attacker.known[b"/_ping "] = PONG.replace(b"1.41", number)
    assert "No Docker Engine answers" in _fails(connection.client).message


QUESTIONS: dict[str, Callable[[DockerEngine], object]] = {
    "container": lambda it: it.find("registry"),
    "containers": lambda it: it.list_containers(),
    "image": lambda it: it.image_id("registry:3"),
    "volume": lambda it: it.volume("registry"),
    "volumes": lambda it: it.volumes_of("0a"),
    "information": lambda it: it.info(),
    "tried pull": lambda it: it.try_pull("192.0.2.7/app:absent"),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", ["silence", "headers by drops", "a body by drops", "endless chunks", "closed"])
def test_each_later_question_ends_too(name: str, question: str, attacker: Attacker) -> None:
    attacker.says_version, attacker.attack = True, {**SLOW, **ENDLESS, "closed": CLOSED}[name]
    with _engine() as engine:
        assert "Docker Engine" in _fails(lambda: QUESTIONS[question](engine)).message


@pytest.mark.parametrize("name", ENDLESS)
def test_a_pull_takes_no_event_without_end(name: str, attacker: Attacker) -> None:
    attacker.says_version, attacker.attack = True, ENDLESS[name]
    with _engine() as engine:
        _fails(lambda: engine.pull("192.0.2.7/app:1"))


def test_an_engine_that_was_silent_once_is_waited_for_briefly_until_it_answers(
    attacker: Attacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "AGAIN", PATIENCE / 10)
    attacker.says_version = True
    with _engine() as engine:
        _fails(engine.list_containers)
        begun = time.monotonic()
        for _ in range(5):
            assert "stopped answering" in _fails(engine.info).message
        assert time.monotonic() - begun < 4 * PATIENCE, "five times in full would be more"
        brief = 3 * PATIENCE  # in which a busy machine answers too
        monkeypatch.setattr(asking, "AGAIN", brief)
        monkeypatch.setattr(asking, "READ", 10 * brief)
        _fails(engine.info)
        attacker.attack = (OK + b"Content-Length: 2\r\n\r\n[]", b"", 0)
        assert engine.list_containers() == ()
        attacker.attack = (OK, b"Content-Length: 2\r\n\r\n[]", 1.5 * brief)
        assert engine.list_containers() == ()


def test_work_that_takes_too_long_leaves_looks_their_time(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SLOW", PATIENCE)
    monkeypatch.setattr(asking, "AGAIN", PATIENCE / 10)
    monkeypatch.setattr(asking, "READ", 10 * PATIENCE)
    attacker.says_version = True
    with _engine() as engine:
        _fails(lambda: engine.make_volume("registry", "0a"))
        attacker.attack = (OK, b"Content-Length: 2\r\n\r\n[]", PATIENCE / 2)
        assert engine.list_containers() == ()


def test_work_may_take_longer_than_a_look(attacker: Attacker) -> None:
    attacker.says_version = True
    body = b'{"Name": "registry"}'
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    attacker.attack = (OK, length + body, 3 * PATIENCE)
    with _engine() as engine:
        engine.make_volume("registry", "0a")


def test_a_pull_may_be_silent_for_longer_than_any_question(attacker: Attacker) -> None:
    event = json.dumps({"status": f"Digest: sha256:{'0a' * 32}"}).encode() + b"\n"
    attacker.says_version, attacker.attack = (
        True,
        (CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event), 3 * PATIENCE),
    )
    with _engine() as engine:
        assert engine.pull("192.0.2.7/app:1") == f"sha256:{'0a' * 32}"
