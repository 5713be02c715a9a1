"""Table of the checks, each a pure function from facts to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trusted_registry.doctor import (
    checks_authority,
    checks_bucket,
    checks_certificate,
    checks_clients,
    checks_engine,
    checks_mirror,
    checks_registry,
    checks_swarm,
    checks_trust,
)
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import Finding

CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    checks_engine.engine,
    checks_certificate.files,
    checks_certificate.client_rules,
    checks_certificate.names,
    checks_certificate.dates,
    checks_certificate.chain,
    checks_certificate.keys,
    checks_authority.changing,
    checks_authority.earlier,
    checks_swarm.swarm,
    checks_registry.container,
    checks_registry.front,
    checks_registry.port,
    checks_registry.served,
    checks_registry.protocol,
    checks_registry.moved,
    checks_registry.login,
    checks_registry.clock,
    checks_registry.disk,
    checks_bucket.bucket,
    checks_registry.dns,
    checks_registry.firewall,
    checks_mirror.mirrors,
    checks_engine.proxy,
    checks_engine.insecure,
    checks_trust.certs_d,
    checks_trust.spelling,
    checks_trust.stale,
    checks_trust.shadowed,
    checks_trust.readable,
    checks_trust.containerd,
    checks_trust.os_store,
    checks_clients.refused,
)

UNREACHED = ("dns", "served")
"""Keys of checks that explain an unreachable remote registry; a finding of the earlier explains those of the later."""


def judge(facts: Facts, client: str = "") -> list[Finding]:
    """Return the findings in the table's order, for all clients or for one.

    If another machine's registry does not answer, only the first cause is returned, since nobody knows whether there is
    a registry to trust; if something other than a registry answers, only the findings of `protocol`; and if another
    authority signed its certificate than any that is known here, only that.
    """
    found = checks_clients.unexplained(dict.fromkeys(finding for check in CHECKS for finding in check(facts)))
    if facts.remote and facts.observation and facts.observation.connect_error:
        causes = (finding for key in UNREACHED for finding in found if finding.check == key)
        return list(causes)[:1]
    if facts.remote and facts.observation and facts.observation.is_strange:
        return [finding for finding in found if finding.check == "protocol"]
    if facts.remote and (unknown := [finding for finding in found if finding.check == "chain"]):
        return unknown[:1]
    found = checks_trust.merged(facts, list(found))
    found = checks_swarm.on_swarm(found) if facts.swarm else found
    return [finding for finding in found if not client or finding.client in ("", client)]
