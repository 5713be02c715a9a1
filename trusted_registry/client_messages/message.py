"""Types of the table: a message, one of each kind, and the steps of its cure."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass

THIS_MACHINE, REGISTRY = "here", "registry"


class Kind(str, enum.Enum):
    """Kind of trouble that a message tells of, by which a proof judges a client's refusal."""

    DISTRUST = "distrust"
    """The certificate's authority is not the one that the client trusts."""
    CERTIFICATE = "certificate"
    """The certificate is refused for another reason: its names, its dates, its form."""
    PLAIN = "plain"
    """Plain HTTP meets TLS."""
    PROTOCOL = "protocol"
    """Client and server have no version of TLS in common."""
    REFUSED = "refused"
    """Nobody listens there."""
    UNREACHABLE = "unreachable"
    """Nothing comes back: an unknown name, a proxy, a firewall, a line that was cut."""
    LOGIN = "login"
    """The registry answers, and asks for a login."""
    ABSENT = "absent"
    """The registry answers, and has no such image."""
    LIMIT = "limit"
    """The registry answers, and has given enough."""
    SERVER = "server"
    """What answers is not well, or no registry."""
    CLIENT = "client"
    """The client is kept from asking by its own files, or by the reference."""
    SERVICE = "service"
    """The service that asks for the client does not answer."""


ACCEPTED = frozenset({Kind.LOGIN, Kind.ABSENT, Kind.LIMIT})
"""Kinds that tell of a registry whose certificate was accepted."""
REFUSING = frozenset({Kind.DISTRUST, Kind.CERTIFICATE, Kind.PLAIN})
"""Kinds that tell of a server which answered, and was refused."""


@dataclass(frozen=True)
class Action:
    """Step of a cure.

    Args:
        command: Line for a POSIX shell; "" if the step has no command.
        note: Short remark, shown as the comment after the command.
        at: Machine to run on: HERE, which saw the message, or REGISTRY, the registry's machine.
        instead: Whether this step replaces the steps before.
    """

    command: str
    note: str = ""
    at: str = THIS_MACHINE
    instead: bool = False

    @property
    def line(self) -> str:
        """Step as a line for a shell, with the machine to run on and the note as a comment."""
        return f"{self.command}  # {self._said}" if self._said else self.command

    @property
    def words(self) -> str:
        """Step as part of a sentence."""
        return f"{self.command} ({self._said})" if self._said else self.command

    @property
    def _said(self) -> str:
        place = "" if self.at == THIS_MACHINE else "on the registry's machine"
        return "; ".join(filter(None, (place, self.note)))


@dataclass(frozen=True)
class Step(Action):
    """Step as a template; `catalogue` fills in {registry}, {host}, {name} and others.

    Args:
        away: Further remark if the registry is on another machine.
    """

    away: str = ""


@dataclass(frozen=True)
class Message:
    """Known message, with its clients, cause and cure.

    Args:
        kind: Kind of trouble.
        key: Unique name, for programs.
        patterns: Expressions, any of which finds the message; named groups are port, name, file, path, peer, registry.
        clients: Programs that print the message.
        cause: Explanation in plain words; a template too.
        cure: Steps; one whose values the message lacks is left out.
        checks: Keys of doctor's checks that distinguish several causes.
        beside: Expression that the same line must have too: `A.*B` would take a crafted line's length squared.
        unless: Expression that the line must not have.
        nearby: Expression that the line, or one around, must have.
    """

    kind: Kind
    key: str
    patterns: tuple[str, ...]
    clients: str
    cause: str
    cure: tuple[Step, ...]
    checks: tuple[str, ...] = ()
    beside: str = ""
    unless: str = ""
    nearby: str = ""


distrust = functools.partial(Message, Kind.DISTRUST)
certificate = functools.partial(Message, Kind.CERTIFICATE)
plain = functools.partial(Message, Kind.PLAIN)
unreachable = functools.partial(Message, Kind.UNREACHABLE)
login = functools.partial(Message, Kind.LOGIN)
server = functools.partial(Message, Kind.SERVER)
client = functools.partial(Message, Kind.CLIENT)
service = functools.partial(Message, Kind.SERVICE)
