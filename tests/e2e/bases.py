"""The plain Debian under a host's image: pulled where a registry answers, made from packages where none does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import APIError, ImageNotFound

from tests.e2e.outer import DEBIAN, LABEL, OWN
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient

    from tests.e2e.suites import Suite

_ANY_AGE = '--aptopt=Acquire::Check-Valid-Until "false"'
"""A mirror that stood still for a while is signed all the same; how old it is, is none of the lab's claims."""
_APT = threading.Lock()
"""Bases are made side by side, and apt has one lock for the whole machine."""


def name(suite: Suite) -> str:
    """Return the lab's own name of a suite's base."""
    return f"{OWN}base:{suite.name}"


def make(suite: Suite, engine: DockerClient, *, rebuild: bool, say: Callable[[str], None]) -> str:
    """Have the base of a suite and return its name.

    Raises:
        LabError: It can neither be pulled nor made.
    """
    if rebuild or not _has(name(suite), engine):
        try:
            _pull(suite, engine)
        except APIError as error:
            say(f"{suite.name}: {DEBIAN}:{suite.name} cannot be pulled ({_reason(error)}), mmdebstrap makes it")
            _bootstrap(suite, engine)
    return name(suite)


def _has(image: str, engine: DockerClient) -> bool:
    try:
        engine.images.get(image)
    except ImageNotFound:
        return False
    return True


def _pull(suite: Suite, engine: DockerClient) -> None:
    """Pull Debian's image and keep it under the lab's name and label alone, unless it was here before."""
    theirs = f"{DEBIAN}:{suite.name}"
    had = _has(theirs, engine)
    engine.images.pull(DEBIAN, tag=suite.name)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM {theirs}\nLABEL {LABEL}=1\n")
        engine.images.build(path=folder, tag=name(suite), rm=True)
    if not had:
        engine.images.remove(theirs, noprune=True)


def _bootstrap(suite: Suite, engine: DockerClient) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "base.tar"
        try:
            options = ["--variant=minbase", "--include=ca-certificates", _ANY_AGE]
            _as_root([*_mmdebstrap(Path(folder)), *options, suite.name, str(tar)])
            _import(tar, suite, engine)
        finally:
            _as_root(["rm", "--force", str(tar)])


def _mmdebstrap(folder: Path) -> list[str]:
    """Return how to call mmdebstrap, whose package is unpacked rather than installed: apt and perl are all it needs."""
    missing = [program for program in ("apt-get", "dpkg-deb", "perl") if not shutil.which(program)]
    if missing:
        raise LabError(f"Debian's base image cannot be pulled, and without {missing[0]} none can be made here.")
    with _APT:
        _as_root(["apt-get", "update"])
        _run(["apt-get", "download", "mmdebstrap"], folder)
    _run(["dpkg-deb", "--extract", str(next(folder.glob("*.deb"))), str(folder / "program")])
    return ["perl", str(folder / "program" / "usr" / "bin" / "mmdebstrap")]


def _import(tar: Path, suite: Suite, engine: DockerClient) -> None:
    repository, tag = name(suite).split(":")
    changes = [f"LABEL {LABEL}=1"]
    engine.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=changes)
    if not _has(name(suite), engine):
        raise LabError(f"The engine did not take the files of {suite.name} for an image.")


def _as_root(argv: list[str]) -> None:
    # chroot and its like lie outside an ordinary user's PATH.
    path = f"PATH={os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/bin:/sbin:/bin"
    _run([*([] if os.geteuid() == 0 else ["sudo"]), "env", path, *argv])


def _run(argv: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise LabError(f"{' '.join(argv[:3])} failed: {(done.stderr or done.stdout).strip()[-400:]}")


def _reason(error: APIError) -> str:
    return str(error.explanation or error).rpartition(": ")[2]
