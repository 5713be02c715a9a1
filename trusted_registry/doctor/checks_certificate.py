"""Checks of the certificates and their keys: acceptance by clients, and exposure of the keys to others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from trusted_registry import address
from trusted_registry.certificate import imported, inspect, issue, rules, signer, unsent
from trusted_registry.console import pasteable
from trusted_registry.doctor import checks_trust
from trusted_registry.doctor.facts import Facts
from trusted_registry.doctor.finding import ChmodFix, Finding, RenewFix, RestartFix
from trusted_registry.registry.observe import Observation
from trusted_registry.settings import registry_flags

ANEW = "./inv cert --force && ./inv registry.tls  # makes a new authority; then hand the new ca.crt to every client"
CHANGE = "./inv cert.renew-authority  # changes over to a new authority, step by step"
LAST_WEEK = 7
"""Days before expiry at which another machine's certificate yields a finding: automatic renewal comes earlier."""
_SIGNERS = ("ca.crt", "issuer.crt")
"""Files of certificates that nobody can make anew under the same root."""
_PRIVATE = 0o077
_WRITABLE = 0o022

_NAMES = ("does not name",)
_DATES = ("expired", "is not valid before")
_CHAIN = ("is not signed by", "is signed by nobody")
"""Beginnings of the violations that `names`, `dates` and `chain` report; `client_rules` reports the others."""
_EXCUSED = ("mismatch", "expired", "not yet valid", "not valid for")
"""Parts of a refusal that `names` or `dates` already reports."""


def files(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for certificates here that cannot be used at all."""
    if facts.broken:
        yield Finding("files", facts.broken.message, "No registry can be run with these.", (facts.broken.cure,))


def _broken(facts: Facts, *beginnings: str) -> list[rules.Violation]:
    """Return the rule violations with these beginnings that clients refuse, of the server certificate."""
    if facts.server is None:
        return []
    authority, seen = facts.issued.authority if facts.issued else facts.anchor, facts.observation
    if not facts.issued and seen and authority and (seen.distrust or seen.fingerprint == authority.fingerprint):
        authority = None
    sent = facts.issued.issuers if facts.issued else seen.issuers if seen else ()
    found = rules.check(facts.server, authority, facts.settings.hosts, facts.now, issuers=sent)
    return [it for it in found if it.rule.startswith(beginnings) and not it.own]


def client_rules(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates that break a rule of some client."""
    for broken in _broken(facts, ""):
        if broken.rule.startswith((*_NAMES, *_DATES, *_CHAIN)):
            continue
        authority = broken.path.name in _SIGNERS
        cure, fix = _renewal(facts, authority=authority)
        evidence = f"{broken.path} {broken.rule}"
        yield Finding("rules", evidence, f"Refused by: {broken.clients}.", (cure,), fix, asks=True)


def _renewal(facts: Facts, *, authority: bool = False) -> tuple[str, RenewFix | None]:
    """Return the command that makes a certificate anew, and the fix that does; a company's own are made there."""
    if facts.issued and imported.is_foreign(facts.issued):
        return f"{signer.IMPORT}  # once your authority has made another one", None
    fix = None if authority or facts.remote else RenewFix()
    return ANEW if authority else f"./inv cert.renew{facts.there}", fix


def names(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for names and addresses that the certificate lacks.

    The names are those that clients type; the addresses, this machine's present ones.
    """
    asked = [broken.rule.rpartition(" ")[2] for broken in _broken(facts, *_NAMES)]
    foreign = facts.issued is not None and imported.is_foreign(facts.issued)  # it need not name this machine's own
    own = facts.issued.server.missing(facts.own_addresses) if facts.issued and not (facts.remote or foreign) else ()
    missing = tuple(dict.fromkeys((*asked, *own)))
    if facts.server is None or not missing:
        return
    # This machine's own addresses come in by themselves; by the flag they would stay when the machine has others.
    cure = f"./inv cert.renew --names {','.join(asked)}" if asked else "./inv cert.renew"
    renewable = facts.issued is not None
    if facts.issued and facts.issued.authority:
        renewable = len(facts.issued.allowed(missing)) == len(missing)
        if not renewable:
            cure = CHANGE.replace("-authority", f"-authority --names {','.join(missing)}")
    if foreign:
        renewable, (cure, _) = False, _renewal(facts)
    named = ", ".join((*facts.server.addresses, *facts.server.dns)) or "nothing"
    evidence = f"{facts.server.path} names {named}, and not {', '.join(missing)}"
    under = f"Every client refuses it under {'these' if len(missing) > 1 else 'this'}"
    cause = f"{under}: an address changed, was added, or stands in the common name alone."
    fix = RenewFix() if renewable and not own else None
    yield Finding("names", evidence, cause, (cure + facts.there,), fix, asks=True)


def dates(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates expired, near expiry, or not yet valid."""
    (renew, fix), refused = _renewal(facts), "Afterwards every client refuses it"
    seen = _broken(facts, *_DATES)
    for broken in seen:
        authority = broken.path.name in _SIGNERS
        evidence = f"{broken.path} {broken.rule}; this machine's clock says {facts.now:%Y-%m-%d %H:%M} UTC"
        clock = "date --utc  # is this machine's clock right? sudo timedatectl set-ntp true"
        anew, mends = _renewal(facts, authority=authority)
        cause = "Every client refuses it, unless a clock is wrong."
        yield Finding("dates", evidence, cause, (anew, clock), mends, asks=True)
    shown = facts.observation.certificate if facts.observation and facts.remote else None
    if shown and 0 <= shown.days_left(facts.now) < LAST_WEEK:
        yield Finding("dates", _ends(shown, facts), f"{refused}.", (renew,))
    if facts.issued is None or facts.remote:
        return
    if not seen and (issue.misfit(facts.issued, facts.settings) or "").startswith("expires"):
        cause = f"{refused}; a daily cron job with ./inv cert.renew --if-expiring 30 prevents that."
        cause = cause if fix else f"{refused}."
        yield Finding("dates", _ends(facts.issued.server, facts), cause, (renew,), fix, asks=True)
    root = facts.issued.authority
    if root and 0 <= root.days_left(facts.now) < facts.settings.renew_before:
        anew = f"{signer.IMPORT} --force" if imported.is_foreign(facts.issued) else CHANGE
        yield Finding("dates", _ends(root, facts), "All that it signed ends with it.", (anew,))


def _ends(certificate: inspect.Certificate, facts: Facts) -> str:
    return f"{certificate.path} ends in {certificate.days_left(facts.now)} days"


def chain(facts: Facts) -> Iterator[Finding]:
    """Yield findings for a certificate that the authority did not sign, or whose issuer is not sent."""
    seen, anchor = facts.observation, facts.anchor
    if seen and seen.certificate and facts.is_untrusted:
        evidence = f"nothing on this machine trusts {seen.certificate.issuer}, who signed what {seen.host} shows"
        cause = "Clients say that the certificate is signed by an unknown authority."
        yield Finding("chain", evidence, cause, (checks_trust.SERVED,))
    if seen and seen.certificate and anchor and seen.distrust and not any(it in seen.distrust for it in _EXCUSED):
        if facts.issued and seen.fingerprint != facts.issued.server.fingerprint:
            return  # `served` tells it better
        if seen.unsent:
            yield _unsent(facts, seen, anchor)
            return
        shown = f"what {seen.host} shows, which {seen.certificate.issuer} signed: {seen.distrust}"
        evidence = f"{anchor.path} ({anchor.subject}) did not sign {shown}"
        cause = "Clients that trust it say that the certificate is signed by an unknown authority."
        yield Finding("chain", evidence, cause, _chained(facts, seen))
    for broken in _broken(facts, *_CHAIN) if facts.issued else ():
        evidence = f"{broken.path} {broken.rule}"
        yield Finding("chain", evidence, f"Refused by: {broken.clients}.", ("./inv cert.renew",))


def _unsent(facts: Facts, seen: Observation, anchor: inspect.Certificate) -> Finding:
    """Return the finding of a server that does not send its issuer, which only whoever runs that server can mend."""
    at = f"{address.bracketed(seen.host)}:{seen.port}"
    evidence = f"{at} does not send the certificate of its issuer, {seen.unsent}, behind its own"
    cause = (
        "Clients have the root alone, and the issuer from the server: without that they say that the certificate is "
        "signed by an unknown authority, whatever they trust."
    )
    if not facts.remote:
        cure, fix = _sending(facts)
        return Finding("chain", evidence, cause, (cure,), fix, asks=isinstance(fix, RenewFix))
    if imported.is_of_this_project(anchor.certificate.subject):
        command = f"{unsent.RENEW}{facts.there}: makes a whole domain.crt, and serves it"
        return Finding("chain", evidence, cause, (command,))
    command = "cat SERVER.crt ISSUER.crt > CHAIN.crt  # there, for whoever runs it: the server is to read CHAIN.crt"
    ours = f"{signer.IMPORT} --chain FILE && ./inv registry.tls  # there, if this project runs it"
    root = f"# if {seen.unsent} is a root, and no issuer below {anchor.subject}: have clients trust that one instead"
    return Finding("chain", evidence, cause, (command,), instead=(ours, root))


def _sending(facts: Facts) -> tuple[str, RestartFix | RenewFix | None]:
    """Return cure and fix so that our registry sends its issuer: the file is whole, can be made so, or must be got."""
    if facts.issued:
        return unsent.SERVE, RestartFix() if facts.running else None
    if (facts.settings.folder / "issuer.key").exists():
        return unsent.RENEW, RenewFix()
    return facts.broken.cure if facts.broken else ANEW, None


def _chained(facts: Facts, observation: Observation) -> tuple[str, ...]:
    """Return the cure for a foreign authority: never another's ca.crt over that of keys that are here."""
    if issue.keeps_keys(facts.settings.folder):
        there = checks_trust.SERVED
        return (there,) if facts.remote else ("./inv up  # where it is this machine's", there)
    return (
        "# copy certs/ca.crt again from the registry's machine into certs/ here, then:",
        " ".join(("./inv", "trust.linux", *registry_flags(observation.host, observation.port))),
    )


def keys(facts: Facts) -> Iterator[Finding]:
    """Yield findings for keys exposed to other users, git, or containers."""
    pose = "Whoever has a key can pose as the registry; who has the authority's, as any machine of this network."
    for file_mode in facts.file_modes:
        is_folder = file_mode.path == facts.settings.folder
        if file_mode.mode & (_WRITABLE if is_folder else _PRIVATE):
            bits, exposed = ("go-w", "may be written to") if is_folder else ("go-rwx", "may be read")
            evidence = f"{file_mode.path} has mode {file_mode.mode:04o}: it {exposed} by others on this machine"
            cure = pasteable(["chmod", bits, file_mode.path])
            yield Finding("keys", evidence, pose, (cure,), ChmodFix(file_mode.path, bits) if file_mode.owned else None)
    for name in facts.tracked:
        evidence = f"git tracks {facts.settings.folder / name}"
        cause = "Whoever has the repository has the key; it stays in the history even when it is removed."
        cure = pasteable(["git", "-C", facts.settings.folder, "rm", "--cached", name])
        yield Finding("keys", evidence, cause, (cure, CHANGE))
    for container, path in facts.key_mounts:
        evidence = f"the container {container} was given {path}, and with it the authority's key"
        cause = (
            "No container has any use for it: who breaks out of that program can pose as any machine of this network."
        )
        cure = f"docker rm --force {shlex.quote(container)}  # then create it again without that"
        yield Finding("keys", evidence, cause, (cure,))
