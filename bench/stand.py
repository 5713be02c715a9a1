"""The bench's own place on this machine: names, ports and folders that nobody else uses, and nothing left of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import BenchError
from trusted_registry import address, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
INV = str(ROOT / "inv")
CERTS_D = Path("/etc/docker/certs.d")
MORE = (Path("/etc/containers/certs.d"), Path("/etc/containerd/certs.d"))
"""Where `up` tells the other clients, where they are."""
_FOREIGN = ("INVOKE_", "PYTHON", "DOCKER_CONTENT_TRUST")
_LOCK = Path(tempfile.gettempdir()) / "trusted-registry-bench.lock"


def environment(**variables: str) -> dict[str, str]:
    """Return this environment without what a person set for Python or for these tasks.

    PYTHONDONTWRITEBYTECODE above all: with it, this checkout's modules are compiled at every start, while those that
    pip installed (Invoke's own) never are.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)} | variables


@dataclass(frozen=True)
class Stand:
    """A registry of the bench's own: one kind of key, one name for container and volume, one port, one folder."""

    name: str
    port: int
    key: str
    host: str
    folder: Path

    @property
    def registry(self) -> str:
        """The registry part of a reference."""
        return f"{address.bracketed(self.host)}:{self.port}"

    @property
    def certificates(self) -> Path:
        """Where `inv` keeps its keys and certificates."""
        return self.folder / "certs"

    @property
    def env(self) -> dict[str, str]:
        """What makes `inv` work here and nowhere else; its ledger lies in this folder too."""
        return environment(
            INVOKE_REGISTRY_ADDRESS=self.host,
            INVOKE_REGISTRY_CONTAINER=self.name,
            INVOKE_REGISTRY_VOLUME=self.name,
            INVOKE_REGISTRY_PORT=str(self.port),
            INVOKE_CERTIFICATE_FOLDER=str(self.certificates),
            INVOKE_CERTIFICATE_KEY=self.key,
            XDG_STATE_HOME=str(self.folder / "state"),
        )

    def inv(self, *tasks: str) -> str:
        """Run tasks here, untimed, and return what they printed."""
        return output([INV, *tasks], env=self.env)

    def clear(self) -> None:
        """Take everything away that stands here, whoever of the two sides put it here, and be sure that it is gone."""
        _quietly(["docker", "rm", "--force", "--volumes", self.name])
        _quietly(["docker", "volume", "rm", "--force", self.name])
        images = output(["docker", "images", "--filter", f"reference={self.registry}/*", "--format", "{{.ID}}"])
        if images:
            _quietly(["docker", "rmi", "--force", *images.split()])
        for trust in self._trust():
            _quietly([*run.sudo(), "rm", "-r", str(trust)])
        shutil.rmtree(self.folder, ignore_errors=True)
        left = output(["docker", "ps", "--all", "--quiet", "--filter", f"name=^{self.name}$"])
        if left or self._trust() or self.folder.exists():
            raise BenchError(f"The bench's own registry could not be cleared away: {self.name}, {self.folder}")

    def _trust(self) -> list[Path]:
        """Return where clients of this machine trust the registry."""
        return [folder for folder in (CERTS_D / self.registry, *(it / self.registry for it in MORE)) if folder.exists()]


def output(argv: Sequence[str], env: dict[str, str] | None = None) -> str:
    """Return what a command printed.

    Raises:
        BenchError: It is not there or it failed; its last line is the reason.
    """
    try:
        done = subprocess.run(list(argv), env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise BenchError(f"{argv[0]} is not installed; the bench needs it.") from missing
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise BenchError(f"{' '.join(argv)} failed: {' '.join(last)}")
    return done.stdout.strip()


def _quietly(argv: Sequence[str]) -> None:
    """Run a command that may find nothing to do; `Stand.clear` looks afterwards."""
    subprocess.run(list(argv), capture_output=True, check=False)


@contextlib.contextmanager
def stands() -> Iterator[tuple[Stand, Stand]]:
    """Lend two stands, P-256 and rsa:4096; whatever happens, nothing of them is left.

    Raises:
        BenchError: Another bench runs on this machine.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nox sends it soon after Ctrl-C's own signal
    had_certs_d = CERTS_D.exists()
    with _alone(), tempfile.TemporaryDirectory(prefix="bench-") as folder:
        host = address.own_address()
        small = Stand("trusted-registry-bench", 8943, "ec:P-256", host, Path(folder) / "p256")
        large = Stand("trusted-registry-bench-rsa", 8944, "rsa:4096", host, Path(folder) / "rsa4096")
        try:
            for stand in (small, large):
                stand.clear()  # a bench that was killed outright may have left something
            yield small, large
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            small.clear()
            large.clear()
            if not had_certs_d:
                _quietly([*run.sudo(), "rmdir", str(CERTS_D)])


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with _LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError("Another bench runs on this machine; two would time each other.") from None
        yield


def python() -> str:
    """Return the interpreter of the environment that ./inv makes: this one, when the bench was started as it should."""
    made = ROOT / ".venv" / "bin" / "python"
    return str(made) if made.exists() else sys.executable
