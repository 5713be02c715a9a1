"""The packages whose programs tests may start.

What stands in no list is found by no test, whatever the machine has: a program that somebody once installed by hand
cannot hide that a fresh machine lacks it.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FRESH: Mapping[str, str] = {
    "apt": "apt-cache apt-get",
    "bash": "bash",
    "coreutils": "[ base64 basename cat chmod chown chroot cp cut date dd df dirname du echo env expr false head id "
    "install ln ls mkdir mkfifo mktemp mv nice od printf pwd readlink rm rmdir seq sha256sum sleep sort stat sync tail "
    "tee test timeout touch tr true truncate uname uniq wc",
    "dash": "dash sh",
    "debianutils": "which",
    "diffutils": "cmp diff",
    "dpkg": "dpkg dpkg-deb dpkg-query",
    "findutils": "find xargs",
    "git": "git",
    "grep": "grep",
    "gzip": "gzip",
    "hostname": "hostname",
    "libc-bin": "getent ldd",
    "mawk": "mawk awk",
    "mount": "mount umount",
    "openssl": "openssl",
    "perl": "perl shasum",
    "python3": "python3",
    "sed": "sed",
    "tar": "tar",
    "util-linux": "flock mountpoint setpriv setsid unshare",
}
"""Programs by package, on a minimal Debian with git, python3-venv and ca-certificates: the README asks for no more."""

ENGINE: Mapping[str, str] = {"docker.io, or docker-cli": "docker"}
"""What `./inv engine` adds; for tests of a real engine alone."""

BROWSER: Mapping[str, str] = {"chromium": "chromium"}
"""What `nox -s browser` asks for; for tests of the page in a browser alone."""

ON_HOST: Mapping[str, str] = {
    "busybox": "busybox",
    "containerd": "containerd",
    "curl": "curl",
    "default-jre-headless": "java keytool",
    "gawk": "gawk",
    "haproxy": "haproxy",
    "libnss3-tools": "certutil",
    "openssh-client": "ssh ssh-keygen",
    "openssh-server": "sshd",
    "original-awk": "original-awk",
    "skopeo": "skopeo",
    "sudo": "sudo",
    "wget": "wget",
    "zsh": "zsh",
}
"""What a host of the lab has besides. Tests that need one of these say so by `on_host`, and run there."""

_SYSTEM = ("/usr/sbin", "/sbin")
"""Folders with programs that an ordinary user's PATH may lack."""


def is_fresh(name: str) -> bool:
    """Whether a fresh machine has a program."""
    return any(name in programs.split() for programs in FRESH.values())


def link(folder: Path, packages: Iterable[Mapping[str, str]], *, but: str | None = None) -> list[str]:
    """Fill a folder with links to the programs of some packages, one of them left out on request.

    Returns:
        The packages that this machine lacks, each with the program in brackets.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM])
    missing = []
    for package, names in (item for group in packages for item in group.items()):
        for name in {*names.split()} - {but}:
            program = shutil.which(name, path=path)
            if program is None:
                missing.append(f"{package} ({name})")
            elif not (folder / name).is_symlink():
                (folder / name).symlink_to(program)
    return missing
