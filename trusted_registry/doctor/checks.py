"""The table of checks: each a pure function from facts to findings."""

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
    """One check: its key, what it looks at, and how it judges.

    Args:
        key: Unique; what findings and messages name it by.
        about: In a few words.
        judge: Yields what is wrong.
    """

    key: str
    about: str
    judge: Callable[[Facts], Iterable[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("engine", "the engine answers, is new enough, and is this machine's", checks_engine.engine),
    Check("files", "certificates and keys are whole and fit together", checks_certificate.files),
    Check("rules", "the certificates keep the rules of every client", checks_certificate.client_rules),
    Check("names", "the certificate names what people type, and this machine's addresses", checks_certificate.names),
    Check("dates", "the certificates are valid, and will be for a while", checks_certificate.dates),
    Check("chain", "the authority here stands behind what the registry shows", checks_certificate.chain),
    Check("keys", "nobody else can read the keys: not by mode, git or a container", checks_certificate.keys),
    Check(
        "container", "the registry's container is ours, runs, and is what the settings say", checks_registry.container
    ),
    Check("port", "the port is free or the registry's", checks_registry.port),
    Check("served", "the registry shows the certificate that is on disk", checks_registry.served),
    Check("protocol", "it speaks TLS 1.2 or later, and no plain HTTP", checks_registry.protocol),
    Check("address", "this machine still has the registry's address", checks_registry.moved),
    Check("login", "logins work where there are users", checks_registry.login),
    Check("clock", "the clocks of client and registry agree", checks_registry.clock),
    Check("disk", "there is room for images", checks_registry.disk),
    Check("dns", "its names lead to it", checks_registry.dns),
    Check("proxy", "no proxy stands in the way", checks_engine.proxy),
    Check("insecure", "the engine verifies it", checks_engine.insecure),
    Check("certs.d", "each client's store trusts it, and nothing stands in the way there", checks_trust.certs_d),
    Check("spelling", "the folders are named as people type", checks_trust.spelling),
    Check("stale", "no client trusts an earlier authority", checks_trust.stale),
    Check("shadowed", "no other folder is read instead", checks_trust.shadowed),
    Check("readable", "clients without root may read what they need", checks_trust.readable),
    Check("containerd", "containerd reads its certs.d", checks_trust.containerd),
    Check("os-store", "the engine knows the system's store as it is now", checks_trust.os_store),
)


UNREACHED = ("dns", "served")
"""Keys of what can explain that another machine's registry does not answer; the earlier one explains the later."""


def judge(facts: Facts, client: str = "") -> list[Finding]:
    """Return what is wrong, in the table's order; about one client's store alone where that is named.

    Of another machine's registry that does not answer, that alone: nobody knows whether there is one to be trusted;
    and so where something else answers.
    """
    found = dict.fromkeys(finding for check in CHECKS for finding in check.judge(facts))
    if facts.remote and facts.observation and facts.observation.connect_error:
        causes = (finding for key in UNREACHED for finding in found if finding.check == key)
        return list(causes)[:1]
    if facts.remote and facts.observation and facts.observation.is_strange:
        return [finding for finding in found if finding.check == "protocol"]
    return [finding for finding in found if not client or finding.client in ("", client)]
