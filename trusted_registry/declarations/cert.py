"""Certificates for an IP address."""

from __future__ import annotations

from trusted_registry.declarations.flag import ADDRESS, NAMES, STAYS, Flag, switch
from trusted_registry.declarations.task import Task

config = Task(
    "cert.config",
    "Render openssl.cnf with this machine's names in [alt_names].",
    "cert.config",
    switch("self_signed", "For the document's single certificate."),
    ADDRESS,
    NAMES,
)
make = Task(
    "cert.make",
    "Make the authority and the server certificate that it signs.",
    "cert.make",
    switch("self_signed", "The document's single certificate: rsa:4096, 365 days, trusted by itself."),
    switch("force", "Replace keys and certificates that are there; clients must trust the new ones."),
    Flag("tool", "openssl or cryptography; openssl by default where it is installed."),
    *STAYS,
    default=True,
)
show = Task("cert.show", "Show the server certificate: openssl's text, then what matters.", "cert.show")
check = Task("cert.check", "Check the certificates against the rules of every client.", "cert.check")
import_ = Task(
    "cert.import",
    "Take a certificate that your own authority signed: PEM, DER or PKCS #12.",
    "cert_import.import_",
    Flag("certificate", "File of the certificate; it may hold key, chain and root too, in any order."),
    Flag("key", "File of its key, where it is another one; its passphrase is asked for."),
    Flag("authority", "File of the root that clients are to trust, where it is another one."),
    Flag("chain", "File of the certificates between the two, where it is another one."),
    switch("force", "Replace certificates of another authority; clients must trust the new one."),
    *STAYS,
)
renew = Task(
    "cert.renew",
    "Make a new server certificate under the same authority.",
    "cert.renew",
    Flag("if_expiring", "Only when fewer than so many days are left."),
    *STAYS,
)
renew_authority = Task(
    "cert.renew-authority",
    "Change over to a new authority, step by step, without a failed pull.",
    "authority.renew",
    switch("switch", "Second step, once every client holds both roots: the registry shows the new one's certificate."),
    switch("finish", "Third step: the old root is taken back."),
    *STAYS,
)
