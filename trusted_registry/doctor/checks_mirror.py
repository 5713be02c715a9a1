"""Checks of mirrors: whether each runs, shows the certificate, has room, and reaches its upstream."""

from __future__ import annotations

from collections.abc import Iterator

from trusted_registry.console import pasteable
from trusted_registry.doctor.checks_registry import ROOM
from trusted_registry.doctor.facts import Facts, MirrorFacts
from trusted_registry.doctor.finding import Finding, MirrorFix
from trusted_registry.mirror.upstream import Upstream


def mirrors(facts: Facts) -> Iterator[Finding]:
    """Yield findings for the mirrors that clients here are told of."""
    for it in facts.mirrors:
        yield from _running(it)
        if it.disk and it.disk.free < ROOM:
            evidence = f"{it.disk.free >> 20} MiB are free at {it.disk.path}, of the mirror of {it.upstream}"
            cause = "Once it is full, the mirror holds no more: registry 2.8 still hands on what is pulled, 3 cuts it."
            cure = ("./inv mirror.clean --older 30  # frees what nobody pulled for so long",)
            yield Finding("mirror", evidence, cause, cure)


def _running(it: MirrorFacts) -> Iterator[Finding]:
    up, down = pasteable(["./inv", "mirror.up", it.upstream]), pasteable(["./inv", "mirror.down", it.upstream])
    back = f"{down}  # has clients here ask the upstream again"
    if it.state != "running":
        evidence = f"the mirror of {it.upstream} is {it.state}, and clients here are told of it"
        cause = "They ask the upstream after a moment, and get nothing while that is away."
        yield Finding("mirror", evidence, cause, (up,), MirrorFix(it.upstream), instead=(back,))
    elif it.stale:
        evidence = f"the mirror of {it.upstream} at {it.at} shows another certificate than domain.crt, or answers none"
        cause = "It reads its certificate when it starts; clients refuse another one, and ask the upstream."
        yield Finding("mirror", evidence, cause, (up,), MirrorFix(it.upstream))
    elif it.error:
        evidence = f"the mirror of {it.upstream} at {it.at} does not answer: {it.error}"
        yield Finding("mirror", evidence, "Clients ask the upstream after a moment.", (up,), instead=(back,))
    elif it.reach and not it.reach.is_up:
        evidence = f"{it.upstream} {it.reach.words}"
        cause = "An image that is not in the mirror cannot be pulled now, though a client may say that there is none."
        ask = pasteable(["curl", "--head", f"{Upstream(it.upstream).url}/v2/"])
        yield Finding("mirror", evidence, cause, (f"{ask}  # asks it from here. {it.reach.cure}",))
