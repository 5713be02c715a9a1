"""Measures one after the other: rows at once, what is missing, what fails, and what takes too long."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from bench import processes, timing
from bench.catalogue import Measure, Setup
from bench.deadline import Pace
from bench.namespace import Etc
from bench.programs import program
from bench.record import Record
from bench.report import Compared, Row
from bench.runner import Runner
from bench.stand import Stand
from bench.timing import BenchError, Side, Spread, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.programs import Need

PROCESSES = psutil.process_iter
"""The real one: conftest's shows only children, and a daemon is nobody's."""


def _row(what: str) -> Row:
    return Row(what, "", "s", Spread((1.0, 2.0, 3.0)), None, Compared.ALONE, 2.5)


class Bench:
    """A bench of measures that a test makes up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = Record(folder / "bench.json", {"machine": "this one"})
        place = Stand("none", 1, "ec:P-256", "192.0.2.1", folder / "p256", folder / "home", Etc(folder, "none"))
        self.setup = Setup(place, place)

    def run(self, *measures: Measure, seconds: float = 60) -> None:
        """Run measures, which may take so many seconds all together."""
        Runner(self.setup, self.record, 7, str(self.folder), time.monotonic() + seconds).all(measures)

    @property
    def written(self) -> Any:  # noqa: ANN401 - JSON
        """Return what is in the file."""
        return json.loads(self.record.path.read_text())

    @property
    def rows(self) -> list[str]:
        """Return the rows in the file."""
        return [row["what"] for row in self.written["rows"]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench whose file is in the test's folder."""
    return Bench(tmp_path)


def _measure(name: str, rows: Callable[[], Iterator[Row]], *needs: Need, limit: float = 30) -> Measure:
    return Measure(name, f"inv {name}", limit, needs, lambda _setup, _pace: rows())


def _good(name: str, *needs: Need) -> Measure:
    return _measure(name, lambda: iter([_row(name)]), *needs)


def test_a_row_is_told_and_written_before_the_next_is_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows() -> Iterator[Row]:
        yield _row("first")
        assert bench.rows == ["first"]
        assert "first: 2.00 s (1.00 to 3.00), at most 2.50 s: met; 3 runs" in capsys.readouterr().err
        yield _row("second")

    bench.run(_measure("both", rows))
    assert bench.rows == ["first", "second"]
    assert bench.written["machine"] == {"machine": "this one"}


def test_who_reads_the_file_while_it_is_written_has_a_whole_one(bench: Bench) -> None:
    bench.run(_good("first"))
    with bench.record.path.open() as reader:
        bench.run(_good("second"))
        assert [row["what"] for row in json.load(reader)["rows"]] == ["first"]
    assert bench.rows == ["first", "second"]


def test_a_missing_program_leaves_its_measure_out_in_one_line_and_the_others_are_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run(_good("hosts", program("no-such-sshd", "openssh-server")), _good("cert", program("sh", "dash")))
    line = "left out: inv hosts: no-such-sshd is not installed; do: apt-get install openssh-server"
    assert f"bench: {line}\n" in capsys.readouterr().err
    assert bench.rows == ["cert"]
    (left_out,) = bench.written["left_out"]
    assert (left_out["measure"], left_out["reason"]) == ("hosts", "no-such-sshd is not installed")
    assert bench.written["failed"] == []
    bench.record.show()
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("error", [BenchError("it broke"), AssertionError("it broke"), OSError("it broke")])
def test_a_measure_that_fails_is_told_with_its_reason_and_the_others_go_on(
    bench: Bench, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def rows() -> Iterator[Row]:
        yield _row("before")
        raise error

    bench.run(_measure("bad", rows), _good("cert"))
    assert "FAILED: inv bad: it broke" in capsys.readouterr().err
    assert bench.rows == ["before", "cert"]
    assert [one["measure"] for one in bench.written["failed"]] == ["bad"]
    assert bench.written["left_out"] == []


def test_a_defect_of_the_bench_itself_is_not_swallowed(bench: Bench) -> None:
    def rows() -> Iterator[Row]:
        raise KeyError("defect")
        yield

    with pytest.raises(KeyError):
        bench.run(_measure("bad", rows))


def test_no_control_characters_of_a_program_reach_the_terminal(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows() -> Iterator[Row]:
        raise BenchError("\x1b]0;mine\x07 it broke\n\x1b[31m again")
        yield

    bench.run(_measure("bad", rows))
    said = capsys.readouterr().err
    assert [letter for letter in said.rstrip("\n") if not letter.isprintable() and letter != "\n"] == []
    assert said.count("\n") == 2  # that it is timed, and that it failed


@pytest.mark.process
def test_a_command_that_hangs_is_killed_at_the_deadline_with_its_children_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "process_iter", PROCESSES)
    monkeypatch.setattr(timing, "_GRACE", 0.2)
    pids = bench.folder / "pids"
    # One child hears nothing of Ctrl-C, the other is in a session of its own.
    script = f"trap '' INT; setsid sleep 300 & echo $! >>{pids}; sleep 301 & echo $! >>{pids}; wait"
    env = {**os.environ, processes.MARK: str(bench.folder)}

    def hangs() -> Iterator[Row]:
        Side(["sh", "-c", script], env, bench.folder).run()
        yield _row("never")

    begun = time.monotonic()
    bench.run(_measure("slow", hangs, limit=1), _good("cert"))
    assert time.monotonic() - begun < 20
    assert bench.rows == ["cert"]
    (failed,) = bench.written["failed"]
    assert (failed["measure"], failed["reason"]) == ("slow", "did not end within 1 seconds")
    children = [int(line) for line in pids.read_text().split()]
    assert len(children) == 2
    assert [pid for pid in children if psutil.pid_exists(pid)] == []


def test_after_the_time_for_the_whole_the_rest_is_left_out(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run(_good("cert"), seconds=5)
    assert bench.written["rows"] == []
    said = capsys.readouterr().err
    assert "left out: inv cert: the time for the whole bench is up; do: nox -s bench -- --only cert" in said


def test_a_measure_that_the_time_for_the_whole_cuts_short_is_left_out_rather_than_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.runner._LEAST", 0)

    def hangs() -> Iterator[Row]:
        time.sleep(30)
        yield _row("never")

    bench.run(_measure("slow", hangs), seconds=0.2)
    assert [one["measure"] for one in bench.written["left_out"]] == ["slow"]
    assert bench.written["failed"] == []


def test_the_image_that_could_not_be_had_is_asked_for_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(_runner: Runner) -> None:
        asked.append(1)
        raise BenchError("no registry answers")

    monkeypatch.setattr(Runner, "_get_image", get)
    up, tls = (Measure(name, f"inv {name}", 30, (), lambda _setup, _pace: [], image=True) for name in ("up", "tls"))
    bench.run(up, tls, _good("cert"))
    assert [one["reason"] for one in bench.written["failed"]] == [
        "no registry answers",
        "the registry's image could not be had",
    ]
    assert bench.rows == ["cert"]
    assert asked == [1]


@pytest.mark.process
def test_a_slow_measure_gets_fewer_runs_and_a_quick_one_all(tmp_path: Path) -> None:
    sides = {"side": Side(["true"], os.environ, tmp_path)}
    assert len(in_turn(sides, pace=Pace(7), warm=False)["side"]) == 7
    assert len(in_turn(sides, pace=Pace(7, time.monotonic()), warm=False)["side"]) == 3
    assert len(in_turn(sides, pace=Pace(1), warm=False)["side"]) == 1


@pytest.mark.process
def test_the_first_of_two_comparisons_leaves_the_second_its_part_of_the_time(tmp_path: Path) -> None:
    sides = {"side": Side(["sleep", "0.3"], os.environ, tmp_path)}
    pace = Pace(50, time.monotonic() + 4)
    first = in_turn(sides, pace=pace.share(0.5), warm=False)["side"]
    assert 3 <= len(first) < 9
    assert pace.until - time.monotonic() > 0.3  # another run of a side
