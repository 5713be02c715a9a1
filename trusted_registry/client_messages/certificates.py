"""Messages about certificates: the registry's files, names, dates and rules."""

from __future__ import annotations

from trusted_registry.client_messages.cures import ANEW, ANEW_FOR_SYSTEM, RENEW, TRUST, TRUST_ANEW, at_registry
from trusted_registry.client_messages.message import Step, certificate, server

_RENEW_WITH_NAME = at_registry("./inv cert.renew --names {name}")
_OWN_NAME = r'https?://\[?([\w.:-]{1,253}?)\]?(?::\d+)?/.{0,400} authority certificate "\1"'
"""The certificate that a client trusts is called like the registry: self-signed, and made anew there since."""

MESSAGES = (
    server(
        "swapped",
        (
            (
                r"PEM data in \S+ input, but did find|found a certificate rather than a key"
                r"|PEM inputs may have been switched|in key input after skipping PEM blocks .{0,80}CERTIFICATE"
                r"|in certificate input after skipping PEM blocks .{0,80}PRIVATE KEY"
            ),
        ),
        "the registry",
        "The registry's key and certificate are swapped: each file holds what belongs into the other.",
        (at_registry("./inv cert.renew && ./inv registry.tls"), Step("./inv cert.check", "names what is wrong")),
        ("files",),
    ),
    server(
        "pair",
        (r"private key does not match public key|key values mismatch",),
        "the registry",
        "The registry's key and certificate are not of one pair, so it does not start.",
        (at_registry("./inv cert.renew && ./inv registry.tls"),),
        ("files",),
    ),
    server(
        "no-pem",
        (
            r"failed to find any PEM data in (certificate|key) input|asn1: structure error|malformed certificate",
            r"tls: failed to parse (?:private key|key PEM data|certificate PEM data)",
            r"tls: failed to find PEM block with type ending in",
        ),
        "the registry, clients",
        "A certificate or key file holds none that a registry reads: it is empty, cut short, encrypted, or something "
        "else.",
        (at_registry("./inv cert.renew && ./inv registry.tls"), Step("./inv cert.check", "names what is wrong")),
        ("files",),
    ),
    certificate(
        "unparsable",
        (
            (
                r"failed to parse certificate from server|x509: (?:negative serial|RSA modulus is not"
                r"|unhandled critical ext)"
            ),
        ),
        "docker, podman, skopeo, buildah, containerd",
        "The certificate that {registry} shows has a form that programs in Go refuse to read: a negative number, say, "
        "or an extension that they do not know.",
        (RENEW,),
        ("rules", "proxy"),
    ),
    certificate(
        "not-signing",
        (r"parent certificate cannot sign this kind of certificate",),
        "docker, podman, skopeo, buildah, containerd",
        "What this client trusts for {registry} is not an authority (CA:FALSE, or it may not sign): a server "
        "certificate, say, was copied where the authority's belongs.",
        (TRUST, at_registry("./inv cert.check", "says whether its authority is one")),
        ("stale", "chain"),
        unless=_OWN_NAME,
    ),
    certificate(
        "no-address",
        (r"cannot validate certificate for (?P<name>[^\s\"]+) because it doesn't contain any IP SANs",),
        "docker, podman, skopeo, buildah, containerd, crane",
        "The certificate that was shown does not name the address {name} as an IP in subjectAltName; in its common "
        "name or among its DNS names no client looks for one.",
        (at_registry("./inv cert.renew --names {name}", away="if that is your registry"),),
        ("names", "proxy"),
    ),
    certificate(
        "common-name",
        (
            r"certificate relies on legacy Common Name field",
            r"certificate is not valid for any names, but wanted to match (?P<name>[^\s\"]+)",
            r"No subject alternative names present",
            r"No name matching (?P<name>\S+) found",
            r"certificate subject name .* does not match target ",
        ),
        "docker, podman, skopeo, buildah, containerd; curl, Java",
        "The registry's certificate has its name in the common name alone; clients read only subjectAltName.",
        (_RENEW_WITH_NAME,),
        ("names",),
    ),
    certificate(
        "constraint",
        (
            r"not authorized to sign for this name[^\n]*\"(?P<name>[^\" ]+)\" is not permitted",
            r"not authorized to sign for this name|permitted subtree violation|SEC_ERROR_CERT_NOT_IN_NAME_SPACE",
        ),
        "every client",
        "The authority is limited to private addresses and to what was named when it was made; {name} is neither.",
        (
            at_registry(
                "./inv cert --force --names {name} && ./inv registry.tls",
                "makes a new authority, which may vouch for it",
            ),
            TRUST_ANEW,
        ),
        ("names",),
    ),
    certificate(
        "other-name",
        (
            r"certificate is valid for (?:[^,]{0,300},){1,200}? not (?P<name>[^\s\",]+)",
            r"(?:IP address|Hostname) mismatch, certificate is not valid for '(?P<name>[^']+)'",
            r"no alternative certificate subject name matches target (?:host ?name|ipv[46] address) '(?P<name>[^']+)'",
            r"No subject alternative (?:DNS )?names? matching (?:IP address )?(?P<name>\S+) found",
            r"certificate common name .* doesn't match requested host ?name .(?P<name>[\w.:-]+)",
            r"no certificate subject alternative name matches|NotValidForName|certificate not valid for name",
            r"SSL_ERROR_BAD_CERT_DOMAIN|ERR_CERT_COMMON_NAME_INVALID|ERR_TLS_CERT_ALTNAME_INVALID",
            r"hostname in certificate didn't match: <(?P<name>[^<>\s]+)>",
            r"[Cc]ertificate for <(?P<name>[^<>\s]+)> doesn't match (?:any of|common name)",
            r"Host name '(?P<name>[^'\s]+)' does not match the certificate subject",
            r"Hostname (?P<name>\S+) not verified",
            r"(?:host ?name|IP address) mismatch|CERT_E_CN_NO_MATCH|0x800B010F|SEC_E_WRONG_PRINCIPAL|0x80090322",
        ),
        "docker, podman, skopeo, buildah, containerd; curl, Python, Java, browsers, Windows",
        "The certificate does not name {name}: the registry's address changed, or this is another name for it.",
        (_RENEW_WITH_NAME, Step("./inv trust.linux{where}", "that name has its own directory")),
        ("names", "address"),
    ),
    certificate(
        "authority-expired",
        (r"SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE|error 10 at [1-9]\d* depth lookup",),
        "Firefox, openssl",
        "The authority itself has expired, and all that it signed with it.",
        ANEW_FOR_SYSTEM,
        ("dates",),
    ),
    certificate(
        "not-yet-valid",
        (
            r"certificate has expired or is not yet valid: current time \S+ is before",
            r"certificate is not yet (valid|activated)|CertificateNotYetValidException",
            r"MOZILLA_PKIX_ERROR_NOT_YET_VALID_(ISSUER_)?CERTIFICATE|NotValidYet",
        ),
        "every client",
        "The certificate begins later than this machine's clock says it is: this clock is behind, as a virtual "
        "machine's is after a pause, or the registry's was ahead when the certificate was made.",
        (
            Step("sudo timedatectl set-ntp true", "where this machine's clock is wrong: date --utc"),
            at_registry("./inv cert.renew", "where the registry's was, once it is right", instead=True),
        ),
        ("clock", "dates"),
    ),
    certificate(
        "expired",
        (
            r"certificate (has|is) expired|certificate .{0,80}expired",
            r"SEC_ERROR_EXPIRED_CERTIFICATE|ERR_CERT_DATE_INVALID|CERT_HAS_EXPIRED",
            r"CertificateExpiredException|CertExpired|SEC_E_CERT_EXPIRED|0x80090328|CERT_E_EXPIRED|0x800B0101",
        ),
        "every client",
        "The registry's certificate has expired, or this machine's clock is ahead.",
        (RENEW, Step("sudo timedatectl set-ntp true", "where this machine's clock is wrong: date --utc", instead=True)),
        ("dates", "clock", "served"),
    ),
    certificate(
        "authority-as-server",
        (r"CaUsedAsEndEntity|MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY|CA used as end entity",),
        "Firefox; programs in Rust",
        "The registry shows a certificate that is an authority too (CA:TRUE), as plain `openssl req -x509` makes it.",
        ANEW_FOR_SYSTEM,
        ("rules",),
    ),
    certificate(
        "not-strict",
        (
            r"CA cert does not include key usage extension|Basic Constraints of CA cert not marked critical",
            r"Missing Authority Key Identifier|Missing Subject Key Identifier",
        ),
        "Python 3.13 and later",
        "The certificates lack what RFC 5280 asks for, as those of plain `openssl req -x509` do; newer Pythons insist.",
        ANEW_FOR_SYSTEM,
        ("rules",),
    ),
    certificate(
        "apple",
        (r"certificate is not standards compliant|ERR_CERT_VALIDITY_TOO_LONG",),
        "macOS, Chromium",
        "The server certificate lives for more than 825 days, or is not marked for servers.",
        (RENEW,),
        ("rules",),
    ),
    certificate(
        "usage",
        (
            r"certificate specifies an incompatible key usage|(unsupported|unsuitable) certificate purpose",
            r"Extended key usage does not permit|invalid purpose",
            r"SEC_ERROR_INADEQUATE_(CERT_TYPE|KEY_USAGE)|ERR_SSL_KEY_USAGE_INCOMPATIBLE",
        ),
        "every client",
        "The server certificate is not marked for servers (extendedKeyUsage serverAuth, keyUsage digitalSignature).",
        (RENEW,),
        ("rules",),
    ),
    certificate(
        "client-certificate",
        (
            r"remote error: (?:tls: )?(?:bad certificate|certificate required|unknown certificate)|tls: alert\(116\)",
            r"alert (?:bad certificate|certificate required)|sslv3 alert bad certificate",
            r"No required SSL certificate was sent",
        ),
        "docker, podman, skopeo, buildah, containerd; curl",
        "It is the other side that refuses: what answers at {registry} asks this client for a certificate of its own, "
        "and got none or another's. This project's registry never asks; a proxy before it may, or another server.",
        (
            Step(
                "sudo install -D --mode 0644 client.cert '{certs_d}/{registry}/client.cert'",
                "with what its owner gave you for that",
            ),
            Step("sudo install -D --mode 0600 client.key '{certs_d}/{registry}/client.key'"),
            Step("./inv doctor --remote {registry}", "looks at what answers there", instead=True),
        ),
        ("port", "proxy"),
        unless=r"TLS handshake error from",
    ),
    certificate(
        "no-revocation",
        (
            r"CRYPT_E_NO_REVOCATION_CHECK|CRYPT_E_REVOCATION_OFFLINE|0x8009201[23]",
            r"CERT_TRUST_REVOCATION_STATUS_UNKNOWN|CERT_TRUST_IS_OFFLINE_REVOCATION",
        ),
        "Windows: curl, git and others by schannel",
        "This program insists on a list of revoked certificates, and a private authority publishes none; that the "
        "certificate is trusted is another matter, and comes before.",
        (
            Step("curl --ssl-revoke-best-effort {url}/v2/", "an older curl: --ssl-no-revoke"),
            Step("git config --global http.schannelCheckRevoke false", "for git", instead=True),
        ),
    ),
    certificate(
        "weak",
        (
            r"(CA signature|CA) (digest algorithm|md) too weak|(ee|EE certificate) key too (small|weak)",
            r"insecure algorithm (SHA1|MD5)|Certificates do(es)? not conform to algorithm constraints|ERR_CERT_WEAK",
            r"SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED|MOZILLA_PKIX_ERROR_INADEQUATE_KEY_SIZE",
        ),
        "every client",
        "A key or a signature of the certificates is too weak for today's clients.",
        ANEW,
        ("rules",),
    ),
    certificate(
        "no-authority",
        (
            r"certificate is not authorized to sign other certificates|invalid CA certificate",
            r"SEC_ERROR_CA_CERT_INVALID|basic constraints check failed",
        ),
        "every client",
        "What should have signed the server certificate is not an authority (CA:FALSE).",
        ANEW,
        ("rules", "chain"),
    ),
)

OTHERS = (
    certificate(
        "certificate",
        (
            r"x509: \S|SSL certificate (problem|OpenSSL verify result): \S",
            r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|verify error:num=",
        ),
        "every client",
        "This client refuses the certificate that {registry} shows, for a reason that is in its own words alone.",
        (at_registry("./inv cert.check", "says what is wrong with it, and for whom"),),
        ("rules", "names", "dates", "chain"),
    ),
)
"""Messages that are known by their beginning alone, after all others."""
