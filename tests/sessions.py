"""Runs the test command's sessions, as many side by side as bear it: `./inv test`, or `python -m tests.sessions`.

What a session prints is shown in one piece when it ends, and a table of all closes the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packages import FRESH, link
from trusted_registry.engine import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

NOX = [sys.executable, "-I", "-m", "nox", "--noxfile", str(ROOT / "noxfile.py")]

STAGES: tuple[tuple[tuple[str, ...], ...], ...] = (
    # The engine's tests and the lab share this machine's engine, so they take turns; no other session touches it. They
    # wait for containers, and come first: the others take all the processor that they leave.
    (("engine", "lab"), ("lint", "types", "tests", "docs")),
)
"""One stage after the other; in each, lanes side by side; in each lane, nox's sessions one after the other."""

ENDED = re.compile(r"^nox > Session (\S+) (was successful|failed|aborted)", re.MULTILINE)
NICER = 15
"""Niceness by which a lane gives way to the one before it."""

STOPS = (signal.SIGINT, signal.SIGTERM)
STOPPING = 90.0
"""Seconds that sessions may take to clean up; the lab takes the most, since each of its hosts is a container."""


@dataclass
class Session:
    """A session that has ended.

    Args:
        name: As nox has it.
        seconds: How long it took.
        passed: Whether it was successful.
    """

    name: str
    seconds: float
    passed: bool


@dataclass
class Lane:
    """Sessions that one nox runs one after the other.

    Args:
        names: What is asked of nox.
        ended: The sessions that have ended.
    """

    names: tuple[str, ...]
    ended: list[Session] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None

    def start(self, printing: threading.Lock, *, behind: int = 0) -> None:
        """Start nox, and a thread that shows what each session printed, whole, when it has ended.

        Args:
            printing: Held while one session is shown.
            behind: Lanes that go before this one where the processor is short.
        """
        argv = ["nice", "-n", str(NICER * behind), *NOX, "--session", *self.names]
        # With a colour for nobody, and each line as it is written.
        environ = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.reader = threading.Thread(target=self._follow, args=[self.process, printing])
        self.reader.start()

    def join(self) -> None:
        """Wait until nox has ended and all that it printed is shown."""
        if self.reader:
            self.reader.join()

    def _follow(self, process: subprocess.Popen[str], printing: threading.Lock) -> None:
        printed: list[str] = []
        begun = time.monotonic()
        with process:
            for line in process.stdout or ():
                printed.append(line)
                if found := ENDED.match(line):
                    self.ended.append(Session(found[1], time.monotonic() - begun, found[2] == "was successful"))
                    _show(printed, printing)
                    printed, begun = [], time.monotonic()
            _show(printed, printing)

    @property
    def code(self) -> int:
        """The exit status of nox."""
        return self.process.returncode if self.process else 1


def main() -> int:
    """Return 0 where every session passed, 1 where one failed or this machine lacks a program, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lanes: list[Lane] = []
    try:
        with _only_one():
            if missing := lacking():
                sys.stderr.write(f"test: {missing}\n")
                return 1
            code = run(lanes)
    except KeyboardInterrupt:
        _stop(lanes)
        code = 130
    sys.stdout.write(summary([ended for lane in lanes for ended in lane.ended], code))
    return code


def run(lanes: list[Lane]) -> int:
    """Run all stages, adding to the lanes what was started; return 1 where a session failed."""
    printing = threading.Lock()
    for stage in STAGES:
        begun = [Lane(names) for names in stage]
        lanes += begun
        for place, lane in enumerate(begun):
            with _whole():
                lane.start(printing, behind=place)
        for lane in begun:
            lane.join()
    return 1 if any(lane.code for lane in lanes) else 0


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Have what is done within come to its end before a stop counts, so that every lane that runs is known."""
    told: list[int] = []
    before = {number: signal.signal(number, lambda number, _: told.append(number)) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        raise KeyboardInterrupt


def _stop(lanes: list[Lane]) -> None:
    """Have every session clean up and end: each is told, since a signal to this process alone reaches none of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = [lane.process for lane in lanes if lane.process and lane.process.poll() is None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    end = time.monotonic() + STOPPING
    for process in running:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
    for lane in lanes:
        lane.join()


def _show(printed: list[str], printing: threading.Lock) -> None:
    with printing:
        sys.stdout.write("".join(printed))
        sys.stdout.flush()


def summary(ended: list[Session], code: int) -> str:
    """Return the table of sessions, and one line that says how the run ended."""
    rows = [f"{it.name:24} {it.seconds:5.0f} s  {'passed' if it.passed else 'FAILED'}" for it in ended]
    failed = [it.name for it in ended if not it.passed]
    last = {0: "test: every session passed", 130: "test: stopped; what the sessions had started was taken away"}
    closing = last.get(code, f"test: failed: {', '.join(failed) or 'see above'}")
    return "\n".join(["", *rows, closing, ""])


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Wait for another run in this checkout: both would write the same environments."""
    folder = ROOT / ".nox"
    folder.mkdir(exist_ok=True)
    with (folder / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("test: another run of the tests is at work in this checkout; waiting for it\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lacking() -> str:
    """Return what this machine lacks, with the command that cures it; nothing where it lacks nothing."""
    with tempfile.TemporaryDirectory() as folder:
        missing = link(Path(folder), [FRESH])
    if missing:
        packages = " ".join(sorted({it.partition(" ")[0] for it in missing}))
        return f"this machine lacks {', '.join(missing)}. Debian, Ubuntu: apt-get install {packages}"
    absent = connection.connect_error()
    return f"{absent.message} {absent.cure or './inv engine --yes sets one up.'}" if absent else ""


if __name__ == "__main__":
    sys.exit(main())
