"""Flags: those of one task are declared with it, those of several tasks are values here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

UNSAID = "\0"
"""Default of a setting's flag that was not typed: no command line can hold NUL, and an empty one is a value too."""


@dataclass(frozen=True)
class Flag:
    """Flag of a task.

    Args:
        name: Name of the flag, and of the parameter that takes its value.
        help: Line of help.
        default: Value of a flag that is not typed; None if its value must follow the task's name.
        is_list: Whether the value is a list, typed as one word with commas.
        is_text: Whether all words after the task's name are its value, too.
    """

    name: str
    help: str
    default: str | bool | None = ""
    is_list: bool = False
    is_text: bool = False

    @property
    def is_setting(self) -> bool:
        """Whether the flag overrides a setting of the registry."""
        return self.default == UNSAID


setting = partial(Flag, default=UNSAID)
switch = partial(Flag, default=False)
words = partial(Flag, is_list=True)

ADDRESS = setting("address", "Address that clients type, instead of this machine's own.")
NAMES = setting("names", "Further addresses and names, separated by commas.")
PORT = setting("port", "Port of the TLS registry.")
WHERE = (ADDRESS, NAMES, PORT)
STAYS = (
    setting("address", 'Address that clients type, instead of this machine\'s own; it stays until --address "".'),
    setting("names", 'Further addresses and names, separated by commas; they stay until --names "".'),
)
FRONT = setting("front", "on: haproxy holds the port, so that no renewal drops a pull; it stays until --front off.")
STAYS_WITH_PORT = (*STAYS, setting("port", 'Port of the TLS registry; it stays until --port "".'))

WHICH = (
    words(
        "only",
        "Only these stores, by name, separated by commas: docker, podman, containerd, k3s, rke2, microk8s, system, …",
    ),
    words("skip", "All but these."),
)
SYSTEM = switch("system", "Also the operating system's store, the browsers' and Java's.")
REMOVE = switch("remove", "Take the trust away again.")
NAME = Flag("name", "The user's name: letters, digits, . _ @ + -", default=None)

# The terminal heeds these two; no function takes them.
YES = switch("yes", "Answer every question with yes.")
JSON = switch("json", "Print JSON, for programs.")
