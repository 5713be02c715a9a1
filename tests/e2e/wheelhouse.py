"""The Python packages that a host needs, fetched here for the Python that it has: hosts have no network."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import nox.project

from tests.e2e.checkout import ROOT
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GLIBC = ("2_17", "2_28", "2_34")
"""The manylinux tags in use whose C library is no newer than bookworm's, 2.36."""


def fetch(folder: Path, *, python: str, machine: str, more: Iterable[str] = ()) -> None:
    """Fill a folder with wheels of the project's dependencies.

    Args:
        folder: Where they go; it is made.
        python: The version that they must suit, such as 3.13.
        machine: The engine's architecture as the kernel names it, such as x86_64.
        more: Other packages that are wanted.

    Raises:
        LabError: pip cannot fetch one of them; its last line is the reason.
    """
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    argv += ["--only-binary", ":all:", "--python-version", python, "--platform", f"linux_{machine}"]
    for version in GLIBC:
        argv += ["--platform", f"manylinux_{version}_{machine}"]
    done = subprocess.run([*argv, *required(), *more], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"Wheels for Python {python} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")


def required() -> list[str]:
    """Return the packages to install the checkout: its dependencies, optional ones too, its build's, its tests'."""
    configured = nox.project.load_toml(ROOT / "pyproject.toml")
    project = configured["project"]
    optional = itertools.chain(*project["optional-dependencies"].values())
    return [*configured["build-system"]["requires"], *project["dependencies"], *optional, *tested_with()]


def tested_with() -> list[str]:
    """Return the packages that the tests take."""
    return list(nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), "unit"))
