"""What a host's container may do: everything, or as much of it as the machine below has to give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient

NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
)
"""Capabilities in the kernel's order, up to the last one that Docker 20.10 knows (linux/capability.h, 0 to 37)."""

REFUSED = "unable to apply caps"
"""What runc says where --privileged asks for a capability that the machine itself has lost."""


def bounding(status: Path = Path("/proc/self/status")) -> list[str]:
    """Return the capabilities that a program on this machine can have at all."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("CapBnd:"))
    bits = int(line.split()[1], 16)
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


def privileged(engine: APIClient, **common: object) -> dict[str, object]:
    """Return the host configuration of a container that may do everything."""
    return dict(engine.create_host_config(privileged=True, **common))


def piecemeal(engine: APIClient, **common: object) -> dict[str, object]:
    """Return the host configuration that comes closest where `--privileged` is refused."""
    config = engine.create_host_config(
        cap_add=bounding(),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        devices=["/dev/fuse", "/dev/net/tun"],
        **common,
    )
    # What the CLI makes of `--security-opt systempaths=unconfined`: nothing of /proc is hidden or read-only.
    return {**config, "MaskedPaths": [], "ReadonlyPaths": []}
