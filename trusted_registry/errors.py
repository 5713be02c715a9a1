"""Errors that a person can mend, as a tree; each has a message and a cure.

RegistryError                 base of all errors: exit status 1
├── SettingError              setting, flag or variable with an unusable value: exit status 2
├── AccessDeniedError         engine that refuses this user
├── RemoteEngineError         engine on another machine
├── PortTakenError            registry's port in use by another program
├── AnswerError               registry that answers otherwise than a registry should
├── LoginRequiredError        registry that requires a login
├── OpenToAllError            registry that requires none, though there are users
├── StorageError              bucket that does not do as it should
├── NotNowError               refusal of a swarm that may be none a moment later
│   └── NoLeaderError         swarm whose managers have no leader
└── NeedsRootError            store that only root may read or write

`terminal.explain` formats them; `invoking.TaskExecutor` exits with their status.
"""

from __future__ import annotations

import enum


class RegistryError(Exception):
    """Base of every error that a person can mend.

    Args:
        message: The fault, in one line.
        cure: The command or change that mends the fault, in one line.
    """

    code = 1
    """Exit status of a task that ends with this error."""

    def __init__(self, message: str, *, cure: str) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure


class SettingError(RegistryError):
    """Setting, flag or environment variable with an unusable value."""

    code = 2


class AccessDeniedError(RegistryError):
    """Engine that answers, but refuses this user."""


class RemoteEngineError(RegistryError):
    """Configured engine that runs on another machine."""


class PortTakenError(RegistryError):
    """Port in use by another program."""


class AnswerError(RegistryError):
    """Registry that answers otherwise than asked for.

    Args:
        message: As of every error, with `cure`.
        status: Status of the answer; 0 if its content is wrong.
    """

    def __init__(self, message: str, *, cure: str, status: int = 0) -> None:
        super().__init__(message, cure=cure)
        self.status = status


class LoginRequiredError(RegistryError):
    """Registry that answers, but requires a login."""


class OpenToAllError(RegistryError):
    """Registry that answers without a login, though there are users."""


class NotNowError(RegistryError):
    """Refusal of a swarm that may be none a moment later, such as of two changes at once."""


class NoLeaderError(NotNowError):
    """Swarm whose managers have no leader, for a moment or for want of a majority."""


class NeedsRootError(RegistryError):
    """Operation that needs root, which this user is not and cannot become."""


class StorageFault(str, enum.Enum):
    """Kind of fault of a bucket."""

    AWAY = "away"
    DENIED = "denied"
    CREDENTIALS = "credentials"
    EXPIRED = "expired"
    CLOCK = "clock"
    NO_BUCKET = "no bucket"
    REGION = "region"
    UNTRUSTED = "untrusted"
    FULL = "full"
    FOREIGN = "foreign"
    MISSING = "missing"
    OTHER = "other"


class StorageError(RegistryError):
    """Bucket that does not do as it should.

    Args:
        fault: Kind of its fault.
        message: As of every error, with `cure`.
        right: The right that was made use of, such as list; "" for none.
        said: Words of the store, cleaned.
    """

    def __init__(self, fault: StorageFault, message: str, *, cure: str, right: str = "", said: str = "") -> None:
        super().__init__(message, cure=cure)
        self.fault, self.right, self.said = fault, right, said
