"""Presence of clients on this machine, and the reason for an absence."""

from __future__ import annotations

import shutil
from pathlib import Path

from trusted_registry.engine.protocol import Engine
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import Client

SILENT = "no engine answers"


def why_absent(client: Client, machine: Machine, engine: Engine) -> str | None:
    """Return the reason for a client's absence, or None if present.

    An empty reason needs no words. An engine that answers is present, even without its program.
    """
    if client.engine:
        return None if engine.available else SILENT
    if not shutil.which(client.program):
        return ""
    if not client.socket:
        return None
    at = pulls.socket(client, machine)
    if _missing(at):
        return f"its service does not run: there is no {at}"
    # an engine without root may be the very one that answers
    return "" if engine.available and engine.info().socket == f"unix://{at}" else None


def _missing(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return False
