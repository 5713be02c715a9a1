"""Issuers that a server does not send: a client with the root alone refuses the chain as untrusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trusted_registry.certificate import imported, inspect, profile
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.console import pasteable

RENEW = "./inv cert.renew"
SERVE = f"{RENEW} --if-expiring 0"
"""Commands that make a whole file anew, and that have the registry read the one that is there."""


def issuer(shown: Certificate, sent: Sequence[Certificate], anchor: Certificate) -> str:
    """Return the name of the issuer whose certificate is missing between those sent and the anchor; "" for none.

    Args:
        shown: The server certificate.
        sent: The certificates that the server sends behind its own.
        anchor: The certificate that clients trust.
    """
    chain = _chain(shown, sent)
    last = chain[-1]
    direct = last.certificate.issuer == anchor.certificate.subject  # the anchor's own work, or that of a namesake
    if last.self_issued or direct or not _allows(anchor, len(chain)):
        return ""
    return last.issuer if _may_be_below(last, anchor) else ""


def _chain(shown: Certificate, sent: Iterable[Certificate]) -> list[Certificate]:
    """Return the chain from the server certificate upwards, in whatever order the certificates were sent."""
    chain, left = [shown], list(sent)
    while above := next((it for it in left if inspect.signed_by(chain[-1], it)), None):
        chain.append(above)
        left.remove(above)
    return chain


def _allows(anchor: Certificate, issuers: int) -> bool:
    """Return whether as many issuers may stand below an anchor."""
    from cryptography import x509

    found = inspect.extension(anchor.certificate, x509.BasicConstraints)
    return bool(found and found.value.ca and (found.value.path_length is None or found.value.path_length >= issuers))


def _may_be_below(last: Certificate, anchor: Certificate) -> bool:
    """Return whether a certificate's issuer may be below an anchor: names tell for those made here, and for no other.

    A company's authorities have any names, and nothing in a certificate tells of the one above its issuer.
    """
    if any(map(imported.is_of_this_project, (anchor.certificate.subject, last.certificate.issuer))):
        return last.issuer == profile.issuer_name(anchor.subject)
    return True


def cure(server: Certificate, behind: Certificate) -> str:
    """Return the cure for a server's incomplete file: a new file by the issuer's key, or the issuer's certificate.

    Args:
        server: The server certificate, alone in its file.
        behind: The issuer's, which is to follow.
    """
    if behind.path.with_suffix(".key").exists():
        return f"{RENEW} makes a whole one."
    appended = f"echo | {pasteable(['cat', '-', behind.path])} >> {pasteable([server.path])}"
    return f"Put it back, behind the server's own: {appended} && ./inv up"
