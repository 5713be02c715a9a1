"""Execution of a plan on this machine: directly for files that this user may write, otherwise through one sudo."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.plan import Plan

_EXPLAINED = 3
"""Exit status of this module, run as root, for an error that is passed on in full: sudo's own is 1."""


def locked(console: Console) -> AbstractContextManager[None]:
    """Lock this user's trust for one run; a second run waits.

    A dry run, which writes nothing, takes no lock.
    """
    return nullcontext() if console.dry else files.locked(ledger.path().parent, name=".trust.lock")


def carry_out(plan: Plan, console: Console) -> None:
    """Show a plan's commands, change its files, and run the commands after.

    The files are changed one by one, each in one step.

    Raises:
        NeedsRootError: Root is needed, and there is no sudo or sudo refuses.
        RegistryError: A file cannot be written, or a command failed.
    """
    foreign = any(not is_writable(operation.path) for operation in plan.operations)
    as_root = plan.machine and foreign and os.geteuid() != 0
    if (as_root or (plan.machine and plan.runs)) and not console.dry:
        program.sudo()
    for command in plan.typed:
        console.command(["sudo", *command] if as_root else command)
    if plan.operations and not console.dry:
        if as_root:
            _through_sudo(plan)
        else:
            files.carry_out(list(plan.operations))
    for command in plan.runs:
        program.run(command, console, as_root=plan.machine)


def is_writable(path: Path) -> bool:
    """Return whether this user may write a file and make its folders."""
    try:
        folder = next(parent for parent in path.parents if files.exists(parent))
    except PermissionError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _through_sudo(plan: Plan) -> None:
    """Change the files by this very module as root: one process, one password."""
    package = Path(__file__).parents[3]
    argv = [*program.sudo(), sys.executable, "-B", "-m", "trusted_registry.trust.local.apply"]
    result = program.capture(argv, text=_encode(plan.operations), cwd=package, timeout=None)
    if result.code == _EXPLAINED:
        message, cure = json.loads(result.last_line)
        raise RegistryError(message, cure=cure)
    if not result.ok:
        if program.is_sudo_s(result):
            raise program.sudo_error(result)
        cure = "Run by hand the commands that it shows with --dry."
        raise RegistryError(f"sudo did not do it: {result.last_line}", cure=cure)


def _encode(operations: Iterable[Write | Remove]) -> str:
    """Return operations as JSON; a character stands for each byte of a content."""

    def text(value: bytes | Path) -> str:
        return value.decode("latin-1") if isinstance(value, bytes) else str(value)

    return json.dumps([asdict(operation) for operation in operations], default=text)


def _decode(text: str) -> list[Write | Remove]:
    return [
        Write(Path(it["path"]), it["content"].encode("latin-1"), it["mode"])
        if "content" in it
        else Remove(Path(it["path"]), Path(it["keep"]))
        for it in json.loads(text)
    ]


def main() -> int:
    """Carry out the operations on standard input.

    The message and cure of an error go to standard error.
    """
    try:
        files.carry_out(_decode(sys.stdin.read()))
    except RegistryError as error:
        sys.stderr.write(f"{json.dumps([error.message, error.cure])}\n")
        return _EXPLAINED
    return 0


if __name__ == "__main__":
    sys.exit(main())
