"""The bench's own place on this machine: names, ports and folders that nobody else uses, and nothing left of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import BenchError
from trusted_registry import address, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.namespace import Etc

ROOT = Path(__file__).resolve().parent.parent
INV = str(ROOT / "inv")
SMALL, LARGE = "trusted-registry-bench", "trusted-registry-bench-rsa"
NAMES = (SMALL, LARGE)
"""Of containers, and of the volumes with them."""
_MIRROR = "(-mirror-[a-z0-9.-]+)?"
_DERIVED = (
    f"{_MIRROR}(-before|-rehearsal|-next|-draining-[0-9a-f]+|-front(-before)?|(-front)?-files-[0-9a-f]+(-filler)?)?"
)
"""What follows these names of mirrors, while a registry is replaced, and of volumes of files."""
PORTS = (8943, 8944)
_FOREIGN = ("INVOKE_", "PYTHON", "DOCKER_CONTENT_TRUST")
_KEPT = ("PYTHONUSERBASE",)
"""With a home folder of the bench's own, what finds programs that were installed for this user (site, USER_BASE)."""
_PATIENCE = 60
"""Seconds that an untimed command may take: an engine that hangs must not keep the bench from ending."""


def environment(**variables: str) -> dict[str, str]:
    """Return this environment without what a person set for Python or for these tasks.

    PYTHONDONTWRITEBYTECODE above all: with it, this checkout's modules are compiled at every start, while those that
    pip installed (Invoke's own) never are.
    """
    kept = {name: it for name, it in os.environ.items() if name in _KEPT or not name.startswith(_FOREIGN)}
    return kept | variables


@dataclass(frozen=True)
class Stand:
    """A registry of the bench's own: one kind of key, one name for container and volume, one port, one folder."""

    name: str
    port: int
    key: str
    host: str
    folder: Path
    home: Path
    etc: Etc
    engine: bool = False
    """Whether one answers."""

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
        return output([INV, *tasks], env=self.env, patience=None)

    def clear(self) -> None:
        """Take everything away that stands here, whoever of the two sides put it here, and be sure that it is gone."""
        left = self._clear_engine() if self.engine else ""
        if self._trust.exists():
            quietly([*program.sudo(), "rm", "-r", str(self._trust)])
        self.etc.restore_stores()
        for folder in (self.folder, self.home):
            shutil.rmtree(folder, ignore_errors=True)
        if left or self._trust.exists() or self.folder.exists():
            raise BenchError(f"The bench's own registry could not be cleared away: {self.name}, {self.folder}")
        self.home.mkdir()

    def _clear_engine(self) -> str:
        remove([self.name])
        images = output(["docker", "images", "--filter", f"reference={self.registry}/*", "--format", "{{.ID}}"])
        if images:
            quietly(["docker", "rmi", "--force", *images.split()])
        return " ".join([*containers([self.name]), *volumes([self.name])])

    @property
    def _trust(self) -> Path:
        return self.etc.certs_d / self.registry


def with_script(image: str, container: str, folder: Path) -> str:
    """Return an image that begins with a script, as the official ones do: of any other, `up` knows of no shell.

    Args:
        image: One that is the same but for its beginning.
        container: Name for a container that is made of it, and removed.
        folder: Folder for the files of the way, made if it is absent.
    """
    begins = json.loads(output(["docker", "inspect", "--format", "{{json .Config.Entrypoint}}", image]))
    if begins[0].endswith(".sh"):
        return image
    folder.mkdir(parents=True, exist_ok=True)
    script, tar, made = folder / "entrypoint.sh", folder / "image.tar", f"{image.rpartition(':')[0]}:bench"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(begins)} "$@"\n')
    script.chmod(0o755)
    output(["docker", "create", "--name", container, image])
    output(["docker", "cp", str(script), f"{container}:/{script.name}"])
    output(["docker", "export", "--output", str(tar), container])
    output(["docker", "rm", container])
    output(["docker", "import", "--change", f'ENTRYPOINT ["/{script.name}"]', str(tar), made])
    tar.unlink()
    return made


def output(argv: Sequence[str], env: dict[str, str] | None = None, patience: float | None = _PATIENCE) -> str:
    """Return what a command printed.

    Args:
        argv: The command.
        env: Its environment; this process's by default.
        patience: Seconds that it may take; None where the measure's deadline is bound enough.

    Raises:
        BenchError: It is not there, hangs, or failed; its last lines are the reason.
    """
    try:
        done = subprocess.run(
            list(argv), env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=patience
        )
    except FileNotFoundError as missing:
        raise BenchError(f"{argv[0]} is not installed; the bench needs it.") from missing
    except subprocess.TimeoutExpired as late:
        raise BenchError(f"{' '.join(argv)} did not end within {patience:.0f} seconds") from late
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise BenchError(f"{' '.join(argv)} failed: {' '.join(last)}")
    return done.stdout.strip()


def as_root(*argv: str) -> None:
    """Run a command as root.

    Raises:
        BenchError: It failed.
    """
    output([*program.sudo(), *argv])


def quietly(argv: Sequence[str]) -> None:
    """Run a command that may find nothing to do; whoever calls looks afterwards."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(list(argv), capture_output=True, check=False, timeout=_PATIENCE)


def containers(names: Sequence[str]) -> list[str]:
    """Return the containers of some registries that there are: their own, and those that a replacement makes."""
    return _derived(names, output(["docker", "ps", "--all", "--format", "{{.Names}}"]))


def volumes(names: Sequence[str]) -> list[str]:
    """Return the volumes of some registries that there are, of their images and of the files that they read."""
    return _derived(names, output(["docker", "volume", "ls", "--format", "{{.Name}}"]))


def _derived(names: Sequence[str], listed: str) -> list[str]:
    wanted = re.compile(f"({'|'.join(map(re.escape, names))}){_DERIVED}")
    return [name for name in listed.split() if wanted.fullmatch(name)]


def remove(names: Sequence[str]) -> None:
    """Remove the containers and volumes of some registries; whoever calls looks afterwards."""
    if found := containers(names):
        quietly(["docker", "rm", "--force", "--volumes", *found])
        quietly(["docker", "network", "rm", *(it for it in found if it.endswith("-front"))])
    if found := volumes(names):
        quietly(["docker", "volume", "rm", "--force", *found])


def engine_answers() -> bool:
    """Return whether an engine does what this user asks."""
    try:
        output(["docker", "version", "--format", "{{.Server.Version}}"])
    except BenchError:
        return False
    return True


def python() -> str:
    """Return the interpreter of the environment that ./inv makes: this one, when the bench was started as it should."""
    made = ROOT / ".venv" / "bin" / "python"
    return str(made) if made.exists() else sys.executable
