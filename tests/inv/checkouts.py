"""Checkouts of a stand-in project, in which the wrapper is run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INV = ROOT / "inv"

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

STAND_IN = """\\
import gc, sys
from importlib import metadata
from unittest.mock import Mock, patch

metadata.version("stand-in")

def main():
    print(sys.prefix, gc.isenabled(), {"asyncio", "importlib.metadata"} & {*sys.modules})
    from importlib import metadata
    assert metadata.version("stand-in") == "1"
    print(sys.argv[1:])
"""
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
case $1$2 in
-I-c) exec {real} -I -c {prelude} "$3" ;;
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


def new_checkout(root: Path) -> Checkout:
    root.mkdir(parents=True)
    shutil.copy(INV, root / "inv")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    return Checkout(root)


def fake_python(version: str = "3.12.1", prelude: str = "") -> str:
    numbers = ", ".join(version.split("."))
    code = f"import sys; sys.version_info = ({numbers}); {prelude}exec(sys.argv[1])"
    return FAKE_PYTHON.format(real=shlex.quote(sys.executable), prelude=shlex.quote(code), version=version)


def hostile(folder: Path) -> Path:
    """Make a folder whose modules, were any of them imported, would leave the file that is returned."""
    folder.mkdir()
    ran = folder / "ran"
    names = [
        "invoke",
        "nox",
        "pip",
        "venv",
        "ensurepip",
        "sitecustomize",
        "usercustomize",
        "fcntl",
        "filecmp",
        "shutil",
        "subprocess",
        "tasks",
    ]
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r} + ' ')\n")
    return ran


def wait_for(happened: Callable[[], bool]) -> None:
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
    begun, said = done.stdout.splitlines()
    assert begun == f"{checkout.root / '.venv'} False set()"
    assert said == str(["--search-root", str(checkout.root), "--write-pyc", *arguments])
