"""A mount namespace in which /etc is a copy: clients are told of a registry, and the machine's own files stay.

The engine reads the machine's own /etc/docker/certs.d, so that one folder, and nothing else of /etc, is shared with it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.stand import as_root
from trusted_registry import program
from trusted_registry.errors import RegistryError

SCRIPT = Path(__file__).with_name("namespace.sh")
ENTERED = "TRUSTED_REGISTRY_BENCH_ETC"
REFUSED = "TRUSTED_REGISTRY_BENCH_NO_NAMESPACE"
CERTS_D = "docker/certs.d"
STORES = ("containers", "containerd", "rancher", "buildkit", "crio")
"""Folders of /etc that `up` may write to for other clients than the engine."""

_PROBE = 60
"""Seconds for copying /etc once."""


@dataclass(frozen=True)
class Etc:
    """The machine's own /etc, as seen from here.

    Args:
        folder: Its path: /etc, or an open folder where /etc is a copy.
        refused: Why /etc is no copy; empty where it is.
    """

    folder: Path
    refused: str = ""

    @property
    def certs_d(self) -> Path:
        """The folder that the engine reads."""
        return self.folder / CERTS_D

    def machine(self, path: str) -> Path:
        """Return the machine's own file of a path, which may be one of /etc."""
        return self.folder / path.removeprefix("/etc/") if path.startswith("/etc/") else Path(path)

    def share_certs_d(self) -> None:
        """Let the copy of /etc have the engine's folder, which must exist; nothing where /etc is no copy."""
        if self.refused:
            return
        here = Path("/etc", CERTS_D)
        as_root("mkdir", "-p", str(here))
        # Not canonical: the open folder's path would be read as /etc, which is the copy by now (mount(8), -c).
        as_root("mount", "--no-canonicalize", "--bind", str(self.certs_d), str(here))

    def restore_stores(self) -> None:
        """Make the copies of the other clients' folders anew; nothing where /etc is no copy."""
        if self.refused:
            return
        for name in STORES:
            if Path("/etc", name).exists():
                as_root("rm", "-r", f"/etc/{name}")
            if (self.folder / name).exists():
                as_root("cp", "-a", str(self.folder / name), f"/etc/{name}")


def current() -> Etc:
    """Return the machine's own /etc as this process sees it."""
    entered = os.environ.get(ENTERED, "")
    if entered.isdecimal() and _is_another_etc(int(entered)):
        return Etc(Path(f"/proc/{os.getpid()}/fd/{entered}"))
    return Etc(Path("/etc"), os.environ.get(REFUSED) or "this is no mount namespace")


def _is_another_etc(descriptor: int) -> bool:
    """Return whether an open folder is not the one at /etc: the variable alone is no reason to remove anything."""
    try:
        opened = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISDIR(opened.st_mode) and not os.path.samestat(opened, os.stat("/etc"))  # noqa: PTH116 - a pair


def enter(argv: list[str]) -> None:
    """Start a program in such a namespace in place of this process; return only where that is impossible.

    Args:
        argv: The program and its arguments.
    """
    if ENTERED in os.environ or REFUSED in os.environ:
        return
    try:
        into = _command()
        done = subprocess.run([*into, "true"], capture_output=True, text=True, check=False, timeout=_PROBE)
    except (OSError, RegistryError, subprocess.TimeoutExpired) as error:
        os.environ[REFUSED] = str(error)
        return
    if done.returncode:
        os.environ[REFUSED] = (done.stderr.strip() or f"unshare ended with status {done.returncode}").splitlines()[-1]
        return
    sys.stdout.flush()
    os.execvp(into[0], [*into, *argv])  # noqa: S606 - this very process goes on, so a signal to it still means the bench


def _command() -> list[str]:
    """Return the words before a command that is to run in a namespace, as the same user."""
    enter = ["unshare", "--mount", "sh", str(SCRIPT)]
    if os.geteuid() == 0:
        return enter
    if sys.platform != "linux":
        raise RegistryError("mount namespaces are Linux's", cure="Run the bench on Linux.")
    # sudo sets both anew, whatever it is told to preserve (sudoers(5), secure_path, always_set_home).
    kept = ["env", *(f"{name}={os.environ[name]}" for name in ("HOME", "PATH") if name in os.environ)]
    return [*program.sudo(), "-E", *enter, "--user", *_user(), *kept]


def _user() -> tuple[str, str, str]:
    """Return who this process is: user, group, and all groups, that of the engine's users perhaps among them."""
    groups = os.getgroups() or [os.getgid()]
    return str(os.getuid()), str(os.getgid()), ",".join(str(group) for group in groups)
