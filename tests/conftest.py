"""What every test gets: a home of its own, no engine, and no program that it did not ask for."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import hypothesis
import psutil
import pytest

from tests.fake_engine import NAME, FakeEngine, container
from tests.images.storages import MadeStorage
from tests.recorder import Recorder
from trusted_registry.certificate import issue
from trusted_registry.defaults import DEFAULTS
from trusted_registry.run import Run
from trusted_registry.settings import Settings, load
from trusted_registry.trust import machine as machines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest_plugins = ["tests.guard", "tests.s3_store"]

ROOT = Path(__file__).parent.parent
ADDRESS = "192.168.0.12"
NOBODY = 65534

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever starts the tests in the background lets them ignore Ctrl-C, and what they start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.register_profile("long", max_examples=10_000, deadline=None)
hypothesis.settings.load_profile("quick")  # pytest --hypothesis-profile=long takes its time

_OURS = ("INVOKE_", "TRUSTED_REGISTRY_", "XDG_", "DOCKER_", "SSL_")


class MakeSettings(Protocol):
    """Makes settings in a folder of the test's own; keyword arguments are keys of invoke.yaml."""

    def __call__(self, **given: str) -> Settings:
        """Return checked settings."""


class Invoke(Protocol):
    """Runs `python -m invoke` in a copy of the checkout."""

    root: Path

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Return what one run left behind; `variables` are set in its environment."""


def _real(request: pytest.FixtureRequest, *marks: str) -> bool:
    return any(request.node.get_closest_marker(mark) for mark in marks)


@pytest.fixture(autouse=True)
def _apart_from_this_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep a person's configuration, ledger and engine out of reach, and this machine's own stores of trust."""
    if _real(request, "engine", "machine", "e2e"):
        return
    for name in [name for name in os.environ if name.startswith(_OURS)] + ["CI", "NO_COLOR", "COLUMNS"]:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/no-engine.sock")
    real = machines.current
    machine = tmp_path_factory.mktemp("machine")
    monkeypatch.setattr(machines, "current", lambda: dataclasses.replace(real(), root=machine, programs=()))
    monkeypatch.setattr(psutil, "process_iter", _children)


def _children(
    attrs: list[str], running: Callable[..., Iterator[psutil.Process]] = psutil.process_iter
) -> list[psutil.Process]:
    """Return the processes that this one started: what other tests run at this moment is none of a test's business."""
    return [it for it in running([*attrs, "ppid"]) if it.info["ppid"] == os.getpid()]


@pytest.fixture(autouse=True)
def _no_program_unasked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make starting a program an error, unless the test says by its mark that it means to."""
    if _real(request, "process", "engine", "machine", "e2e"):
        return

    def refuse(_self: object, argv: object, *_rest: object, **_options: object) -> NoReturn:
        pytest.fail(f"{argv} was started; mark the test `process` if it should be")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(subprocess.Popen, "__del__", lambda _self: None)


@pytest.fixture
def console() -> Recorder:
    """A console that keeps what it is told."""
    return Recorder()


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """A maker of settings whose folders lie in this test's own."""
    section_of = {key: section for section, keys in DEFAULTS.items() for key in keys}

    def make(**given: str) -> Settings:
        flags = {f"{section_of[key]}.{key}": value for key, value in {"address": ADDRESS, **given}.items()}
        return load(DEFAULTS, root=tmp_path, find_address=_never, flags=flags)

    return make


@pytest.fixture
def certified(make_settings: MakeSettings) -> MakeSettings:
    """The same, with a certificate made for them, by the tool that is no program."""

    def make(**given: str) -> Settings:
        settings = make_settings(tool="cryptography", **given)
        issue.ensure(Run(settings, Recorder()))
        return settings

    return make


def _never() -> NoReturn:
    pytest.fail("this machine's address was looked for, though one is set")


class _Invoke:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "invoke", *arguments]
        environ: dict[str, Any] = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables}
        return subprocess.run(
            argv, cwd=self.root, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """`python -m invoke` in a copy of this checkout; the test is to be marked `process`."""
    root = tmp_path / "checkout"
    for name in ("trusted_registry", "templates"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("tasks.py", "invoke.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    return _Invoke(root)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nobody may write, root included."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    with mounted(folder, "ro,mode=755"):
        yield folder


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that this process may not enter; root plays another user for as long."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer, "forbidden")
        folder.mkdir(mode=0o700)
        Path(outer).chmod(0o711)
        user = os.geteuid()
        if user:
            folder.chmod(0)
        else:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if user:
                folder.chmod(0o700)
            else:
                os.seteuid(user)


class mounted:  # noqa: N801 - read as a statement: `with mounted(folder, "ro")`
    """A small file system in memory, for as long as the context lasts; for root alone."""

    def __init__(self, folder: Path, options: str) -> None:
        self._folder = folder
        self._options = options

    def __enter__(self) -> Path:
        """Mount it."""
        argv = ["mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self._folder)]
        # os.posix_spawn rather than subprocess, which tests guard.
        assert _spawned(argv) == 0
        return self._folder

    def __exit__(self, *_error: object) -> None:
        """Take it away, whatever still uses it."""
        assert _spawned(["umount", "--lazy", str(self._folder)]) == 0


def _spawned(argv: list[str]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(os.posix_spawnp(argv[0], argv, os.environ), 0)[1])


@pytest.fixture
def made(tmp_path: Path) -> MadeStorage:
    """An empty storage."""
    listing = MadeStorage(tmp_path / "storage")
    listing.folder.mkdir()
    return listing


@pytest.fixture
def engine(made: MadeStorage) -> FakeEngine:
    """An engine whose registry has that storage, and runs."""
    found = FakeEngine()
    found.container = container(volume=NAME)
    found.storage = made.folder
    assert NAME in found.containers
    return found
