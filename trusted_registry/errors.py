"""The errors that a person meets; each has a message, which is what is wrong, and a cure.

RegistryError                 something that a person can mend: exit status 1
├── SettingError              a setting, a flag or a variable that cannot be used: exit status 2
├── AccessDeniedError         the engine does not let this user in
├── RemoteEngineError         the engine is another machine's
├── PortTakenError            another program listens on the registry's port
├── LoginRequiredError        the registry answers, and wants a login
└── NeedsRootError            a store that root alone may read or write

`terminal.explain` writes them; `invoking.TaskExecutor` ends the program with their status.
"""

from __future__ import annotations


class RegistryError(Exception):
    """Something a person can mend.

    Args:
        message: One line: what is wrong.
        cure: One line: the command or the change that mends it.
    """

    code = 1
    """Exit status of a task that ends with this error."""

    def __init__(self, message: str, *, cure: str) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure


class SettingError(RegistryError):
    """A setting, a flag or an environment variable that cannot be used."""

    code = 2


class AccessDeniedError(RegistryError):
    """An engine answers, and does not let this user in."""


class RemoteEngineError(RegistryError):
    """The engine that is named is another machine's."""


class PortTakenError(RegistryError):
    """Another program listens on the port."""


class LoginRequiredError(RegistryError):
    """The registry answers, and wants a login."""


class NeedsRootError(RegistryError):
    """Something takes root, which this user is not and cannot become."""
