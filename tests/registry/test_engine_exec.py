"""A program in a container is heard to its end, and not for ever: a node may be anybody's."""

from __future__ import annotations

import gc
import itertools
import json
import struct
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.socket_engine import SocketEngine, asking, serving
from trusted_registry.engine import exec_output, types
from trusted_registry.engine.types import ExecResult
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trusted_registry.engine.docker_engine import DockerEngine

OUT, ERR = 1, 2


def _frame(stream: int, content: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(content)) + content


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[SocketEngine]:
    """An engine on a socket."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def engine(behind: SocketEngine) -> Iterator[DockerEngine]:
    """The same one, as the project asks it."""
    with asking(behind) as made:
        yield made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_output, "SECONDS", 0.5)


def test_what_a_program_says_is_returned_apart_with_its_status(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = [_frame(OUT, b"one\n"), _frame(ERR, b"oh\n"), _frame(OUT, b"two\n")]
    assert engine.execute("node", ["sh"]) == ExecResult(0, "one\ntwo\n", "oh\n")


def test_a_program_that_says_nothing_has_said_nothing(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = []
    assert engine.execute("node", ["sh"]) == ExecResult(0, "", "")


def _talks(stream: int) -> Iterator[bytes]:
    return itertools.repeat(_frame(stream, b"note: x\n" * 4000))


def _dribbles(_stream: int) -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield _frame(OUT, b".")


def _hangs(_stream: int) -> Iterator[bytes]:
    yield _frame(OUT, b"begun\n")
    time.sleep(3)


def _promises(_stream: int) -> Iterator[bytes]:
    yield struct.pack(">BxxxL", OUT, 1 << 20) + b"begun\n"
    time.sleep(3)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (lambda: _talks(OUT), "said more than 1 MiB"),
        (lambda: _talks(ERR), "said more than 1 MiB"),
        (lambda: _dribbles(OUT), "did not end within"),
        (lambda: _hangs(OUT), "did not end within"),
        (lambda: _promises(OUT), "did not end within"),
    ],
    ids=["talks", "complains", "dribbles", "hangs", "half a frame"],
)
def test_a_program_that_never_ends_is_an_error_with_a_cure_in_time(
    behaviour: Callable[[], Iterator[bytes]], fault: str, behind: SocketEngine, engine: DockerEngine
) -> None:
    behind.said = behaviour()
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=fault) as caught:
        engine.execute("it's", ["sh"])
    assert time.monotonic() - begun < 10
    assert caught.value.cure.endswith("docker top 'it'\"'\"'s'")


def test_a_stream_of_no_known_kind_is_an_error(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = [_frame(7, b"what\n")]
    with pytest.raises(RegistryError, match="Nothing can run in node"):
        engine.execute("node", ["sh"])


@pytest.fixture
def _no_garbage_collected() -> Iterator[None]:
    """Nothing closes by chance what was forgotten."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_garbage_collected")
def test_a_program_leaves_no_connection_open(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = [_frame(OUT, b"done\n")]
    engine.execute("node", ["sh"])
    before = psutil.Process().num_fds()
    assert [engine.execute("node", ["sh"]).out for _ in range(5)] == ["done\n"] * 5
    assert _open_in_the_end(before) <= before


@pytest.mark.usefixtures("_no_garbage_collected")
def test_an_error_amid_a_stream_leaves_no_connection_open_though_it_is_kept(
    behind: SocketEngine, engine: DockerEngine, tmp_path: Path
) -> None:
    refused = json.dumps({"errorDetail": {"message": "no"}, "error": "no"}) + "\n" + json.dumps({"stream": "more"})
    behind.answers = {r"/images/(load|create|[^/]+/push)": refused + "\n"}
    (tmp_path / "images.tar").write_bytes(b"tar")
    asked = (lambda: engine.load(tmp_path / "images.tar"), lambda: engine.pull("app:1"), lambda: engine.push("app:1"))
    kept = [_refusal(it) for it in asked]
    before = psutil.Process().num_fds()
    kept += [_refusal(it) for it in asked * 3]
    assert _open_in_the_end(before) <= before, kept


def _open_in_the_end(wanted: int) -> int:
    """Return how many files are open, as soon as they are as few as wanted: an engine in this process closes late."""
    end = time.monotonic() + 5
    while (found := psutil.Process().num_fds()) > wanted and time.monotonic() < end:
        time.sleep(0.01)
    return found


def _refusal(ask: Callable[[], object]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        ask()
    return caught.value


# What is heard piece by piece


def test_a_program_is_heard_as_it_speaks_and_its_errors_apart(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = [_frame(OUT, b"one\ntw"), _frame(ERR, b"oh\n"), _frame(OUT, b"o\n")]
    errors = bytearray()
    pieces = list(engine.stream("node", ["sh"], errors))
    assert (pieces, bytes(errors)) == ([b"one\ntw", b"o\n"], b"oh\n")
    assert list(types.split_lines(pieces)) == ["one", "two"]


def test_there_is_no_bound_on_what_is_heard_piece_by_piece(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = [_frame(OUT, b"x" * 1023 + b"\n")] * (2 * exec_output.MOST >> 10)
    assert sum(map(len, engine.stream("node", ["sh"], bytearray()))) == 2 * exec_output.MOST


def test_a_program_that_falls_silent_is_not_waited_for(
    behind: SocketEngine, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_output, "SILENT", 0.2)
    behind.said = itertools.chain([_frame(OUT, b"one\n")], _silence())
    heard = engine.stream("node", ["sh"], bytearray())
    assert next(heard) == b"one\n"
    with pytest.raises(RegistryError, match="said nothing for"):
        next(heard)


def _silence() -> Iterator[bytes]:
    time.sleep(1)
    yield b""


def test_who_stops_listening_leaves_no_thread_behind(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.said = itertools.repeat(_frame(OUT, b"x\n"), 100_000)
    heard = engine.stream("node", ["sh"], bytearray())
    next(heard)
    assert len(_listeners()) == 1
    time.sleep(0.5)  # it is ahead by as much as it may, and waits
    heard.close()  # type: ignore[attr-defined]  # a generator's
    end = time.monotonic() + 10
    while _listeners() and time.monotonic() < end:
        time.sleep(0.05)
    assert _listeners() == []


def _listeners() -> list[str]:
    """Return the threads that listen, by the function that each runs; the engine's own are in this process too."""
    return [it.name for it in threading.enumerate() if "_listen" in it.name]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"one"], ["one"]),
        ([b"one\n"], ["one"]),
        ([b"o", b"ne\n\ntwo"], ["one", "", "two"]),
        ([b"\xff\n"], ["\ufffd"]),
        ([b"x" * (types.LINE + 1), b"y\n"], ["x" * (types.LINE + 1), "y"]),
    ],
)
def test_lines_come_whole_however_they_were_cut(chunks: list[bytes], lines: list[str]) -> None:
    assert list(types.split_lines(chunks)) == lines
