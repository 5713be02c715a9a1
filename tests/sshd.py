"""Many machines on this one: real sshds on loopback addresses, with keys and folders of their own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SOCKETS = 16
"""Addresses that one sshd can listen on (openssh, sshd.c, MAX_LISTEN_SOCKS)."""
SEPARATION = Path("/run/sshd")
"""The folder that Debian's sshd, as root, wants for the part of it that has no rights."""


@dataclass
class Farm:
    """Sshds, all on one port, that let this user in by a key.

    Args:
        folder: What they are made of, and what they log.
        port: Of all of them.
        variables: What their sessions have in the environment.
    """

    folder: Path
    port: int
    variables: Mapping[str, str] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """All that they logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("log-*")))

    @property
    def host_key(self) -> str:
        """The public key that they show, with its kind before it."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    @property
    def ssh_options(self) -> str:
        """What ssh must be told to come in, and to leave this user's own configuration alone."""
        known = self.folder / "known_hosts"
        return f"-F none -o User={getpass.getuser()} -o UserKnownHostsFile={known} -o GlobalKnownHostsFile=none"

    def know(self, addresses: Sequence[str], key: str = "") -> None:
        """Have ssh know the host keys of some addresses, and of no others."""
        lines = [f"[{address}]:{self.port} {key or self.host_key}\n" for address in addresses]
        (self.folder / "known_hosts").write_text("".join(lines))

    def inventory(self, path: Path, hosts: Mapping[str, str], *, root: bool = False) -> Path:
        """Write an inventory of hosts by name, each with variables of its own, such as its address.

        Args:
            path: Where.
            hosts: Variables by name, as a line of an inventory has them.
            root: Whether sudo is asked for root there, unless a host's own variables say otherwise.
        """
        common = {
            "ansible_port": str(self.port),
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_ssh_common_args": f'"{self.ssh_options}"',
            "ansible_become": str(root).lower(),
        }
        lines = [f"{name} {variables}".strip() for name, variables in hosts.items()]
        path.write_text("\n".join([*lines, "[all:vars]", *(f"{key}={value}" for key, value in common.items()), ""]))
        return path


@contextlib.contextmanager
def farm(folder: Path, addresses: Sequence[str], variables: Mapping[str, str] | None = None) -> Iterator[Farm]:
    """Run sshds on loopback addresses for as long as the context lasts; ssh knows them all.

    Their sessions have another home, and a depth at which Debian's bash reads no .bashrc (bash(1), INVOCATION): what a
    person has there runs programs, and a few of those start themselves for ever where the PATH is not that person's.
    """
    made = Farm(
        folder,
        loopback.free_port(),
        {"HOME": str(folder), "SHLVL": "1", **(variables or {})},
        list(addresses),
    )
    for key in ("host", "user"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(folder / key)]
        subprocess.run(argv, check=True)
    made.know(addresses)
    with _separation():
        try:
            for number in range(0, len(addresses), SOCKETS):
                _start(made, number // SOCKETS, addresses[number : number + SOCKETS])
            _wait(made)
            yield made
        finally:
            for process in made.processes:
                process.terminate()
                process.wait()


def _start(farm: Farm, number: int, addresses: Sequence[str]) -> None:
    program = shutil.which("sshd")  # it wants its whole path
    assert program, "sshd is not installed; Debian, Ubuntu: apt-get install openssh-server"
    options = {
        "Port": farm.port,
        "HostKey": farm.folder / "host",
        "AuthorizedKeysFile": farm.folder / "user.pub",
        "StrictModes": "no",  # temporary folders belong to whom they belong
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "MaxStartups": 1000,
        "PidFile": "none",
    }
    lines = [f"{name} {value}" for name, value in options.items()]
    lines += [f"ListenAddress {address}" for address in addresses]
    lines += (
        [f"SetEnv {' '.join(f'{name}={value}' for name, value in farm.variables.items())}"] if farm.variables else []
    )
    configuration = farm.folder / f"config-{number}"
    configuration.write_text("\n".join([*lines, ""]))
    argv = [program, "-D", "-f", str(configuration), "-E", str(farm.folder / f"log-{number}")]
    farm.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))


def _wait(farm: Farm) -> None:
    """Wait until the last sshd answers on its last address."""
    end = time.monotonic() + 20
    for address in farm.addresses[SOCKETS - 1 :: SOCKETS] + farm.addresses[-1:]:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, farm.port), timeout=1):
                break
            assert time.monotonic() < end, f"no sshd answers at {address}:\n{farm.log}"
            time.sleep(0.02)


@contextlib.contextmanager
def _separation() -> Iterator[None]:
    """Have the folder that root's sshd wants, and leave none that was not there."""
    missing = os.geteuid() == 0 and not SEPARATION.exists()
    if missing:
        SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        if missing:
            with contextlib.suppress(OSError):
                SEPARATION.rmdir()
