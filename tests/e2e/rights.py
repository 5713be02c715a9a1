"""What a host's container may do: everything, or as much of it as the machine below has to give."""

from __future__ import annotations

from pathlib import Path

NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
)
"""Capabilities in the kernel's order, up to the last one that Docker 20.10 knows (linux/capability.h, 0 to 37)."""

DEVICES = ("/dev/fuse", "/dev/net/tun")
"""What engines without root open."""

REFUSALS = ("unable to apply caps", "devices.allow: operation not permitted")
"""What runc says if --privileged asks for a capability, or for a device, that the machine itself has not."""


def is_refused(error: Exception) -> bool:
    """Return whether an engine refused a container the rights that were asked for."""
    return any(words in str(error) for words in REFUSALS)


def bounding(status: Path = Path("/proc/self/status")) -> list[str]:
    """Return the capabilities that a program on this machine can have at all."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("CapBnd:"))
    bits = int(line.split()[1], 16)
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


PRIVILEGED: dict[str, object] = {"Privileged": True}
"""What of a container's configuration lets it do everything."""


def piecemeal() -> dict[str, object]:
    """Return the configuration that comes closest where `--privileged` is refused."""
    return {
        "CapAdd": bounding(),
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "Devices": [_device(path) for path in DEVICES if Path(path).exists()],
        # What the CLI makes of `--security-opt systempaths=unconfined`: nothing of /proc is hidden or read-only.
        "MaskedPaths": [],
        "ReadonlyPaths": [],
    }


def _device(path: str) -> dict[str, str]:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
