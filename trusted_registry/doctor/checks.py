"""Table of the checks, each a pure function from facts to findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trusted_registry.doctor import checks_certificate, checks_engine, checks_registry, checks_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trusted_registry.doctor.facts import Facts
    from trusted_registry.doctor.finding import Finding


@dataclass(frozen=True)
class Check:
    """A check with its key and its function.

    Args:
        key: Unique name, which findings and messages refer to.
        judge: Function that yields the findings.
    """

    key: str
    judge: Callable[[Facts], Iterable[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("engine", checks_engine.engine),
    Check("files", checks_certificate.files),
    Check("rules", checks_certificate.client_rules),
    Check("names", checks_certificate.names),
    Check("dates", checks_certificate.dates),
    Check("chain", checks_certificate.chain),
    Check("keys", checks_certificate.keys),
    Check("container", checks_registry.container),
    Check("port", checks_registry.port),
    Check("served", checks_registry.served),
    Check("protocol", checks_registry.protocol),
    Check("address", checks_registry.moved),
    Check("login", checks_registry.login),
    Check("clock", checks_registry.clock),
    Check("disk", checks_registry.disk),
    Check("dns", checks_registry.dns),
    Check("proxy", checks_engine.proxy),
    Check("insecure", checks_engine.insecure),
    Check("certs.d", checks_trust.certs_d),
    Check("spelling", checks_trust.spelling),
    Check("stale", checks_trust.stale),
    Check("shadowed", checks_trust.shadowed),
    Check("readable", checks_trust.readable),
    Check("containerd", checks_trust.containerd),
    Check("os-store", checks_trust.os_store),
)


UNREACHED = ("dns", "served")
"""Keys of checks that explain an unreachable remote registry; a finding of the earlier explains those of the later."""


def judge(facts: Facts, client: str = "") -> list[Finding]:
    """Return the findings in the table's order, for all clients or for one.

    If another machine's registry does not answer, only the first cause is returned, since nobody knows whether there is
    a registry to trust; if something other than a registry answers, only the findings of `protocol`.
    """
    found = dict.fromkeys(finding for check in CHECKS for finding in check.judge(facts))
    if facts.remote and facts.observation and facts.observation.connect_error:
        causes = (finding for key in UNREACHED for finding in found if finding.check == key)
        return list(causes)[:1]
    if facts.remote and facts.observation and facts.observation.is_strange:
        return [finding for finding in found if finding.check == "protocol"]
    return [finding for finding in found if not client or finding.client in ("", client)]
