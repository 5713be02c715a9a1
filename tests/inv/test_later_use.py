"""Where .venv is made: used as it is, made anew when what it was made from changes, and by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.inv.checkouts import Checkout, assert_ran, wait_for
from tests.marks import on_linux

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process


class TestNothingChanged:
    """A .venv made from this very pyproject.toml: nothing but Invoke is started."""

    def test_neither_pip_nor_another_python_is_started(self, made: Checkout) -> None:
        done = made.inv("--list", PYTHON="/no/such/python")
        assert_ran(done, made, ["--list"])
        assert done.stderr == ""
        assert made.builds == 1

    def test_a_newer_date_is_no_change(self, made: Checkout) -> None:
        (made.root / "pyproject.toml").touch()
        assert_ran(made.inv(), made, [])
        assert made.builds == 1

    @pytest.mark.parametrize(
        ("typed", "passed"),
        [
            (["--help"], ["help"]),
            (["-h"], ["help"]),
            (["--version"], ["version"]),
            (["-V"], ["version"]),
            (["--help", "up"], ["--help", "up"]),
            (["up", "--help"], ["up", "--help"]),
            (["--dry", "--version"], ["--dry", "--version"]),
        ],
    )
    def test_help_and_version_are_asked_of_the_project(
        self, typed: list[str], passed: list[str], made: Checkout
    ) -> None:
        assert_ran(made.inv(*typed), made, passed)

    def test_it_runs_from_any_folder(self, made: Checkout, tmp_path: Path) -> None:
        assert_ran(made.inv("status", cwd=tmp_path), made, ["status"])

    def test_a_file_of_the_current_folder_stands_in_for_no_module(self, made: Checkout, tmp_path: Path) -> None:
        (tmp_path / "invoke.py").write_text("raise SystemExit('ran')\n")
        assert_ran(made.inv("status", cwd=tmp_path), made, ["status"])

    def test_a_moved_checkout_still_works(self, made: Checkout) -> None:
        moved = Checkout(made.root.rename(made.root.with_name("moved here")))
        assert_ran(moved.inv(PYTHON="/no/such/python"), moved, [])


LATE = "import sys, threading, time\n\ndef late():\n    time.sleep(0.3)\n    print('late')\n\n"


class TestEnd:
    """The end of Invoke's program, at which nothing that was said or begun is lost."""

    @pytest.mark.parametrize(
        ("program", "ended"),
        [
            (
                "import sys\nprint('said', end='')\nprint('told', end='', file=sys.stderr)\nsys.exit(3)",
                (3, "said", "told"),
            ),
            ("import sys\nprint('said', end='')\nsys.exit()", (0, "said", "")),
            ("import sys\nsys.exit('wrong')", (1, "", "wrong\n")),
            (f"{LATE}threading.Thread(target=late).start()\nsys.exit(2)", (2, "late\n", "")),
            (f"{LATE}threading.Thread(target=late, daemon=True).start()\nsys.exit(2)", (2, "", "")),
            ("print('said')", (0, "said\n", "")),
        ],
        ids=["a code", "none", "a text", "a thread at work", "one that nobody waits for", "no exit"],
    )
    def test_what_was_said_and_how_it_ended_are_as_they_were(
        self, program: str, ended: tuple[int, str, str], made: Checkout
    ) -> None:
        (made.root / ".venv/bin/invoke").write_text(program)
        done = made.inv()
        assert (done.returncode, done.stdout, done.stderr) == ended

    def test_an_error_that_nobody_caught_is_told(self, made: Checkout) -> None:
        (made.root / ".venv/bin/invoke").write_text("raise LookupError('lost')")
        done = made.inv()
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "LookupError: lost")

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_an_output_that_is_closed_changes_no_status(self, closed: str, made: Checkout) -> None:
        (made.root / ".venv/bin/invoke").write_text("import sys\nprint('said')\nsys.exit(3)")
        argv = ["sh", "-c", f'"$0" {closed}', str(made.root / "inv")]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (3, False)

    @on_linux
    def test_what_cannot_be_said_is_an_error(self, made: Checkout) -> None:
        (made.root / ".venv/bin/invoke").write_text("import sys\nprint('said')\nsys.exit(0)")
        with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
            argv = [str(made.root / "inv")]
            done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode != 0
        assert "No space left" in done.stderr


class TestChanged:
    """A .venv that no longer serves."""

    def test_a_changed_pyproject_brings_it_up_to_date_under_whatever_runs_from_it(self, made: Checkout) -> None:
        left = made.root / ".venv" / "left-over"
        left.touch()
        with (made.root / "pyproject.toml").open("a") as project:
            project.write("# another line\n")
        done = made.inv("--list")
        assert_ran(done, made, ["--list"])
        assert made.builds == 2
        assert left.exists()

    @pytest.mark.long
    def test_a_base_python_that_went_away_makes_it_anew(self, made: Checkout) -> None:
        python = made.root / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to("/no/such/python")
        assert_ran(made.inv(), made, [])
        assert made.builds == 2

    @pytest.mark.long
    def test_a_failed_install_says_so_and_is_tried_again(self, fresh: Checkout) -> None:
        (fresh.root / "broken").touch()
        done = fresh.inv()
        assert done.returncode == 1
        assert "inv: the packages could not be installed" in done.stderr
        assert "PIP_FIND_LINKS" in done.stderr
        assert not fresh.ready
        (fresh.root / "broken").unlink()
        assert_ran(fresh.inv(), fresh, [])


class TestSeveralRuns:
    """Runs that meet, and runs that are cut short."""

    def test_two_at_once_make_one_environment(self, fresh: Checkout) -> None:
        both = [fresh.start(), fresh.start()]
        for one in both:
            out, err = one.communicate(timeout=120)
            assert one.returncode == 0, err
            assert str(fresh.root / ".venv") in out
        assert fresh.builds == 1

    def test_a_run_waits_for_the_one_that_holds_the_lock(self, fresh: Checkout) -> None:
        with (fresh.root / ".venv.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            second = fresh.start()
            assert second.stderr
            assert "another run is making .venv" in second.stderr.readline()
            assert not (fresh.root / ".venv").exists()
        second.communicate(timeout=120)
        assert second.returncode == 0
        assert fresh.ready

    @pytest.mark.usefixtures("_heard")
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_what_was_cut_short_is_repaired(self, fresh: Checkout, number: signal.Signals) -> None:
        hold = fresh.root / "hold"
        hold.touch()
        with fresh.start() as cut:
            wait_for(lambda: fresh.builds == 1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(cut.pid, number)
        assert cut.returncode != 0
        assert (fresh.root / ".venv").exists()
        assert not fresh.ready
        hold.unlink()
        assert_ran(fresh.inv("--list"), fresh, ["--list"])
        assert fresh.builds == 2
