"""Carries a plan out on this machine: directly where the files are ours to write, through one sudo where not."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import files, run
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trusted_registry.edge import Edge
    from trusted_registry.trust.plan import Plan


def carry_out(plan: Plan, edge: Edge) -> None:
    """Show a plan's commands, and do what they would do, file by file and each in one step.

    Raises:
        RegistryError: A file cannot be written, or there is no sudo to write it with.
    """
    as_root = any(not writable(operation.path) for operation in plan.operations)
    for command in plan.typed:
        edge.command(["sudo", *command] if as_root else command)
    if edge.dry or not plan.operations:
        return
    if as_root:
        _through_sudo(plan)
    else:
        files.carry_out(list(plan.operations))


def writable(path: Path) -> bool:
    """Whether this user may put a file at a path, making the folders on the way."""
    try:
        folder = next(parent for parent in path.parents if parent.exists())
    except PermissionError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _through_sudo(plan: Plan) -> None:
    """Have this very module do the work as root: one process, one password."""
    package = Path(__file__).parent.parent.parent
    argv = [*run.sudo(), sys.executable, "-B", "-m", "trusted_registry.trust.apply"]
    result = run.look(argv, text=_encode(plan.operations), cwd=package, timeout=None)
    if not result.ok:
        raise RegistryError(
            f"sudo did not do it: {result.last_words}",
            cure="Run the same command as root, or the commands above by hand.",
        )


def _encode(operations: Iterable[Write | Remove]) -> str:
    entries: list[dict[str, object]] = []
    for operation in operations:
        if isinstance(operation, Write):
            content = base64.b64encode(operation.content).decode()
            entries.append({"write": str(operation.path), "content": content, "mode": operation.mode})
        else:
            entries.append({"remove": str(operation.path), "keep": str(operation.keep)})
    return json.dumps(entries)


def _decode(text: str) -> list[Write | Remove]:
    operations: list[Write | Remove] = []
    for entry in json.loads(text):
        if "write" in entry:
            operations.append(Write(Path(entry["write"]), base64.b64decode(entry["content"]), entry["mode"]))
        else:
            operations.append(Remove(Path(entry["remove"]), Path(entry["keep"])))
    return operations


def main() -> int:
    """Carry out the operations on standard input; the reason for a failure goes to standard error."""
    try:
        files.carry_out(_decode(sys.stdin.read()))
    except RegistryError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
