"""The wrapper, run for real in checkouts of a stand-in project: real venv, real pip, no package index."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.process

INV = Path(__file__).parent.parent / "inv"

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "stand-in"
version = "1"
"""

BACKEND = '''\
"""Builds a wheel that holds a stand-in for Invoke, counts its builds, and waits or fails where it is told to."""
import os, time, zipfile

STAND_IN = "import sys\\n\\ndef main():\\n    print(sys.prefix)\\n    print(sys.argv[1:])\\n"
METADATA = "Metadata-Version: 2.1\\nName: stand-in\\nVersion: 1\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def build_editable(folder, config_settings=None, metadata_directory=None):
    with open("builds", "a") as builds:
        builds.write("one\\n")
    while os.path.exists("hold"):
        time.sleep(0.02)
    if os.path.exists("broken"):
        raise SystemExit("broken on purpose")
    files = {"invoke/__init__.py": STAND_IN}
    files |= {"stand_in-1.dist-info/entry_points.txt": "[console_scripts]\\ninvoke = invoke:main\\n"}
    files |= {"stand_in-1.dist-info/METADATA": METADATA, "stand_in-1.dist-info/WHEEL": WHEEL}
    with zipfile.ZipFile(os.path.join(folder, "stand_in-1-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr("stand_in-1.dist-info/RECORD", "".join(f"{name},,\\n" for name in files))
    return "stand_in-1-py3-none-any.whl"
'''

FAKE_PYTHON = """\
#!/bin/sh
# A Python like the real one, except in what it says of itself.
case $1 in
-c) exec {real} -c {prelude} "$2" ;;
--version) echo "Python {version}" ;;
*) exec {real} "$@" ;;
esac
"""


class Checkout:
    """A folder with the wrapper and a project that pip installs without an index."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def environ(self, **variables: str) -> dict[str, str]:
        """Return the environment of a run; no package index is asked for anything."""
        return {**os.environ, "PIP_NO_INDEX": "1", **variables}

    def inv(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the wrapper to its end."""
        argv = [str(self.root / "inv"), *arguments]
        return subprocess.run(
            argv, env=self.environ(**variables), cwd=cwd, capture_output=True, text=True, check=False, timeout=120
        )

    def start(self) -> subprocess.Popen[str]:
        """Start the wrapper in a group of its own, as a shell starts a command."""
        pipe = subprocess.PIPE
        argv = [str(self.root / "inv"), "--list"]
        return subprocess.Popen(argv, env=self.environ(), stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    @property
    def builds(self) -> int:
        """How often pip was started and came to building the project."""
        log = self.root / "builds"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def ready(self) -> bool:
        """Whether .venv is marked as finished."""
        return (self.root / ".venv" / "made-from.toml").exists()


def _new_checkout(root: Path) -> Checkout:
    root.mkdir(parents=True)
    shutil.copy(INV, root / "inv")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    return Checkout(root)


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A checkout as cloned, in a folder with a space in its name."""
    return _new_checkout(tmp_path / "check out")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose .venv is made, to be copied: making one takes seconds."""
    made = _new_checkout(tmp_path_factory.mktemp("made") / "check out")
    done = made.inv("--version")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def made(finished: Checkout, tmp_path: Path) -> Checkout:
    """A checkout of the test's own, whose .venv is made; that it was moved here makes no difference."""
    shutil.copytree(finished.root, tmp_path / "check out", symlinks=True)
    return Checkout(tmp_path / "check out")


@pytest.fixture
def read_only_checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout in which nobody may write, root included."""
    root = tmp_path / "read-only"
    checkout = _new_checkout(root / "checkout")
    if os.geteuid():
        checkout.root.chmod(0o555)
        yield checkout
        checkout.root.chmod(0o755)
        return
    subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
    subprocess.run(["mount", "--options", "remount,bind,ro", str(root)], check=True)
    yield checkout
    subprocess.run(["umount", "--lazy", str(root)], check=True)


@pytest.fixture
def _heard() -> Iterator[None]:
    """Have programs hear Ctrl-C even where the tests themselves do not: those in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def only(tmp_path: Path) -> Callable[..., str]:
    """A maker of a PATH that holds what the wrapper needs of a system, and a python3 only where one is given."""

    def make(python: str = "") -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("dirname", "cmp"):
            (folder / name).symlink_to(str(shutil.which(name)))
        if python:
            (folder / "python3").write_text(python)
            (folder / "python3").chmod(0o755)
        return str(folder)

    return make


def _fake(version: str = "3.12.1", prelude: str = "") -> str:
    numbers = ", ".join(version.split("."))
    code = f"import sys; sys.version_info = ({numbers}); {prelude}exec(sys.argv[1])"
    return FAKE_PYTHON.format(real=shlex.quote(sys.executable), prelude=shlex.quote(code), version=version)


def _wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "waited for a minute"
        time.sleep(0.02)


def assert_refused(done: subprocess.CompletedProcess[str], checkout: Checkout, *words: str) -> None:
    """The run ended with 1 and a message of two lines, and left no .venv."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 2
    assert done.stderr.startswith("inv: ")
    for word in words:
        assert word in done.stderr
    assert not (checkout.root / ".venv").exists()


def assert_ran(done: subprocess.CompletedProcess[str], checkout: Checkout, arguments: list[str]) -> None:
    """The run reached Invoke, in this checkout's own .venv, with the arguments as they were typed."""
    assert done.returncode == 0, done.stderr
    prefix, said = done.stdout.splitlines()
    assert prefix == str(checkout.root / ".venv")
    assert said == str(["--search-root", str(checkout.root), *arguments])


class TestFirstUse:
    """No .venv yet: what a machine must have, and what is said where it has not."""

    def test_it_makes_the_environment_and_runs_invoke_in_it(self, fresh: Checkout) -> None:
        done = fresh.inv("up", "--address", "two words", "$(id)")
        assert_ran(done, fresh, ["up", "--address", "two words", "$(id)"])
        assert "making .venv" in done.stderr
        assert fresh.builds == 1

    def test_without_python_it_says_how_to_get_one(self, fresh: Checkout, only: Callable[..., str]) -> None:
        done = fresh.inv("--list", PATH=only())
        assert_refused(done, fresh, "python3 was not found", "3.10", "apt-get install python3")

    def test_a_python_that_is_named_and_missing_is_an_error(self, fresh: Checkout) -> None:
        assert_refused(fresh.inv(PYTHON="python3.99"), fresh, "python3.99 was not found")

    def test_python_3_9_is_too_old(self, fresh: Checkout, only: Callable[..., str]) -> None:
        done = fresh.inv("--list", PATH=only(_fake("3.9.18")))
        assert_refused(done, fresh, "Python 3.9.18 is too old", "3.10 or later", "PYTHON=python3.12 ./inv")

    def test_python_3_10_is_not_and_may_go_by_another_name(self, fresh: Checkout, only: Callable[..., str]) -> None:
        path = only(_fake("3.10.0"))
        Path(path, "python3").rename(Path(path, "other"))
        assert_ran(fresh.inv("--list", PATH=path, PYTHON="other"), fresh, ["--list"])

    @pytest.mark.parametrize("missing", ["venv", "ensurepip"])
    def test_a_python_without_venv_is_an_error(self, fresh: Checkout, only: Callable[..., str], missing: str) -> None:
        # None in sys.modules makes an import fail as that of a missing module does.
        done = fresh.inv("--list", PATH=only(_fake(prelude=f"sys.modules['{missing}'] = None; ")))
        assert_refused(done, fresh, "no venv module", "apt-get install python3-venv")

    def test_a_read_only_checkout_is_an_error(self, read_only_checkout: Checkout) -> None:
        assert_refused(read_only_checkout.inv("--list"), read_only_checkout, ".venv cannot be made", "may write to")


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

    def test_it_runs_from_any_folder(self, made: Checkout, tmp_path: Path) -> None:
        assert_ran(made.inv("status", cwd=tmp_path), made, ["status"])

    def test_a_file_of_the_current_folder_stands_in_for_no_module(self, made: Checkout, tmp_path: Path) -> None:
        (tmp_path / "invoke.py").write_text("raise SystemExit('ran')\n")
        assert_ran(made.inv("status", cwd=tmp_path), made, ["status"])

    def test_a_moved_checkout_still_works(self, made: Checkout) -> None:
        moved = Checkout(made.root.rename(made.root.with_name("moved here")))
        assert_ran(moved.inv(PYTHON="/no/such/python"), moved, [])


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

    def test_a_base_python_that_went_away_makes_it_anew(self, made: Checkout) -> None:
        python = made.root / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to("/no/such/python")
        assert_ran(made.inv(), made, [])
        assert made.builds == 2

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
            _wait_for(lambda: fresh.builds == 1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(cut.pid, number)
        assert cut.returncode != 0
        assert (fresh.root / ".venv").exists()
        assert not fresh.ready
        hold.unlink()
        assert_ran(fresh.inv("--list"), fresh, ["--list"])
        assert fresh.builds == 2
