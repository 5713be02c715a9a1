"""Installation of a Docker Engine on this machine: the distribution's own, unless one answers."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import time
from pathlib import Path

from trusted_registry import program
from trusted_registry.console import Console
from trusted_registry.engine import connection, membership
from trusted_registry.errors import AccessDeniedError, NeedsRootError, RegistryError

LOG = Path("/var/log/dockerd.log")
PID_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    # Started by dockerd, which waits a minute for one that it takes to be there (moby/moby, libcontainerd/supervisor).
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
"""Files in which an engine notes its process ids, with the program of each."""
START_SECONDS = 60.0
"""Seconds allowed for a fresh engine to answer; two to five are usual."""

INSTALL_COMMANDS = {
    "fedora": "sudo dnf install moby-engine docker-cli && sudo systemctl enable --now docker",
    "rhel": "sudo dnf install docker-ce docker-ce-cli containerd.io  # from Docker's own repository",
    "arch": "sudo pacman -S docker && sudo systemctl enable --now docker",
    "suse": "sudo zypper install docker && sudo systemctl enable --now docker",
    "alpine": "sudo apk add docker && sudo rc-update add docker && sudo service docker start",
    "Darwin": "Start Docker Desktop, Colima or OrbStack: open -a Docker",
}
"""Commands that install an engine on other systems; shown, never run."""


def ensure(console: Console) -> bool:
    """Install and start the distribution's engine unless one answers, and give this user access.

    For the last, the command line may go on in another process.

    Returns:
        True if an engine was installed or started.

    Raises:
        RegistryError: The person said no, the system is another one, or the engine does not come up.
    """
    absent = connection.connect_error()
    if absent is None:
        return False
    if connection.is_chosen():
        if not console.dry:
            raise absent  # an engine that a person chose is not replaced by another
        console.warn(absent.message)
        return False
    if isinstance(absent, AccessDeniedError):
        membership.join(console)
        return False
    _check_rights(console)
    family = _family()
    if not shutil.which("dockerd"):
        if family not in ("debian", "ubuntu"):
            by_hand = INSTALL_COMMANDS.get(family, "Install Docker as its manual says for your system.")
            raise RegistryError("No Docker Engine answers.", cure=by_hand)
        question = "No Docker Engine answers. Install the package docker.io and start it?"
        if os.environ.get("CI") != "true" and not console.ask(question):
            raise RegistryError("No Docker Engine was installed.", cure="Install one, then repeat the command.")
        install(console)
    start(console)
    if _is_denied(console):
        membership.join(console)
    return True


def _check_rights(console: Console) -> None:
    """Insist on sudo before anything is asked or done, and name all that an administrator has to do instead.

    Raises:
        NeedsRootError: This user may not use sudo.
    """
    if console.dry or program.may_use_sudo() or platform.system() != "Linux":
        return
    absent = not shutil.which("dockerd")
    steps = ["apt-get install --yes docker.io"] if absent else [shlex.join(_start_command())]
    steps += [] if membership.is_listed() else [shlex.join(membership.add_command())]
    lacks = "There is no Docker Engine here" if absent else "The Docker Engine does not run"
    message = f"{lacks}, and {membership.user()} may not use sudo to {'install one' if absent else 'start it'}."
    raise NeedsRootError(message, cure=program.administrator(" && ".join(steps)))


def _is_denied(console: Console) -> bool:
    """Whether the engine that was started refuses this user; in a dry run, whether the engine would."""
    if console.dry:
        return bool(os.geteuid()) and not membership.is_listed()
    return isinstance(connection.connect_error(), AccessDeniedError)


def _start_command() -> list[str]:
    if Path("/run/systemd/system").is_dir():
        return ["systemctl", "enable", "--now", "docker"]
    return ["service", "docker", "start"]


def _family() -> str:
    """Return the first known name of this system, or its own if none is known."""
    if platform.system() != "Linux":
        return platform.system()
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "Linux"
    names = [release.get("ID", "Linux"), *release.get("ID_LIKE", "").split()]
    return next((name for name in names if name in ("debian", "ubuntu", *INSTALL_COMMANDS)), names[0])


def install(console: Console) -> None:
    """Install the distribution's engine, and its client if packaged apart."""
    # By env(1), since sudo lets no variable through.
    apt_get = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if os.geteuid():  # asks for a password before a progress bar moves over the question
        program.run(["true"], console, as_root=True)
    with console.progress("Installing the Docker Engine"):
        program.run([*apt_get, "update"], console, as_root=True)
        packages = ["docker.io"]
        # Debian 13 and later split the client off; before, docker.io holds both.
        policy = ["apt-cache", "policy", "docker-cli"]
        if not shutil.which("docker") and re.search(r"Candidate: [^(]", program.capture(policy).out):
            packages.append("docker-cli")
        command = [*apt_get, "install", "--yes", "--no-install-recommends", *packages]
        program.run(command, console, as_root=True, timeout=1800)


def _stale_pid_files() -> list[Path]:
    """Return the pid files of a killed engine that no longer name its process.

    The number is by now a zombie's or another program's; no engine starts beside such a file.
    """
    return [path for path, program in PID_FILES.items() if _is_stale(path, program)]


def _is_stale(path: Path, program: str) -> bool:
    import psutil

    try:
        holder = psutil.Process(int(path.read_text()))
        return holder.status() == psutil.STATUS_ZOMBIE or holder.name() != program
    except (OSError, ValueError, psutil.Error):
        return False


def start(console: Console) -> None:
    """Start the installed engine and wait for its answer.

    systemd starts the engine on a machine that runs systemd.

    Raises:
        RegistryError: The engine does not answer in time; the cure shows its log.
    """
    if Path("/run/systemd/system").is_dir():
        program.run(["systemctl", "enable", "--now", "docker"], console, as_root=True)
        log = "journalctl --unit docker --lines 20"
    else:
        for path in _stale_pid_files():
            program.run(["rm", str(path)], console, as_root=True)
        # setsid goes to the background by itself, and sudo has this terminal to ask on.
        program.run(["setsid", "--fork", "sh", "-c", f"exec dockerd </dev/null >>{LOG} 2>&1"], console, as_root=True)
        log = f"tail {LOG}"
    if console.dry:
        return
    end = time.monotonic() + START_SECONDS
    with console.progress("Starting the Docker Engine"):
        while absent := connection.connect_error():
            if isinstance(absent, AccessDeniedError):
                return  # it answers
            if time.monotonic() > end:
                late = f"The Docker Engine does not answer after {START_SECONDS:.0f} seconds."
                raise RegistryError(late, cure=f"See why: {log}")
            time.sleep(0.1)
