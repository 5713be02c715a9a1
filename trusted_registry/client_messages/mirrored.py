"""Messages about an upstream that has a mirror here: the mirror's state tells two meanings of "not found" apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trusted_registry.client_messages import endpoint, public_sites
from trusted_registry.client_messages.catalogue import Match
from trusted_registry.client_messages.message import Action, Kind
from trusted_registry.console import pasteable

_KINDS = frozenset({Kind.ABSENT, Kind.UNREACHABLE, Kind.REFUSED, Kind.LIMIT, Kind.SERVER, Kind.LOGIN})
_NONE = frozenset({Kind.ABSENT, Kind.LOGIN, Kind.SERVER})
"""Kinds that a client tells of where its mirror and the upstream give it nothing."""


@dataclass(frozen=True)
class Mirrored:
    """An upstream that has a mirror here, and the state of the two.

    Args:
        upstream: Its host in references.
        at: The mirror's `host:port`.
        runs: Whether the mirror answers.
        away: Why the upstream gives nothing, in a sentence without its end; "" for one that gives.
        cure: Way to mend that.
    """

    upstream: str
    at: str
    runs: bool = True
    away: str = ""
    cure: str = ""


def upstream_of(match: Match, mirrors: dict[str, str]) -> str:
    """Return the upstream that a message is about, by its own host or its mirror's; "" if none of those here.

    Args:
        match: The message.
        mirrors: `host:port` of each mirror by its upstream.
    """
    if match.kind not in _KINDS or not match.registry:
        return ""
    host = endpoint.HUB if public_sites.is_hub(match.registry.partition(":")[0]) else match.registry
    return next((name for name, at in mirrors.items() if host in (name, at)), "")


def told(match: Match, found: Mirrored) -> Match:
    """Return a message with the cause and the cure that the mirror tells."""
    up = pasteable(["./inv", "mirror.up", found.upstream])
    its = f"the mirror of {found.upstream} here ({found.at})"
    if not found.runs:
        cause = f"{its[0].upper()}{its[1:]} does not answer, so that the upstream alone was asked."
        return replace(match, cause=f"{cause} {match.cause}", cure=(Action(up, "starts it"), *match.cure))
    if found.away:
        cause = f"It is not in {its}, and {found.upstream} {found.away}. Some clients then say that there is none."
        return replace(match, cause=cause, cure=(Action("./inv mirror.list", found.cure),))
    if match.kind in _NONE:
        cause = (
            f"{its[0].upper()}{its[1:]} runs, and its upstream answers: there is no such image, or not for everybody."
        )
        return replace(match, cause=cause)
    if match.registry == found.at:
        cause = f"{its[0].upper()}{its[1:]} answers on this machine: something between the client and it is in the way."
        return replace(match, cause=f"{cause} {match.cause}")
    cause = f"{found.upstream} answers {its}, which this client did not ask, or was not told of."
    return replace(match, cause=cause, cure=(Action(up, "tells the clients here"), Action("./inv doctor")))
