"""Types of the table: a message and the steps of its cure, with the cures that messages share."""

from __future__ import annotations

import enum
from dataclasses import dataclass

HERE, REGISTRY = "here", "registry"


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
class Step:
    """Step of a cure, as a template; `catalogue` fills in {registry}, {host}, {name} and others.

    Args:
        command: Line for a POSIX shell; "" if the step has no command.
        note: Short remark, shown as the comment after the command.
        at: Machine to run on: HERE, which saw the message, or REGISTRY, the registry's machine.
        instead: Whether this step replaces the steps before.
        away: Further remark if the registry is on another machine.
    """

    command: str
    note: str = ""
    at: str = HERE
    instead: bool = False
    away: str = ""


@dataclass(frozen=True)
class Message:
    """Known message, with its clients, cause and cure.

    Args:
        key: Unique name, for programs.
        kind: Kind of trouble.
        patterns: Regular expressions, any of which finds the message; named groups are host, port, name, file.
        clients: Programs that print the message.
        cause: Explanation in plain words; a template too.
        cure: Steps; one whose values the message lacks is left out.
        checks: Keys of doctor's checks that distinguish several causes.
    """

    key: str
    kind: Kind
    patterns: tuple[str, ...]
    clients: str
    cause: str
    cure: tuple[Step, ...]
    checks: tuple[str, ...] = ()


OFFER = "./inv trust.serve"
OFFERED = "type here the line that it shows; what is in certs/ here stays"
"""How a machine that has an authority of its own comes to trust another's: nothing may be put over its ca.crt."""
AUTHORITY_COPIED = (
    "with certs/ca.crt of the registry's machine in certs/ here, where that holds no keys of its own; "
    f"else, there: {OFFER}, and {OFFERED}"
)
TRUST = Step("./inv trust.linux{where}", away=AUTHORITY_COPIED)
RENEW = Step("./inv cert.renew", at=REGISTRY)
_AUTHORITY = Step("./inv cert --force && ./inv registry.tls", "makes a new authority", at=REGISTRY)
ANEW = (
    _AUTHORITY,
    Step("./inv trust.linux{where}", "with the new certs/ca.crt; the same on every other client"),
)
ANEW_FOR_SYSTEM = (
    _AUTHORITY,
    Step("./inv trust.linux --system{where}", "with the new certs/ca.crt; then start browsers again"),
)
"""Cure for programs that read the system's store, or a store of their own that --system writes too."""
