"""What is to be written for a client and what is to be run: values, for whoever shows them or carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.files import Remove, Write


@dataclass(frozen=True)
class Plan:
    """Files to write or remove, the commands that a person would type for that, and what to say of it.

    Args:
        store: Whose trust it is: docker, docker-rootless, docker-desktop, insecure.
        operations: In the order in which they are carried out.
        typed: The same as commands.
    """

    store: str
    operations: tuple[Write | Remove, ...]
    typed: tuple[tuple[str, ...], ...]


def install(store: str, source: Path, writes: tuple[Write, ...]) -> Plan:
    """Return the plan that copies a certificate to several places."""
    typed = (("install", "-D", "-m", f"{write.mode:04o}", str(source), str(write.path)) for write in writes)
    return Plan(store, writes, tuple(typed))


def removal(store: str, removes: tuple[Remove, ...]) -> Plan:
    """Return the plan that takes files away, and the folders that this leaves empty."""
    typed: list[tuple[str, ...]] = []
    for remove in removes:
        typed.append(("rm", str(remove.path)))
        if remove.path.parent != remove.keep:
            typed.append(("rmdir", "--ignore-fail-on-non-empty", str(remove.path.parent)))
    return Plan(store, removes, tuple(typed))
