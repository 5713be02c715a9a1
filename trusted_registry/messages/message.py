"""The shape of the table: a row, the steps of its cure, and what a message told."""

from __future__ import annotations

from dataclasses import dataclass

HERE, REGISTRY = "here", "registry"


@dataclass(frozen=True)
class Step:
    """One step of a cure, as a template; {where}, {registry}, {host}, {name} and others are filled in.

    Args:
        command: A line for a POSIX shell; "" where no command can do it.
        note: What to know of it, short: it is shown as the comment behind the command.
        at: HERE, where the message was seen, or REGISTRY, on the registry's machine.
        instead: Whether it takes the place of the steps before it.
        away: What to know of it besides, where the registry is another machine's.
    """

    command: str
    note: str = ""
    at: str = HERE
    instead: bool = False
    away: str = ""


@dataclass(frozen=True)
class Message:
    """A message that people meet.

    Args:
        key: Unique; what programs know it by.
        patterns: Regular expressions, any of which finds it in a line; their named groups are host, port, name, file.
        clients: Who says it.
        cause: In plain words; a template too.
        cure: The steps; one that needs a value which the message does not tell is left out.
        checks: Keys of doctor's checks that tell several causes apart.
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
"""For messages of programs that read the system's store, or one of their own that goes with it."""
