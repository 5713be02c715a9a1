"""The one kind of error a person meets: what is wrong, and what to do about it."""

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
