"""Callback plugin that prints lines of JSON: first the hosts of the play, then each host's result."""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible has no types
    """Callbacks for Ansible's events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "trusted_registry_lines"

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ANN401 - Ansible has no types
        """Print the hosts' names in the inventory's order."""
        _print(hosts=play.get_variable_manager().get_vars(play=play)["ansible_play_hosts_all"])

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """Print the result of a host on which the kit succeeded."""
        _print_result(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401, ARG002, FBT001, FBT002
        """Print the result of a host on which the kit failed, or could not start."""
        _print_result(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:  # noqa: ANN401
        """Print the result of a host that ssh could not reach, or log in to."""
        _print_result(result, "unreachable")


def _print_result(result: Any, end: str) -> None:  # noqa: ANN401
    # ansible-core before 2.19 has these names with an underscore alone.
    host = getattr(result, "host", None) or result._host  # noqa: SLF001
    said = getattr(result, "result", None) or result._result  # noqa: SLF001
    _print(host=host.get_name(), end=end, **{key: str(said.get(key) or "") for key in ("stdout", "stderr", "msg")})


def _print(**words: object) -> None:
    sys.stdout.write(f"{json.dumps(words)}\n")
    sys.stdout.flush()
