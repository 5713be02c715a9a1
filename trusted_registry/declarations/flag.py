"""Flags: those of one task are declared with it, those of several tasks are values here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from trusted_registry.defaults import DEFAULTS

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
        value: What is typed, with its unit, as help shows it; the flag's name by default.
        choices: Module of this package and tuple in it of the values that there are, for a shell to complete.
    """

    name: str
    help: str
    default: str | bool | None = ""
    is_list: bool = False
    is_text: bool = False
    value: str = ""
    choices: str = ""

    @property
    def is_setting(self) -> bool:
        """Whether the flag overrides a setting of the registry."""
        return self.default == UNSAID

    @property
    def typed(self) -> str:
        """The flag's name as it is typed: a word of Python's own has an underscore behind it as a parameter."""
        return self.name.rstrip("_").replace("_", "-")

    @property
    def shown(self) -> str:
        """The flag as it is typed: --port=PORT, NAME, --yes."""
        word = f"--{self.typed}"
        value = self.value or self.name.upper()
        if self.default is None:
            return value
        return word if isinstance(self.default, bool) else f"{word}={value}"

    @property
    def shown_help(self) -> str:
        """The line of help, with the default if there is one to name."""
        default = DEFAULTS["registry"].get(self.name) if self.is_setting else self.default
        return f"{self.help} Default: {default}." if default and not isinstance(default, bool) else self.help


setting = partial(Flag, default=UNSAID)
switch = partial(Flag, default=False)
words = partial(Flag, is_list=True)

ADDRESS = setting("address", "Address that clients type, instead of this machine's own.")
NAMES = setting("names", "Further addresses and names, separated by commas.", value="NAME,NAME")
PORT = setting("port", "Port of the TLS registry.")
THIS_REGISTRY = (ADDRESS, NAMES, PORT)
STAYS = (
    setting("address", 'Address that clients type, instead of this machine\'s own; remembered until --address "".'),
    setting(
        "names", 'Further addresses and names, separated by commas; remembered until --names "".', value="NAME,NAME"
    ),
)
STAYS_WITH_PORT = (*STAYS, setting("port", 'Port of the TLS registry; remembered until --port "".'))
FRONT = setting(
    "front",
    "on: haproxy holds the port, so that no renewal drops a pull; remembered until --front off.",
    value="on|off",
    choices="settings.SWITCH",
)
NAT = switch("nat", "The address is a router's that forwards to this machine; tried before anything is changed.")

STORES = "trust.client_stores.NAMES"
WHICH = (
    words(
        "only",
        "Only these stores, by name, separated by commas: docker, podman, containerd, k3s, rke2, microk8s, system, …",
        value="STORE,STORE",
        choices=STORES,
    ),
    words("skip", "All but these.", value="STORE,STORE", choices=STORES),
)
SYSTEM = switch("system", "Also the operating system's store, the browsers' and Java's.")
REMOVE = switch("remove", "Remove the trust again.")
USER = Flag("user", "User to log in as.")
BECOME = switch("ask_become_pass", "Ask once for the password of sudo there.")
IF_EXPIRING = Flag("if_expiring", "Only if fewer than this many days are left.", value="DAYS")
MIRRORS = switch("mirrors", "Also tell clients there of the mirrors here.")
NAME = Flag("name", "The user's name: letters, digits, . _ @ + -", default=None)

FILE = Flag("file", "The file.", default=None)
REFERENCES = words("references", "Only these images: app:1, app@sha256:…, 'app:*'.", value="IMAGE,IMAGE")
SINCE = Flag("since", "Leave out what an archive before has: its index, the file beside it.", value="INDEX")

# The terminal heeds these two; no function takes them.
YES = switch("yes", "Answer every question with yes.")
JSON = switch("json", "Print JSON, for programs.")
