"""Action plugin that runs the kit on a host in one step, through the connection's own stream; no file remains.

Ansible's `script` takes five steps for the same (a folder, a copy, a mode, a run, a removal), and its `raw` would put
the kit into the command's text, which sudo would log completely.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The kit is a file while it runs, since it checks its own content. A shell that is hung up on cleans up as well.
STEP = (
    'umask 077; folder=$(mktemp -d) || exit 1; trap \'rm -rf "$folder"\' EXIT; trap "exit 1" HUP INT PIPE TERM; '
    'cat > "$folder"/{name} && sh "$folder"/{name} {flags} < /dev/null'
)


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible has no types
    """Action that runs the kit on one host."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the kit's exit status and output on one host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        kit = Path(self._task.args["kit"])
        flags = [*self._task.args["flags"], *(["--dry-run"] if self._task.check_mode else [])]
        step = STEP.format(name=shlex.quote(kit.name), flags=shlex.join(flags))
        result.update(self._low_level_execute_command(step, in_data=kit.read_bytes()))
        result["failed"] = result["rc"] != 0
        result["changed"] = result["stdout"].rstrip().endswith(": changed")
        return result
