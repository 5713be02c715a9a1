"""The project's own checks: `nox` runs the default ones, `nox -l` lists all."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "engine", "docs"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
SOURCES = ("tasks.py", "noxfile.py", "trusted_registry", "tests")


def interpreters() -> list[str]:
    """Return the oldest and the newest supported Python that this machine has: what breaks, breaks at the ends."""
    found = [path for version in SUPPORTED if (path := _interpreter(version))]
    return list(dict.fromkeys((found[0], found[-1])))


def _interpreter(version: str) -> str | None:
    """Return a working Python of a version: from PATH, or from pyenv, whose shims stand on PATH but may not run."""
    named = shutil.which(f"python{version}")
    if named and subprocess.run([named, "-c", ""], capture_output=True, check=False).returncode == 0:
        return f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(pyenv.glob(f"{version}.*/bin/python"))
    return str(installed[-1]) if installed else None


def install(session: nox.Session, group: str) -> None:
    """Install the project's own dependencies and one group of tools."""
    session.install(*PROJECT["project"]["dependencies"], *nox.project.dependency_groups(PROJECT, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, spelling, and the POSIX sh wrapper."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", ".")
    session.run("shellcheck", "inv", ".ci/run", "bench/document.sh")


@nox.session
def types(session: nox.Session) -> None:
    """Types, tests included."""
    install(session, "types")
    session.run("mypy")


@nox.session(python=interpreters())
def tests(session: nox.Session) -> None:
    """Real openssl, real TLS handshakes, no engine; on the oldest and the newest Python here."""
    install(session, "test")
    session.run("coverage", "run", "-m", "pytest", "-m", "not engine and not e2e", *session.posargs)
    session.run("coverage", "report", "--fail-under=0", "--skip-covered")


@nox.session
def engine(session: nox.Session) -> None:
    """A real engine, a real registry, real pushes and pulls; needs a Docker Engine: `./inv engine`."""
    install(session, "test")
    session.run("pytest", "-m", "engine", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The README's command blocks, against --dry and --list."""
    install(session, "test")
    session.run("pytest", "tests/test_readme.py", *session.posargs)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Ratios to what a person would type by hand; needs a Docker Engine; prints a table and writes bench.json."""
    # In no environment of its own: what is timed is the one that ./inv makes and everybody uses.
    session.run(str(ROOT / "inv"), "--version", external=True)
    argv = [str(ROOT / ".venv" / "bin" / "python"), "-m", "bench", *session.posargs]
    # After Ctrl-C it takes its registries down before it ends.
    session.run(*argv, external=True, interrupt_timeout=60, terminate_timeout=60)
