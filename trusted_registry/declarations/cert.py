"""Certificates for an IP address."""

from __future__ import annotations

from trusted_registry.declarations.flag import ADDRESS, IF_EXPIRING, NAMES, STAYS, Flag, switch
from trusted_registry.declarations.task import Task

config = Task(
    "cert.config",
    "Write openssl.cnf, with this machine's names in it.",
    "cert.config",
    switch("self_signed", "For the document's single certificate."),
    ADDRESS,
    NAMES,
    example="./inv cert.config --names registry.local",
)
make = Task(
    "cert.make",
    "Make the authority and the server's certificate.",
    "cert.make",
    switch("self_signed", "The document's single certificate: rsa:4096, 365 days, trusted by itself."),
    switch("force", "Replace keys and certificates that are there; clients must trust the new ones."),
    Flag("tool", "openssl or cryptography; openssl by default where it is installed.", choices="settings.TOOLS"),
    *STAYS,
    default=True,
    example="./inv cert --names registry.local",
)
show = Task("cert.show", "Show the server's certificate.", "cert.show")
check = Task("cert.check", "Check the certificates by the rules of every client.", "cert.check")
import_ = Task(
    "cert.import",
    "Use a certificate that your own authority signed.",
    "cert_import.import_",
    Flag(
        "certificate",
        value="FILE",
        help="PEM, DER or PKCS #12: file of the certificate; it may hold key, chain and root too, in any order.",
    ),
    Flag("key", value="FILE", help="File of its key, if that is another one; you are asked for its passphrase."),
    Flag("authority", value="FILE", help="File of the root that clients are to trust, if that is another one."),
    Flag("chain", value="FILE", help="File of the certificates between the two, if that is another one."),
    switch("force", "Replace certificates of another authority; clients must trust the new one."),
    *STAYS,
    example="./inv cert.import --certificate server.crt --key server.key --authority root.crt",
)
renew = Task(
    "cert.renew",
    "Renew the server's certificate; no client notices.",
    "cert.renew",
    IF_EXPIRING,
    *STAYS,
    example="./inv cert.renew --if-expiring 30",
)
renew_authority = Task(
    "cert.renew-authority",
    "Change the authority while clients pull.",
    "authority.renew",
    switch("switch", "Second step, once every client holds both roots: the registry shows the new one's certificate."),
    switch("finish", "Third step: remove the old root."),
    *STAYS,
    example="./inv cert.renew-authority --switch",
)
