"""Types of the table: a message and the steps of its cure, with the cures that messages share."""

from __future__ import annotations

from dataclasses import dataclass

HERE, REGISTRY = "here", "registry"


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
        patterns: Regular expressions, any of which finds the message; named groups are host, port, name, file.
        clients: Programs that print the message.
        cause: Explanation in plain words; a template too.
        cure: Steps; one whose values the message lacks is left out.
        checks: Keys of doctor's checks that distinguish several causes.
    """

    key: str
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
