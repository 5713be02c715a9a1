"""Checks of the authority: how far a changeover to another one has come, and trust left in an earlier one."""

from __future__ import annotations

from collections.abc import Iterator

from trusted_registry.certificate import changeover
from trusted_registry.certificate.changeover import Stage
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding, TrustFix
from trusted_registry.trust import client_stores

_NEXT = {
    Stage.HANDED_OUT: (
        "./inv trust.serve  # for every other machine that trusts the registry; or trust.hosts, trust.nodes, trust.kit",
        f"{changeover.TASK} --switch",
    ),
    Stage.SWITCHED: (
        "./inv trust.serve  # for the same machines again: it removes the old root there",
        f"{changeover.TASK} --finish",
    ),
}


def changing(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a changeover that has begun and not ended."""
    if facts.stage is not Stage.NONE:
        cause = "It is not finished, and until then clients trust two roots."
        yield Finding("changeover", f"the authority is changed: {facts.stage.value}", cause, _NEXT[facts.stage])


def earlier(facts: Facts) -> Iterator[Finding]:
    """Yield findings for stores that trust an earlier authority of this installation beside the one of today."""
    for name in dict.fromkeys(client_stores.store(entry.store).name for entry in facts.outdated):
        mine = [entry for entry in facts.outdated if client_stores.store(entry.store).name == name]
        places = ", ".join(dict.fromkeys(" of ".join(filter(None, (entry.value, entry.path))) for entry in mine))
        cause = "Whoever has its key is still trusted, though nothing needs it any more."
        evidence = f"an earlier authority of this registry is still trusted: {places}"
        cure = f"./inv trust.linux --only {name}  # removes it"
        yield Finding("earlier", evidence, cause, (cure,), TrustFix(name), client=name)
