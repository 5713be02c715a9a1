"""Messages about certificates: their files, names, dates and rules."""

from __future__ import annotations

from trusted_registry.client_messages.message import ANEW, ANEW_FOR_SYSTEM, REGISTRY, RENEW, TRUST, Kind, Message, Step

_NAMED = (
    Step("./inv cert.renew --names {name}", at=REGISTRY),
    Step("./inv trust.linux{where}", "that name has a directory of its own"),
)

NAMES = (
    Message(
        "no-address",
        Kind.CERTIFICATE,
        (r"cannot validate certificate for (?P<name>\S+) because it doesn't contain any IP SANs",),
        "docker, podman, skopeo, buildah, containerd, crane",
        "The certificate that was shown does not name the address {name} as an IP in subjectAltName; in its common "
        "name or among its DNS names no client looks for one.",
        (Step("./inv cert.renew --names {name}", at=REGISTRY, away="if that is your registry"),),
        ("names", "proxy"),
    ),
    Message(
        "common-name",
        Kind.CERTIFICATE,
        (
            r"certificate relies on legacy Common Name field",
            r"certificate is not valid for any names, but wanted to match (?P<name>[^\s\"]+)",
            r"No subject alternative names present",
            r"No name matching (?P<name>\S+) found",
            r"certificate subject name .* does not match target ",
        ),
        "docker, podman, skopeo, buildah, containerd; curl, Java",
        "The registry's certificate has its name in the common name alone; clients read only subjectAltName.",
        (Step("./inv cert.renew --names {name}", at=REGISTRY),),
        ("names",),
    ),
    Message(
        "constraint",
        Kind.CERTIFICATE,
        (
            r"not authorized to sign for this name[^\n]*\"(?P<name>[^\" ]+)\" is not permitted",
            r"not authorized to sign for this name",
            r"permitted subtree violation",
            r"SEC_ERROR_CERT_NOT_IN_NAME_SPACE",
        ),
        "every client",
        "The authority is limited to private addresses and to what was named when it was made; {name} is neither.",
        (
            Step(
                "./inv cert --force --names {name} && ./inv registry.tls",
                "makes a new authority, which may vouch for it",
                at=REGISTRY,
            ),
            Step("./inv trust.linux{where}", "with the new certs/ca.crt; the same on every other client"),
        ),
        ("names",),
    ),
    Message(
        "other-name",
        Kind.CERTIFICATE,
        (
            r"certificate is valid for .{1,2000}?, not (?P<name>[^\s\"]+)",
            r"(?:IP address|Hostname) mismatch, certificate is not valid for '(?P<name>[^']+)'",
            r"no alternative certificate subject name matches target (?:host ?name|ipv[46] address) '(?P<name>[^']+)'",
            r"No subject alternative (?:DNS )?names? matching (?:IP address )?(?P<name>\S+) found",
            r"certificate common name .* doesn't match requested host ?name .(?P<name>[\w.:-]+)",
            r"no certificate subject alternative name matches",
            r"SSL_ERROR_BAD_CERT_DOMAIN|ERR_CERT_COMMON_NAME_INVALID|ERR_TLS_CERT_ALTNAME_INVALID",
            r"NotValidForName|certificate not valid for name",
            r"host ?name mismatch|CERT_E_CN_NO_MATCH|0x800B010F|SEC_E_WRONG_PRINCIPAL|0x80090322",
        ),
        "docker, podman, skopeo, buildah, containerd; curl, Python, Java, browsers, Windows",
        "The certificate does not name {name}: the registry's address changed, or this is another name for it.",
        _NAMED,
        ("names", "address"),
    ),
)

DATES = (
    Message(
        "authority-expired",
        Kind.CERTIFICATE,
        (r"SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE", r"error 10 at [1-9]\d* depth lookup"),
        "Firefox, openssl",
        "The authority itself has expired, and all that it signed with it.",
        ANEW_FOR_SYSTEM,
        ("dates",),
    ),
    Message(
        "not-yet-valid",
        Kind.CERTIFICATE,
        (
            r"certificate has expired or is not yet valid: current time \S+ is before",
            r"certificate is not yet (valid|activated)",
            r"CertificateNotYetValidException",
            r"MOZILLA_PKIX_ERROR_NOT_YET_VALID_(ISSUER_)?CERTIFICATE|NotValidYet",
        ),
        "every client",
        "The certificate begins later than this machine's clock says it is: this clock is behind, as a virtual "
        "machine's is after a pause, or the registry's was ahead when the certificate was made.",
        (
            Step("sudo timedatectl set-ntp true", "where this machine's clock is wrong: date --utc"),
            Step("./inv cert.renew", "where the registry's was, once it is right", at=REGISTRY, instead=True),
        ),
        ("clock", "dates"),
    ),
    Message(
        "expired",
        Kind.CERTIFICATE,
        (
            r"certificate (has|is) expired",
            r"certificate .{0,80}expired",
            r"CertificateExpiredException|CertExpired",
            r"SEC_ERROR_EXPIRED_CERTIFICATE|ERR_CERT_DATE_INVALID|CERT_HAS_EXPIRED",
            r"SEC_E_CERT_EXPIRED|0x80090328|CERT_E_EXPIRED|0x800B0101",
        ),
        "every client",
        "The registry's certificate has expired, or this machine's clock is ahead.",
        (
            RENEW,
            Step("sudo timedatectl set-ntp true", "where this machine's clock is wrong: date --utc", instead=True),
        ),
        ("dates", "clock", "served"),
    ),
)

RULES = (
    Message(
        "authority-as-server",
        Kind.CERTIFICATE,
        (r"CaUsedAsEndEntity", r"MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY", r"CA used as end entity"),
        "Firefox; programs in Rust",
        "The registry shows a certificate that is an authority too (CA:TRUE), as plain `openssl req -x509` makes it.",
        ANEW_FOR_SYSTEM,
        ("rules",),
    ),
    Message(
        "not-strict",
        Kind.CERTIFICATE,
        (
            r"CA cert does not include key usage extension",
            r"Missing Authority Key Identifier",
            r"Missing Subject Key Identifier",
            r"Basic Constraints of CA cert not marked critical",
        ),
        "Python 3.13 and later",
        "The certificates lack what RFC 5280 asks for, as those of plain `openssl req -x509` do; newer Pythons insist.",
        ANEW_FOR_SYSTEM,
        ("rules",),
    ),
    Message(
        "apple",
        Kind.CERTIFICATE,
        (r"certificate is not standards compliant", r"ERR_CERT_VALIDITY_TOO_LONG"),
        "macOS, Chromium",
        "The server certificate lives for more than 825 days, or is not marked for servers.",
        (RENEW,),
        ("rules",),
    ),
    Message(
        "usage",
        Kind.CERTIFICATE,
        (
            r"certificate specifies an incompatible key usage",
            r"(unsupported|unsuitable) certificate purpose",
            r"Extended key usage does not permit",
            r"SEC_ERROR_INADEQUATE_(CERT_TYPE|KEY_USAGE)|ERR_SSL_KEY_USAGE_INCOMPATIBLE|invalid purpose",
        ),
        "every client",
        "The server certificate is not marked for servers (extendedKeyUsage serverAuth, keyUsage digitalSignature).",
        (RENEW,),
        ("rules",),
    ),
    Message(
        "weak",
        Kind.CERTIFICATE,
        (
            r"insecure algorithm (SHA1|MD5)",
            r"(CA signature|CA) (digest algorithm|md) too weak|(ee|EE certificate) key too (small|weak)",
            r"Certificates do(es)? not conform to algorithm constraints|ERR_CERT_WEAK",
            r"SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED|MOZILLA_PKIX_ERROR_INADEQUATE_KEY_SIZE",
        ),
        "every client",
        "A key or a signature of the certificates is too weak for today's clients.",
        ANEW,
        ("rules",),
    ),
    Message(
        "no-authority",
        Kind.CERTIFICATE,
        (
            r"certificate is not authorized to sign other certificates",
            r"invalid CA certificate",
            r"SEC_ERROR_CA_CERT_INVALID|basic constraints check failed",
        ),
        "every client",
        "What should have signed the server certificate is no authority (CA:FALSE).",
        ANEW,
        ("rules", "chain"),
    ),
)

FILES = (
    Message(
        "stray-key",
        Kind.CLIENT,
        (r"[Mm]issing client certificate \S+ for key (?P<file>\S+)",),
        "docker, podman, skopeo, buildah",
        "A private key lies in the directory of {registry} under certs.d: then it is taken for a client's, and every "
        "pull fails. Only ca.crt belongs there.",
        (
            Step("sudo mv /etc/docker/certs.d/{registry}/{file} /etc/docker/certs.d/{registry}/{file}.unused"),
            Step("./inv doctor", "names the file, wherever it lies", instead=True),
        ),
        ("certs.d",),
    ),
    Message(
        "stray-cert",
        Kind.CLIENT,
        (r"[Mm]issing key \S+ for client certificate (?P<file>[^\s.]+(\.[^\s.]+)*)",),
        "docker, podman, skopeo, buildah",
        "The authority's certificate under certs.d ends in .cert, which means a client's; an authority's ends in .crt.",
        (
            Step("sudo mv /etc/docker/certs.d/{registry}/{file} /etc/docker/certs.d/{registry}/{file}.unused"),
            TRUST,
            Step("./inv doctor", "names the file, wherever it lies", instead=True),
        ),
        ("certs.d",),
    ),
    Message(
        "pair",
        Kind.SERVER,
        (r"private key does not match public key", r"key values mismatch"),
        "the registry",
        "The registry's key and certificate are not of one pair, so it does not start.",
        (Step("./inv cert.renew && ./inv registry.tls", at=REGISTRY),),
        ("files",),
    ),
    Message(
        "no-pem",
        Kind.SERVER,
        (r"failed to find any PEM data in (certificate|key) input", r"asn1: structure error|malformed certificate"),
        "the registry, clients",
        "A certificate or key file holds none: it is empty, cut short, or something else.",
        (Step("./inv cert.renew && ./inv registry.tls", at=REGISTRY), Step("./inv cert.check", "names what is wrong")),
        ("files",),
    ),
)

OTHERS = (
    Message(
        "certificate",
        Kind.CERTIFICATE,
        (
            r"x509: \S",
            r"SSL certificate (problem|OpenSSL verify result): \S",
            r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|verify error:num=",
        ),
        "every client",
        "This client refuses the certificate that {registry} shows, for a reason that is in its own words alone.",
        (Step("./inv cert.check", "says what is wrong with it, and for whom", at=REGISTRY),),
        ("rules", "names", "dates", "chain"),
    ),
)
"""Messages that are known by their beginning alone, after all others."""

MESSAGES = (*FILES, *NAMES, *DATES, *RULES)
