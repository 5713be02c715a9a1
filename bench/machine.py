"""Names the machine, without which no figure means anything."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from bench import stand
from bench.timing import BenchError


def describe() -> dict[str, str]:
    """Return what the figures depend on, by name; what is not installed is left out."""
    described = {
        "machine": f"{os.cpu_count()} cores, {_cpu()}, {_system()}",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "engine": _said("docker", "version", "--format", "Docker {{.Server.Version}}"),
        "python": stand.output([stand.python(), "-c", "import platform; print(platform.python_version())"]),
        "openssl": _said("openssl", "version"),
    }
    return {name: value for name, value in described.items() if value}


def _said(*argv: str) -> str:
    try:
        return stand.output(argv)
    except BenchError:
        return ""


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
