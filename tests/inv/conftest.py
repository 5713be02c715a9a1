"""What tests of the wrapper share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.inv.checkouts import Checkout, new_checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A checkout as cloned, in a folder with a space in its name."""
    return new_checkout(tmp_path / "check out")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose .venv is made, to be copied: making one takes seconds."""
    made = new_checkout(tmp_path_factory.mktemp("made") / "check out")
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
    checkout = new_checkout(root / "checkout")
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
        (folder / "cmp").symlink_to(str(shutil.which("cmp")))
        if python:
            (folder / "python3").write_text(python)
            (folder / "python3").chmod(0o755)
        return str(folder)

    return make
