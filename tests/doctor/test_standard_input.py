"""Standard input of explain: its end is read, in little memory and in time, whatever comes."""

from __future__ import annotations

import errno
import io
import threading
import time
import tracemalloc
from os import fdopen, pipe
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import doctor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

SAID = b'\nGet "https://192.168.0.99/v2/": x509: certificate signed by unknown authority\n'
LOG = b'level=info msg="response completed" http.response.status=200\n' * 20_000
MEMORY = 40 << 20


@pytest.fixture
def in_little_memory() -> Iterator[None]:
    """A test that takes no more than some MB at any time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


def keys(settings: Settings, console: Recorder) -> list[str]:
    """Return the rows of the messages on standard input."""
    return [match.key for match in doctor.recognise(Run(settings, console), "")]


@pytest.mark.usefixtures("in_little_memory")
@pytest.mark.parametrize("size", [0, 1 << 20, 3 << 20, 1 << 40])
def test_of_a_file_of_any_size_the_end_is_read(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    with (tmp_path / "log").open("w+b") as file:
        (tmp_path / "log").unlink()  # other tests read all that is in the folder of temporary files
        file.truncate(size)
        file.seek(0, io.SEEK_END)
        file.write(SAID)
        file.seek(0)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        assert keys(settings, console) == ["unknown-authority"]


@pytest.mark.usefixtures("in_little_memory")
def test_of_a_pipe_the_end_is_kept(settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pipe()

    def write() -> None:
        with fdopen(writing, "wb") as end:
            for _ in range(50):
                end.write(LOG)
            end.write(SAID)

    threading.Thread(target=write).start()
    with fdopen(reading) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert keys(settings, console) == ["unknown-authority"]


def test_a_stream_without_an_end_has_one(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.process_time()
    with open("/dev/zero") as stream:  # noqa: PTH123 - no path of a test's own
        monkeypatch.setattr("sys.stdin", stream)
        assert keys(settings, console) == []
    assert time.process_time() - begun < 3.0


class _Terminal(io.BytesIO):
    """Terminal: its end is told once, and a second read waits for somebody to type."""

    ended = False

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def read(self, size: int | None = -1, /) -> bytes:
        assert not self.ended, "somebody would have to press Ctrl-D twice"
        self.ended = True
        return super().read(size)


def test_a_terminal_s_end_is_asked_for_once(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Stdin(io.StringIO):
        buffer = _Terminal(SAID)

    monkeypatch.setattr("sys.stdin", _Stdin())
    assert keys(settings, console) == ["unknown-authority"]


def test_standard_input_that_a_shell_closed_holds_nothing(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert keys(settings, console) == []


def test_standard_input_that_fails_is_told_in_a_sentence(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Gone(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    class _Stdin(io.StringIO):
        buffer = _Gone()

    monkeypatch.setattr("sys.stdin", _Stdin())
    with pytest.raises(RegistryError, match="cannot be read: Input/output error"):
        keys(settings, console)


def test_bytes_that_are_no_text_are_read_over(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe\x00" + SAID)
    with (tmp_path / "log").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert keys(settings, console) == ["unknown-authority"]
