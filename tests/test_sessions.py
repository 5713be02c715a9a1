"""The test command's sessions: side by side, shown whole, summed up, and stopped together."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import sessions
from tests.sessions import Session
from trusted_registry.engine import connection
from trusted_registry.errors import RegistryError

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.process

NOX = """
import os, sys, time
for name in sys.argv[sys.argv.index("--session") + 1:]:
    print(f"{name} begins", flush=True)
    try:
        if name == "slow":
            open(f"{name}-{os.getpid()}", "w").close()
        time.sleep(60 if name == "slow" else 0.2)
    except KeyboardInterrupt:
        print(f"{name} cleans up", flush=True)
        sys.exit(130)
    print(f"nox > Session {name} {'failed' if name == 'bad' else 'was successful'} in a moment.", flush=True)
sys.exit("bad" in sys.argv)
"""


@pytest.fixture
def _nox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nox that only says what it would."""
    (tmp_path / "nox.py").write_text(NOX)
    monkeypatch.setattr(sessions, "NOX", [sys.executable, str(tmp_path / "nox.py")])


@pytest.mark.usefixtures("_nox")
def test_lanes_run_side_by_side_and_each_session_is_shown_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions, "STAGES", ((("one", "two"), ("three",)), (("four",),)))
    lanes: list[sessions.Lane] = []
    assert sessions.run(lanes) == 0
    assert [ended.name for lane in lanes for ended in lane.ended] == ["one", "two", "three", "four"]
    said = capsys.readouterr().out.splitlines()
    assert [said[at + 1] for at, line in enumerate(said) if line == "three begins"] == [
        "nox > Session three was successful in a moment."
    ]
    assert said.index("four begins") > said.index("nox > Session two was successful in a moment.")


@pytest.mark.usefixtures("_nox")
def test_one_session_that_fails_fails_the_run_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "STAGES", ((("one",), ("bad", "two")),))
    lanes: list[sessions.Lane] = []
    code = sessions.run(lanes)
    text = sessions.summary([ended for lane in lanes for ended in lane.ended], code)
    assert (code, text.splitlines()[-1]) == (1, "test: failed: bad")


def test_the_table_has_a_line_for_each_session() -> None:
    lines = sessions.summary([Session("lint", 4.2, passed=True), Session("lab", 100, passed=False)], 1).splitlines()
    assert [line.split() for line in lines[1:3]] == [["lint", "4", "s", "passed"], ["lab", "100", "s", "FAILED"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_has_every_session_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "nox.py").write_text(NOX)
    script = (
        "import sys, tests.sessions as it; it.lacking = lambda: ''; it.STAGES = ((('slow',), ('slow',)),);"
        f"it.NOX = [sys.executable, {str(tmp_path / 'nox.py')!r}]; it.ROOT = it.Path({str(tmp_path)!r});"
        "sys.exit(it.main())"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        end = time.monotonic() + 60
        while len([*tmp_path.glob("slow-*")]) < 2 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)  # both have begun; this one waits for them by now
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said.count("slow cleans up")) == (130, 2), said
    assert said.splitlines()[-1] == "test: stopped; what the sessions had started was taken away"


def test_a_stop_in_the_moment_of_a_start_leaves_no_session_behind(tmp_path: Path) -> None:
    (tmp_path / "nox.py").write_text(NOX)
    script = (
        "import os, signal, sys, time, tests.sessions as it; it.lacking = lambda: ''; it.STAGES = ((('slow',),),);"
        f"it.NOX = [sys.executable, {str(tmp_path / 'nox.py')!r}]; it.ROOT = it.Path({str(tmp_path)!r})\n"
        "class Popen(it.subprocess.Popen):\n"
        "    def __init__(self, *args, **options):\n"
        "        super().__init__(*args, **options)\n"
        "        while not [*it.ROOT.glob('slow-*')]: time.sleep(0.05)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "it.subprocess.Popen = Popen; sys.exit(it.main())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("slow cleans up"), done.stderr) == (130, 1, "")


def test_a_machine_without_an_engine_is_told_before_any_session(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = RegistryError("No Docker Engine answers on this machine.", cure="./inv engine installs and starts one.")
    monkeypatch.setattr(connection, "connect_error", lambda: absent)
    assert sessions.lacking() == f"{absent.message} {absent.cure}"
    monkeypatch.setattr(sessions, "FRESH", {"somebody-s-package": "no-such-program"})
    assert sessions.lacking().endswith("apt-get install somebody-s-package")
