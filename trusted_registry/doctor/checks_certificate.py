"""Checks of the certificates and their keys: acceptance by clients, and exposure of the keys to others."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trusted_registry.certificate import inspect, issue, rules
from trusted_registry.doctor.finding import ChmodFix, Finding, RenewFix
from trusted_registry.settings import registry_flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.doctor.facts import Facts
    from trusted_registry.registry.observe import Observation

ANEW = "./inv cert --force && ./inv registry.tls  # makes a new authority; then hand the new ca.crt to every client"
THERE = "  # on the registry's machine"
LAST_WEEK = 7
"""Days before expiry at which another machine's certificate yields a finding: automatic renewal comes earlier."""
_HARMLESS = ("none", "no client", "people")
_PRIVATE = 0o077
_WRITABLE = 0o022


def files(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for certificates here that cannot be used at all."""
    if facts.broken:
        yield Finding("files", facts.broken.message, "No registry can be run with these.", (facts.broken.cure,))


def _broken(facts: Facts) -> Iterator[tuple[str, rules.Violation]]:
    """Yield the rule violations that clients refuse, each with its kind.

    The certificate is this checkout's own, or else the one that the registry shows.
    """
    hosts = facts.settings.hosts
    if facts.issued:
        found = rules.check(facts.issued.server, facts.issued.authority, hosts, facts.now)
    elif facts.observation and facts.observation.certificate:
        anchor = facts.anchor if facts.anchor and not facts.observation.distrust else None
        authority = anchor if anchor and anchor.fingerprint != facts.observation.certificate.fingerprint else None
        found = rules.check(facts.observation.certificate, authority, hosts, facts.now)
    else:
        return
    for broken in found:
        if not broken.clients.startswith(_HARMLESS):
            yield _kind(broken.rule), broken


def _kind(rule: str) -> str:
    if rule.startswith("does not name"):
        return "names"
    if rule.startswith(("expired", "is not valid before")):
        return "dates"
    return "chain" if rule.startswith(("is not signed by", "is signed by nobody")) else "rules"


def client_rules(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates that break a rule of some client."""
    for kind, broken in _broken(facts):
        if kind == "rules":
            authority = facts.anchor is not None and broken.path == facts.anchor.path and broken.path.name == "ca.crt"
            cure = ANEW if authority else "./inv cert.renew"
            yield Finding(
                "rules",
                f"{broken.path} {broken.rule}",
                f"Refused by: {broken.clients}.",
                (cure + (THERE if facts.remote and not authority else ""),),
                None if authority or facts.remote else RenewFix(),
                asks=True,
            )


def names(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for names and addresses that the certificate lacks.

    The names are those that clients type; the addresses, this machine's present ones.
    """
    asked = [broken.rule.rpartition(" ")[2] for kind, broken in _broken(facts) if kind == "names"]
    own = facts.issued.server.missing(facts.own_addresses) if facts.issued and not facts.remote else ()
    missing = tuple(dict.fromkeys((*asked, *own)))
    if not missing:
        return
    shown = facts.issued.server if facts.issued else facts.observation.certificate if facts.observation else None
    named = ", ".join((*shown.addresses, *shown.dns)) if shown else ""
    # This machine's own addresses come in by themselves; by the flag they would stay when the machine has others.
    cure = f"./inv cert.renew --names {','.join(asked)}" if asked else "./inv cert.renew"
    renewable = facts.issued is not None
    if facts.issued and facts.issued.authority:
        renewable = len(inspect.allowed(facts.issued.authority, missing)) == len(missing)
        if not renewable:
            cure = ANEW.replace("--force", f"--force --names {','.join(missing)}")
    yield Finding(
        "names",
        f"{shown.path if shown else 'the certificate'} names {named or 'nothing'}, and not {', '.join(missing)}",
        f"Every client refuses it under {'these' if len(missing) > 1 else 'this'}: an address changed, was added, or "
        "stands in the common name alone.",
        (cure + (THERE if facts.remote else ""),),
        RenewFix() if renewable and not own else None,
        asks=True,
    )


def dates(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates expired, near expiry, or not yet valid."""
    there = THERE if facts.remote else ""
    seen = [broken for kind, broken in _broken(facts) if kind == "dates"]
    for broken in seen:
        clock = "date --utc  # is this machine's clock right? sudo timedatectl set-ntp true"
        authority = broken.path.name == "ca.crt"
        yield Finding(
            "dates",
            f"{broken.path} {broken.rule}; this machine's clock says {facts.now:%Y-%m-%d %H:%M} UTC",
            "Every client refuses it, unless a clock is wrong.",
            (ANEW if authority else f"./inv cert.renew{there}", clock),
            None if authority or facts.remote else RenewFix(),
            asks=True,
        )
    shown = facts.observation.certificate if facts.observation and facts.remote else None
    if shown and 0 <= shown.days_left(facts.now) < LAST_WEEK:
        said = f"{shown.path} ends in {shown.days_left(facts.now)} days"
        yield Finding("dates", said, "Afterwards every client refuses it.", (f"./inv cert.renew{there}",))
    if facts.issued is None or facts.remote:
        return
    if not seen and (soon := _soon(facts.issued, facts)):
        yield soon
    signer = facts.issued.authority
    left = signer.days_left(facts.now) if signer else 0
    if signer and 0 <= left < facts.settings.renew_before:
        yield Finding("dates", f"{signer.path} ends in {left} days", "All that it signed ends with it.", (ANEW,))


def _soon(issued: issue.Issued, facts: Facts) -> Finding | None:
    days = issued.server.days_left(facts.now)
    reason = issue.misfit(issued, facts.settings)
    if reason is None or not reason.startswith("expires"):
        return None
    return Finding(
        "dates",
        f"{issued.server.path} ends in {days} days",
        "Afterwards every client refuses it; a daily cron job with ./inv cert.renew --if-expiring 30 prevents that.",
        ("./inv cert.renew",),
        RenewFix(),
        asks=True,
    )


def chain(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a certificate that the authority did not sign."""
    observation = facts.observation
    if (
        observation
        and observation.certificate
        and observation.distrust
        and facts.anchor
        and not _excused(observation.distrust)
    ):
        same = facts.issued is not None and observation.certificate.fingerprint != facts.issued.server.fingerprint
        if same:
            return  # `served` tells it better
        yield Finding(
            "chain",
            f"{facts.anchor.path} ({facts.anchor.subject}) does not stand behind what {observation.host} shows, which "
            f"{observation.certificate.issuer} signed: {observation.distrust}",
            "Clients that trust it say that the certificate is signed by an unknown authority.",
            _chained(facts, observation),
        )
    for kind, broken in _broken(facts):
        if kind == "chain" and facts.issued:
            yield Finding(
                "chain", f"{broken.path} {broken.rule}", f"Refused by: {broken.clients}.", ("./inv cert.renew",)
            )


def _chained(facts: Facts, observation: Observation) -> tuple[str, ...]:
    """Return the cure for a foreign authority: never another's ca.crt over that of keys that are here."""
    if issue.keeps_keys(facts.settings.folder):
        there = "./inv trust.serve  # on the registry's machine; then type here the line that it shows"
        return (there,) if facts.remote else ("./inv up  # where it is this machine's", there)
    return (
        "# copy certs/ca.crt anew from the registry's machine into certs/ here, then:",
        " ".join(("./inv", "trust.linux", *registry_flags(observation.host, observation.port))),
    )


def _excused(reason: str) -> bool:
    """Return whether `names` or `dates` already reports this refusal."""
    return any(word in reason for word in ("mismatch", "expired", "not yet valid", "not valid for"))


def keys(facts: Facts) -> Iterator[Finding]:
    """Yield findings for keys exposed to other users, git, or containers."""
    for file_mode in facts.file_modes:
        is_folder = file_mode.path == facts.settings.folder
        if file_mode.mode & (_WRITABLE if is_folder else _PRIVATE):
            bits = "go-w" if is_folder else "go-rwx"
            what = "may be written to" if is_folder else "may be read"
            yield Finding(
                "keys",
                f"{file_mode.path} has mode {file_mode.mode:04o}: it {what} by others on this machine",
                "Whoever has a key can pose as the registry; who has the authority's, as any machine of this network.",
                (f"chmod {bits} {shlex.quote(str(file_mode.path))}",),
                ChmodFix(file_mode.path, bits) if file_mode.owned else None,
            )
    folder = shlex.quote(str(facts.settings.folder))
    for name in facts.tracked:
        yield Finding(
            "keys",
            f"git tracks {facts.settings.folder / name}",
            "Whoever has the repository has the key; it stays in the history even when it is removed.",
            (f"git -C {folder} rm --cached {shlex.quote(name)}", ANEW),
        )
    for container, path in facts.key_mounts:
        yield Finding(
            "keys",
            f"the container {container} was given {path}, and with it the authority's key",
            "No container has any use for it: who breaks out of that program can pose as any machine of this network.",
            (f"docker rm --force {shlex.quote(container)}  # then make it anew without that",),
        )
