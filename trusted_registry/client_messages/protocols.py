"""Messages of proxies and fronts, and of HTTP and TLS where the other is spoken."""

from __future__ import annotations

from trusted_registry.client_messages.cures import LISTENERS, REACH, at_registry
from trusted_registry.client_messages.message import Kind, Message, Step, plain, server, unreachable

_PROXY_SCHEME = (
    "The proxy's address in HTTPS_PROXY begins with https://, and the proxy itself speaks plain HTTP, as most do: "
    "it is the proxy that is meant, not {registry}."
)
_PROXY_BY_HTTP = (
    Step('export HTTPS_PROXY="http://${{HTTPS_PROXY#*://}}"', "for programs of this shell, such as podman"),
    Step(
        "sudo grep --recursive --ignore-case 'https_proxy=.*https://' /etc/systemd/system/docker.service.d "
        "/etc/default/docker",
        "where the engine has it from: write http:// there, and restart the engine",
    ),
    Step("{proxy_command}", "for a registry that needs no proxy", instead=True),
)

MESSAGES = (
    unreachable(
        "proxy-scheme",
        (
            r"proxyconnect tcp: (?:tls: (?:first record|oversized record)|http: server gave HTTP)",
            r"[Pp]roxy.{0,300}(?:only use HTTP and not|(?i:wrong[ _]version[ _]number|record[ _]layer[ _]failure))",
        ),
        "docker, podman, skopeo, buildah; curl, Python",
        _PROXY_SCHEME,
        _PROXY_BY_HTTP,
        ("proxy",),
    ),
    unreachable(
        "proxy-scheme-set",
        (r"(?i:wrong[ _]version[ _]number|record[ _]layer[ _]failure)",),
        "curl, Python",
        _PROXY_SCHEME,
        _PROXY_BY_HTTP,
        ("proxy",),
        nearby=r"(?i:https_proxy[\"']?[=:] ?[\"']?https://)",
    ),
    unreachable(
        "proxy",
        (
            r"proxyconnect tcp|HTTP code \d+ from proxy|ProxyError",
            r"[Pp]roxy CONNECT aborted|CONNECT tunnel failed|Tunnel connection failed|ERR_TUNNEL_CONNECTION_FAILED",
            r"Proxy Authentication Required|Unable to connect to proxy|Cannot connect to proxy",
            r"Could not resolve proxy|ERR_PROXY_CONNECTION_FAILED|X-Squid-Error",
            # Go prints the reason of a refused CONNECT alone, and its own errors begin small.
            r"(?:Get|Head) \"?https://[^\s\"]{1,300}\"?: (?!EOF)[A-Z][A-Za-z]+(?: [A-Z][a-z]+){0,5}\.?$",
            (
                r"(?:Get|Head|Post|Put|Patch) \"?https?://[^\s\"]{1,300}\"?: (?:Forbidden|Internal Server Error"
                r"|Bad Gateway|Service Unav)"
            ),
        ),
        "docker, podman, skopeo, buildah; curl, Python",
        "The way to {registry} is taken by a proxy (HTTPS_PROXY), which a private address should not go through.",
        (
            Step(
                'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{host}"',
                "for programs of this shell, such as curl and podman",
            ),
            Step("{proxy_command}", "for the engine, which has its own environment"),
        ),
        ("proxy",),
    ),
    server(
        "refused-by-client",
        (
            r"TLS handshake error from (?P<peer>\S+):\d+: remote error: (?:tls: )?(?:bad|unknown) certificate",
            r"TLS handshake error from (?P<peer>\S+):\d+: remote error: (?:tls: )?certificate unknown",
        ),
        "the registry's own log",
        "A client at {peer} was shown this registry's certificate and refused it.",
        (Step("./inv trust.linux", "on that client, with --address and what its own message names"),),
    ),
    server(
        "probe",
        (
            r"TLS handshake error from (?P<peer>\S+):\d+: (EOF|.*sent an HTTP request|read tcp .*(reset|timeout))",
            r"TLS handshake error from (?P<peer>\S+):\d+: tls: (client offered only|unsupported)",
        ),
        "the registry's own log",
        "Somebody at {peer} looked what listens here, by plain HTTP, by an outdated TLS or by hanging up, and was "
        "refused: ./inv up and ./inv doctor do so themselves, to hear just that.",
        (Step("./inv doctor", "nothing need be done, where it finds nothing"),),
        ("protocol",),
    ),
    plain(
        "plain-at-tls",
        (
            r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake",
            (
                r"tls: oversized record received|wrong version number|WRONG_VERSION_NUMBER|packet length too long"
                r"|unexpected TLS packet was received"
            ),
            r"record layer failure|RECORD_LAYER_FAILURE|SSL_ERROR_RX_RECORD_TOO_LONG|ERR_SSL_PROTOCOL_ERROR",
            r"Unsupported or unrecognized SSL message|plaintext connection\?|InvalidContentType",
            r"sendCredentialsOverHttp",
        ),
        "docker, podman, skopeo, buildah, containerd; curl, Python, Java, browsers",
        "What answers at {registry} speaks plain HTTP: the registry runs without TLS, as registry:3 does with its "
        "configuration at registry:2's path. Clients allow that on loopback alone.",
        (
            at_registry("./inv up", "serves TLS; then push and pull without :5000"),
            Step("{as_plain}./inv trust.insecure", "has this engine use plain HTTP: nobody verifies it", instead=True),
        ),
        ("protocol", "container"),
    ),
    plain(
        "tls-at-plain",
        (
            r"malformed HTTP response \"?\\x15\\x03|BadStatusLine.*\\x15\\x03",
            r"sent an HTTP request to an HTTPS server|Received HTTP/0\.9 when not allowed",
            r"HTTP request (?:was )?sent to (?:an )?HTTPS (?:port|server)",
            r"unexpected status from \w+ request to http://\S+: 400 Bad Request",
        ),
        "curl, ctr, Python; docker with insecure-registries",
        "This client speaks plain HTTP, and {registry} speaks TLS.",
        (
            Step("curl --cacert certs/ca.crt {url}/v2/", "https:// in the address; ctr: without --plain-http"),
            Step("./inv trust.insecure --remove", "if insecure-registries names it: removes only that"),
        ),
        ("insecure", "certs.d"),
        unless=r"x509: .{0,300}; (?:Get|Head) \"?http://",
    ),
    Message(
        Kind.PROTOCOL,
        "protocol-version",
        (
            r"protocol version not supported|alert protocol version|protocol_version|SSL_ERROR_UNSUPPORTED_VERSION",
            r"unsupported protocol|no protocols available|ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
            r"no cipher suite supported by both client and server|[Hh]andshake failure",
        ),
        "every client",
        "Client and server have no version of TLS in common, or the server asks for a client's certificate; this "
        "project's registry speaks TLS 1.2 and 1.3, and asks for none.",
        (Step("openssl s_client -connect {registry} -tls1_2 </dev/null", "shows what the server speaks"), REACH),
        ("protocol",),
    ),
    server(
        "traces",
        (r"traces export: .*4318",),
        "registry:3",
        "registry:3 sends traces to a collector that is not there. It does no harm; this project switches it off.",
        (at_registry("./inv registry.tls"),),
    ),
    server(
        "too-large",
        (
            r"\b413 (?:Request Entity|Payload|Content) Too Large|HTTP 413\b",
            r"[Ss]tatus ?[Cc]ode:? 413\b|[Ss]erver error: 413\b",
        ),
        "docker, podman, skopeo, buildah, containerd",
        "A proxy before {registry}, such as nginx, takes no layer of that size; this project's registry sets no limit.",
        (
            at_registry(
                "sudo grep --recursive --line-number client_max_body_size /etc/nginx",
                "where that proxy runs: set it to 0 for the registry's server",
            ),
            at_registry("sudo nginx -s reload"),
        ),
    ),
    server(
        "another-server",
        (
            r"pinging (?:container|docker) registry \S+ invalid status code from registry 404",
            r"invalid character '<' looking for beginning of value|error parsing HTTP 40\d response body",
            r"unexpected HTTP status: (301|302|404)|unexpected status code .*/v2/: (301|302|404)",
            r"login attempt to \S+ failed with status:? (301|302|404)",
        ),
        "docker, podman, containerd",
        "Something answers at {registry} that is not a registry, such as a web server on the same port.",
        (REACH, at_registry(LISTENERS, "names who listens on which port")),
        ("port",),
    ),
    server(
        "front-rewrites",
        (r"Server error: 30[1278] trying|no Location header in response",),
        "docker, podman",
        "A proxy before {registry} changes the registry's answers: it sends an upload from https to http, or drops the "
        "Location where that goes on. It has to pass Host and X-Forwarded-Proto on.",
        (
            at_registry(
                "sudo grep --recursive --line-number 'proxy_pass\\|X-Forwarded-Proto\\|Host ' /etc/nginx",
                "where that proxy runs: proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $http_host;",
            ),
            at_registry("sudo nginx -s reload"),
            at_registry("./inv up --front on", "a front that changes nothing, without that proxy", instead=True),
        ),
    ),
)
