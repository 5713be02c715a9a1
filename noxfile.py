"""The project's own checks: `nox` runs the default ones, `nox -l` lists all."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "engine", "docs", "lab"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
SUITES = ("bookworm", "trixie", "sid")
UNIT = "not engine and not machine and not e2e and not browser"
"""Marks of the tests that need no engine."""
SOUND = (
    "test_document.py",
    "test_lifecycle.py",
    "test_clients.py",
    "test_login.py",
    "test_on_host.py",
    "test_untouched.py",
)
"""Scenarios of the lab that the test command runs: all of them take too long to ask whether a checkout is sound."""


def oldest() -> str:
    """Return the oldest supported Python that this machine has, which lacks the most; `e2e` runs all on newer ones."""
    # pyenv's shims stand on PATH for every version that it has, and refuse to run most of them.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [str(path.parent) for version in SUPPORTED for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])
    # With none by such a name, the one that runs nox.
    return next((version for version in SUPPORTED if shutil.which(f"python{version}")), sys.executable)


def install(session: nox.Session, group: str) -> None:
    """Install the project's own dependencies and one group of tools."""
    session.install(*PROJECT["project"]["dependencies"], *nox.project.dependency_groups(PROJECT, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, spelling, and shell scripts, those that are rendered too."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", ".")
    scripts = session.create_tmp()
    session.run("python", "-m", "tests.rendered", scripts)
    session.run(
        "shellcheck",
        "inv",
        ".ci/run",
        "bench/document.sh",
        "bench/everywhere.sh",
        "bench/namespace.sh",
        f"{scripts}/trust.sh",
        f"{scripts}/trust-mirrors.sh",
        f"{scripts}/start.sh",
        f"{scripts}/keep.sh",
        *(f"{scripts}/swarm-{name}.sh" for name in ("inspect", "join", "give", "take")),
    )


@nox.session
def types(session: nox.Session) -> None:
    """Types, tests included."""
    install(session, "types")
    session.run("mypy")


@nox.session(python=oldest())
def tests(session: nox.Session) -> None:
    """Real openssl and TLS, no engine, on the oldest Python here; another: nox -s tests --force-python 3.13."""
    install(session, "unit")
    # Most of them wait, for a process or for a moment: so twice as many run side by side as there are cores.
    argv = ["-m", f"{UNIT} and not long", f"--numprocesses={2 * (os.cpu_count() or 1)}"]
    session.run("pytest", *argv, "--ignore=tests/docs", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The same on one Python, with a count of the lines and branches that no test runs."""
    install(session, "unit")
    argv = ["-m", UNIT, f"--numprocesses={2 * (os.cpu_count() or 1)}"]
    session.run("pytest", *argv, "--cov", "--cov-fail-under=80", "--cov-report=term:skip-covered", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """A real engine, a real registry, real pushes and pulls; needs a Docker Engine: `./inv engine`."""
    install(session, "test")
    # After Ctrl-C it takes its registries down before it ends.
    session.run("pytest", "-m", "engine and not long", *session.posargs, interrupt_timeout=60, terminate_timeout=60)


@nox.session
def browser(session: nox.Session) -> None:
    """The page for other machines, on a phone and on a desk; needs Chromium: apt-get install chromium."""
    install(session, "test")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The commands of the README and of docs/, against --dry and --list; JSON against its page."""
    install(session, "test")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def lab(session: nox.Session) -> None:
    """The scenarios of the test command, on hosts of one Debian suite: SOUND says which; `e2e` runs all."""
    scenarios(session, "bookworm", *(f"tests/e2e/{name}" for name in SOUND), "-m", "not long")


@nox.session
@nox.parametrize("suite", SUITES)
def e2e(session: nox.Session, suite: str) -> None:
    """Every claim of the README on hosts of one Debian suite; `-- --rebuild` makes their image anew."""
    scenarios(session, suite, "tests/e2e", "--ignore=tests/e2e/faults")


def scenarios(session: nox.Session, suite: str, *chosen: str) -> None:
    """Run scenarios of the lab on hosts of one suite."""
    install(session, "test")
    argv = ["pytest", *chosen, "--suite", suite, "--tb=short", f"--junitxml=e2e-report/{suite}.xml", *session.posargs]
    # After Ctrl-C it takes its hosts down before it ends.
    session.run(*argv, interrupt_timeout=60, terminate_timeout=60)


@nox.session
@nox.parametrize("suite", SUITES[:2])
def fresh(session: nox.Session, suite: str) -> None:
    """The README's first command, and the test command, on a bare Debian; needs a network; half an hour."""
    install(session, "test")
    session.run("python", "-m", "tests.e2e.fresh", suite, interrupt_timeout=60, terminate_timeout=60)


@nox.session
def faults(session: nox.Session) -> None:
    """Kills, full disks, storms, hostile input and load, with a count of what was lost; half an hour and more."""
    install(session, "test")
    names = ("broken_answers", "engine_answers", "foreign_certificates")
    foreign = [f"tests/registry/test_{name}.py" for name in names]
    foreign += [
        "tests/trust/remote/test_kit_server_abuse.py",
        "tests/archives/test_hostile.py",
        "tests/images/test_trash.py",
    ]
    broken = ["tests/properties", *foreign, "--numprocesses=auto"]
    broken.append("--dist=worksteal")  # some take minutes, and each is given to whoever is free
    session.run("pytest", *broken, "--hypothesis-profile=long", "--timeout=3600", *session.posargs)
    # The bench, interrupted in each way: this machine must be as before. And the engine's tests that take long.
    session.run(
        "pytest", "-m", "machine or engine and long", *session.posargs, interrupt_timeout=60, terminate_timeout=60
    )
    lab = ["tests/e2e/faults", "tests/e2e/test_attacks.py", "--suite", "bookworm"]
    argv = ["pytest", *lab, "--tb=short", "--junitxml=e2e-report/faults.xml", *session.posargs]
    session.run(*argv, interrupt_timeout=60, terminate_timeout=60)


@nox.session(venv_backend="none")
def kubernetes(session: nox.Session) -> None:
    """The manifests on a real cluster, which is named: `-- --context NAME --namespace NAME`."""
    session.run(str(ROOT / "inv"), "kubernetes.check", *session.posargs, external=True, interrupt_timeout=300)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Ratios to what a person would type by hand; `-- --only up,cert` for some; prints a table, writes bench.json."""
    # In no environment of its own: what is timed is the one that ./inv makes and everybody uses.
    session.run(str(ROOT / "inv"), "--version", external=True)
    argv = [str(ROOT / ".venv" / "bin" / "python"), "-m", "bench", *session.posargs]
    # After Ctrl-C it takes its registries down before it ends; nox that is told to end, or killed, tells nobody.
    env = {"TRUSTED_REGISTRY_BENCH_ENDS_WITH_PARENT": "1"}
    session.run(*argv, env=env, external=True, interrupt_timeout=60, terminate_timeout=60)
