"""Messages as clients really say them, by the row that should recognise them."""

from __future__ import annotations

DOCKER = 'Error response from daemon: Get "https://192.168.0.12/v2/": '
OLD_DOCKER = "Error response from daemon: Get https://192.168.0.12/v2/: "
TLS = "tls: failed to verify certificate: "
PODMAN = (
    'Error: initializing source docker://192.168.0.12:8443/app:1: pinging container registry 192.168.0.12:8443: Get "'
    'https://192.168.0.12:8443/v2/": '
)
CTR = (
    'ctr: failed to resolve reference "192.168.0.12/app:1": failed to do request: Head "'
    'https://192.168.0.12/v2/app/manifests/1": '
)
UNKNOWN = "x509: certificate signed by unknown authority"
CURL = "curl: (60) SSL certificate problem: "
PYTHON = "urllib.error.URLError: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "

MIRRORS_FAILED = (
    "Error: initializing source docker://ghcr.io/org/y:1: (Mirrors also failed: [192.168.0.12:5501/org/y:1: "
    "reading manifest 1 in 192.168.0.12:5501/org/y: manifest unknown]): ghcr.io/org/y:1: pinging container "
    'registry ghcr.io: Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 127.0.0.53:53: no such host'
)

LOG = 'time="2026-11-28T05:55:01Z" level=error msg="response completed with error" err.code=unknown err.detail="s3aws: '
END = (
    '\\n\\tstatus code: 403, request id: 18EC1FCB64AAEE563DA0849D, host id: " err.message="unknown error" '
    "go.version=go1.19.8 http.request.host=192.168.0.12 http.request.method=HEAD http.request.uri=/v2/app/manifests/1"
)
REQUEST = (
    'RequestError: send request failed\\ncaused by: Get \\"https://192.168.0.9:8333/images/lan/docker/registry/v2/repositories'
    '/app/_manifests/tags/1/current/link\\": '
)
S3_CODES = {
    "AccessDenied: Access Denied.": "bucket-right",
    "NoSuchBucket: The specified bucket does not exist": "bucket-gone",
    "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your "
    "key and signing method.": "bucket-key",
    "InvalidAccessKeyId: The access key ID you provided does not exist in our records.": "bucket-key",
    "AuthorizationHeaderMalformed: The authorization header is malformed; the Credential is mal-formed": "bucket-key",
    "ExpiredToken: The provided token has expired.": "bucket-expired",
    "RequestTimeTooSkewed: The difference between the request time and the server's time is too large.": "bucket-clock",
    "AuthorizationHeaderMalformed: The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
    "'eu-central-1'": "bucket-region",
    "XMinioStorageFull: Storage backend has reached its minimum free drive threshold.": "bucket-full",
    "SlowDown: Please reduce your request rate.": "bucket-away",
    "NoCredentialProviders: no valid providers in chain. Deprecated.": "bucket-key",
    "BadRequest: Bad Request": "bucket-other",
}
"""Codes of S3 with their words, by the row; SeaweedFS said those of rights, buckets, keys and clocks."""
S3_REQUESTS = {
    "x509: certificate signed by unknown authority": "bucket-untrusted",
    "tls: failed to verify certificate: x509: certificate signed by unknown authority": "bucket-untrusted",
    "x509: certificate is valid for localhost, not store.lan": "bucket-untrusted",
    "http: server gave HTTP response to HTTPS client": "bucket-untrusted",
    "dial tcp 192.168.0.9:8333: connect: connection refused": "bucket-away",
    "dial tcp 192.168.0.9:8333: connect: no route to host": "bucket-away",
    "dial tcp: lookup store.lan on 192.168.0.1:53: no such host": "bucket-away",
    "EOF": "bucket-away",
}
"""Ends of requests that got no answer, by the row."""

SWARM = "Error response from daemon: rpc error: code = Unknown desc = "
SAMPLES: list[tuple[str, str]] = [
    (f"{SWARM}The swarm does not have a leader. It's possible that too few managers are online.", "swarm-leader"),
    ("Error response from daemon: rpc error: code = DeadlineExceeded desc = context deadline exceeded", "swarm-slow"),
    ('Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or', "swarm-manager"),
    ("no suitable node (scheduling constraints not satisfied on 3 nodes)", "swarm-node"),
    ("no suitable node (host-mode port already in use on 1 node)", "swarm-node"),
    ("update paused due to failure or early termination of task x6qb3k2w9z", "swarm-rollout"),
    *((f"{LOG}{said}{END}", key) for said, key in S3_CODES.items()),
    *((f'{LOG}{REQUEST}{said}" err.message="unknown error"', key) for said, key in S3_REQUESTS.items()),
    ("panic: invalid region provided: nowhere-9", "bucket-region"),
    (
        '{"errors":[{"code":"UNKNOWN","detail":{"DriverName":"s3aws","Enclosed":{"RequestFailure":{}}}}]}',
        "bucket-other",
    ),
    (
        '{"errors":[{"code":"UNAVAILABLE","detail":"health check failed: please see /debug/health"}]}',
        "unhealthy",
    ),
    ("be26821f7c0c: Retrying in 1 second\nreceived unexpected HTTP status: 503 Service Unavailable", "gateway"),
    (f"{PODMAN.partition('Get')[0]}invalid status code from registry 503 (Service Unavailable)", "gateway"),
    (
        (
            "Error: trying to reuse blob sha256:be26821f7c0c at destination: failed to read from destination "
            "repository app: 500 (Internal Server Error)"
        ),
        "server-error",
    ),
    (MIRRORS_FAILED, "mirror-away"),
    (f"{DOCKER}{UNKNOWN}", "unknown-authority"),
    (f"{OLD_DOCKER}{UNKNOWN}", "unknown-authority"),
    (f"{DOCKER}{TLS}{UNKNOWN}", "unknown-authority"),
    (f"{PODMAN}{UNKNOWN}", "unknown-authority"),
    (f'Error: Get "https://192.168.0.12/v2/": {TLS}{UNKNOWN}', "unknown-authority"),
    (
        (
            'Error response from daemon: failed to resolve reference "192.168.0.12/app:1": failed to do request: Head '
            f'"https://192.168.0.12/v2/app/manifests/1": {TLS}{UNKNOWN}'
        ),
        "unknown-authority",
    ),
    (f"{CTR}{UNKNOWN}", "unknown-authority-containerd"),
    (
        (
            'Failed to pull image "192.168.0.12/app:1": rpc error: code = Unknown desc = failed to pull and '
            f'unpack image "192.168.0.12/app": failed to do request: Head "https://192.168.0.12/v2/app": {UNKNOWN}'
        ),
        "unknown-authority-kubernetes",
    ),
    (
        (
            "ERROR: failed to solve: 192.168.0.12/app:1: failed to resolve source metadata for 192.168.0.12/app:1: "
            f'failed to do request: Head "https://192.168.0.12/v2/app/manifests/1": {TLS}{UNKNOWN}'
        ),
        "unknown-authority-buildkit",
    ),
    (
        (
            f'{DOCKER}{UNKNOWN} (possibly because of "crypto/rsa: verification error" while trying to verify candidate '
            'authority certificate "192.168.0.12")'
        ),
        "another-authority",
    ),
    (f"{CURL}certificate signature failure", "another-authority"),
    (f"{CURL}unable to get local issuer certificate", "unknown-authority-system"),
    (f"{CURL}self-signed certificate in certificate chain", "unknown-authority-system"),
    (f"{CURL}self signed certificate", "unknown-authority-system"),
    (
        "fatal: unable to access 'https://192.168.0.12/x.git/': server certificate verification failed. CAfile: none",
        "unknown-authority-system",
    ),
    (f"{PYTHON}unable to get local issuer certificate (_ssl.c:992)>", "unknown-authority-python"),
    (f"{PYTHON}self-signed certificate (_ssl.c:1000)>", "unknown-authority-python"),
    (
        (
            "javax.net.ssl.SSLHandshakeException: PKIX path building failed: sun.security.provider.certpath."
            "SunCertPathBuilderException: unable to find valid certification path to requested target"
        ),
        "unknown-authority-java",
    ),
    ("SEC_ERROR_UNKNOWN_ISSUER", "unknown-authority-browser"),
    ("NET::ERR_CERT_AUTHORITY_INVALID", "unknown-authority-browser"),
    (f"{DOCKER}{TLS}x509: “192.168.0.12” certificate is not trusted", "unknown-authority-macos"),
    ("schannel: SEC_E_UNTRUSTED_ROOT (0x80090325)", "unknown-authority-windows"),
    (
        f"{DOCKER}x509: cannot validate certificate for 192.168.0.12 because it doesn't contain any IP SANs",
        "no-address",
    ),
    (
        f"{DOCKER}{TLS}x509: certificate relies on legacy Common Name field, use SANs instead",
        "common-name",
    ),
    (
        f"{DOCKER}x509: certificate is not valid for any names, but wanted to match 192.168.0.12",
        "common-name",
    ),
    ("curl: (60) SSL: certificate subject name 'x' does not match target host name '192.168.0.12'", "common-name"),
    (f"{DOCKER}x509: certificate is valid for 10.0.0.5, 127.0.0.1, ::1, not 192.168.0.12", "other-name"),
    (f"{DOCKER}x509: certificate is valid for a.local, b.local, not 192.168.0.12", "other-name"),
    (f"{PYTHON}IP address mismatch, certificate is not valid for '192.168.0.12'. (_ssl.c:992)>", "other-name"),
    (
        "curl: (60) SSL: no alternative certificate subject name matches target host name '192.168.0.12'",
        "other-name",
    ),
    (
        "curl: (60) SSL: no alternative certificate subject name matches target ipv4 address '192.168.0.12'",
        "other-name",
    ),
    (
        "javax.net.ssl.SSLHandshakeException: No subject alternative names matching IP address 192.168.0.12 found",
        "other-name",
    ),
    ("SSL_ERROR_BAD_CERT_DOMAIN", "other-name"),
    (
        (
            f"{DOCKER}x509: a root or intermediate certificate is not authorized to sign for this name: DNS name "
            '"registry.example.com" is not permitted by any constraint'
        ),
        "constraint",
    ),
    (f"{CURL}permitted subtree violation", "constraint"),
    (
        (
            f"{DOCKER}x509: certificate has expired or is not yet valid: current time 2026-11-23T16:00:00Z is after "
            "2025-11-23T16:00:00Z"
        ),
        "expired",
    ),
    (f"{CURL}certificate has expired", "expired"),
    ("java.security.cert.CertificateExpiredException: NotAfter: Sun Nov 23 16:00:00 UTC 2025", "expired"),
    (
        (
            f"{DOCKER}x509: certificate has expired or is not yet valid: current time 2026-11-23T16:00:00Z is before "
            "2027-11-23T16:00:00Z"
        ),
        "not-yet-valid",
    ),
    (f"{PYTHON}certificate is not yet valid (_ssl.c:992)>", "not-yet-valid"),
    ("SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE", "authority-expired"),
    ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "authority-as-server"),
    ("MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY", "authority-as-server"),
    (f"{PYTHON}CA cert does not include key usage extension (_ssl.c:1032)>", "not-strict"),
    (f"{PYTHON}Missing Authority Key Identifier (_ssl.c:1032)>", "not-strict"),
    (f"{DOCKER}{TLS}x509: “192.168.0.12” certificate is not standards compliant", "apple"),
    (f"{DOCKER}x509: certificate specifies an incompatible key usage", "usage"),
    (f"{CURL}unsuitable certificate purpose", "usage"),
    (f"{DOCKER}x509: cannot verify signature: insecure algorithm SHA1-RSA", "weak"),
    (f"{CURL}EE certificate key too weak", "weak"),
    (f"{DOCKER}x509: certificate is not authorized to sign other certificates", "no-authority"),
    ("Error response from daemon: missing client certificate domain.cert for key domain.key", "stray-key"),
    (
        (
            "Error response from daemon: missing key ca.key for client certificate ca.cert. CA certificates must use "
            "the extension .crt"
        ),
        "stray-cert",
    ),
    (
        'level=fatal msg="tls: private key does not match public key"',
        "pair",
    ),
    ('level=fatal msg="tls: failed to find any PEM data in certificate input"', "no-pem"),
    (f"{DOCKER}http: server gave HTTP response to HTTPS client", "plain-at-tls"),
    (
        "curl: (35) error:0A00010B:SSL routines::wrong version number; https://192.168.0.12:5000/v2/",
        "plain-at-tls",
    ),
    ("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)", "plain-at-tls"),
    (
        (
            'Error: Get "http://192.168.0.12/v2/": net/http: HTTP/1.x transport connection broken: malformed HTTP '
            'response "\\x15\\x03\\x01\\x00\\x02\\x02"'
        ),
        "tls-at-plain",
    ),
    ("Client sent an HTTP request to an HTTPS server.", "tls-at-plain"),
    ("curl: (1) Received HTTP/0.9 when not allowed", "tls-at-plain"),
    (
        "http: TLS handshake error from 192.168.0.31:53122: remote error: tls: bad certificate",
        "refused-by-client",
    ),
    (
        "http: TLS handshake error from 192.168.0.12:44576: client sent an HTTP request to an HTTPS server",
        "probe",
    ),
    ("http: TLS handshake error from 192.168.0.12:44576: EOF", "probe"),
    ("http: TLS handshake error from 192.168.0.12:44576: tls: client offered only unsupported versions", "probe"),
    (f"{DOCKER}remote error: tls: protocol version not supported", "protocol-version"),
    (
        'traces export: Post "https://localhost:4318/v1/traces": dial tcp [::1]:4318: connect: connection refused',
        "traces",
    ),
    (f"{DOCKER}invalid character '<' looking for beginning of value", "another-server"),
    (
        f"{DOCKER}proxyconnect tcp: dial tcp 10.9.9.9:3128: connect: connection refused",
        "proxy",
    ),
    ("curl: (56) CONNECT tunnel failed, response 403", "proxy"),
    (
        (
            'Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io'
            ": no such host"
        ),
        "hub",
    ),
    ("toomanyrequests: You have reached your pull rate limit.", "hub-limit"),
    (f"{DOCKER}tls: failed to parse certificate from server: x509: negative serial number", "unparsable"),
    (f"{DOCKER}x509: too many signatures", "certificate"),
    (f"{CURL}path length constraint exceeded", "certificate"),
    (f"{PYTHON}path length constraint exceeded (_ssl.c:992)>", "certificate"),
    (f"{DOCKER}proxyconnect tcp: tls: first record does not look like a TLS handshake", "proxy-scheme"),
    ("Error response from daemon: unauthorized: access forbidden", "login"),
    ("curl: (22) The requested URL returned error: 401", "login"),
    ("curl: (22) The requested URL returned error: 404", "no-image"),
    (f"{CTR}192.168.0.12/app:1: not found", "no-image"),
    (
        (
            'Error response from daemon: Get "https://registry.local/v2/": dial tcp: lookup registry.local on '
            "127.0.0.53:53: no such host"
        ),
        "unknown-name",
    ),
    ("curl: (6) Could not resolve host: registry.local", "unknown-name"),
    (
        f"{DOCKER}dial tcp: lookup registry.local on 127.0.0.11:53: read udp 127.0.0.1:3->127.0.0.11:53: i/o timeout",
        "unknown-name",
    ),
    (f"{DOCKER}dial tcp 192.168.0.12:443: connect: connection refused", "refused"),
    ("curl: (7) Failed to connect to 192.168.0.12 port 443 after 0 ms: Couldn't connect to server", "refused"),
    (f"{DOCKER}dial tcp 192.168.0.12:443: i/o timeout", "silence"),
    (
        (
            f"{DOCKER}net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting "
            "headers)"
        ),
        "silence",
    ),
    (f"{DOCKER}dial tcp 192.168.0.12:443: connect: no route to host", "silence"),
    (f"{DOCKER}read tcp 192.168.0.31:4711->192.168.0.12:443: read: connection reset by peer", "cut-off"),
    (f"{DOCKER}EOF", "cut-off"),
    ("curl: (56) OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading, errno 0", "cut-off"),
    ("curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to 192.168.0.12:443", "hung-up"),
    ("curl: (35) TLS connect error: error:0A000126:SSL routines::unexpected eof while reading", "hung-up"),
    ("<urlopen error [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol>", "hung-up"),
    (
        (
            "fatal: unable to access 'https://192.168.0.12/x/': gnutls_handshake() failed: The TLS connection was "
            "non-properly terminated."
        ),
        "hung-up",
    ),
    ("javax.net.ssl.SSLHandshakeException: Remote host terminated the handshake", "hung-up"),
    ("javax.net.ssl.SSLHandshakeException: Remote host closed connection during handshake", "hung-up"),
    ("Error: Client network socket disconnected before secure TLS connection was established", "hung-up"),
    ("urllib.error.URLError: <urlopen error TLS/SSL connection has been closed (EOF) (_ssl.c:992)>", "hung-up"),
    ("SSLError(SSLZeroReturnError(6, 'TLS/SSL connection has been closed (EOF) (_ssl.c:1131)'))", "hung-up"),
    ("https://192.168.0.12/v2/: PR_END_OF_FILE_ERROR", "hung-up"),
    ("https://192.168.0.12/v2/: net::ERR_CONNECTION_CLOSED", "hung-up"),
    (
        (
            "docker: Error response from daemon: driver failed programming external connectivity: cannot expose "
            "privileged port 443, you can add 'net.ipv4.ip_unprivileged_port_start=443' to /etc/sysctl.conf"
        ),
        "privileged-port",
    ),
    ("Bind for 0.0.0.0:443 failed: port is already allocated", "port-taken"),
    (
        (
            f"{'8f' * 32}\ndocker: Error response from daemon: failed to set up container networking: driver failed "
            f"programming external connectivity on endpoint naughty_dog ({'9a' * 32}): Bind for :::443 failed: port "
            "is already allocated\n\nRun 'docker run --help' for more information"
        ),
        "port-taken",
    ),
    (f"{DOCKER}{UNKNOWN}\n\nRun 'docker pull --help' for more information", "unknown-authority"),
    (f"{DOCKER}{UNKNOWN}\nSee 'docker push --help'.", "unknown-authority"),
    ("listen tcp4 0.0.0.0:5000: bind: address already in use", "port-taken"),
    (f"{DOCKER}no basic auth credentials", "login"),
    (f"{DOCKER}unauthorized: authentication required", "login"),
    (
        "Error response from daemon: login attempt to https://192.168.0.12/v2/ failed with status: 401 Unauthorized",
        "login",
    ),
    (
        "denied: requested access to the resource is denied",
        "no-registry-in-name",
    ),
    (
        (
            "Error response from daemon: pull access denied for app, repository does not exist or may require 'docker "
            "login': denied: requested access to the resource is denied"
        ),
        "no-registry-in-name",
    ),
    ("crypto/bcrypt: hashedSecret too short to be a bcrypted password", "hash"),
    (
        'error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH',
        "credential-helper",
    ),
    ("696bd0d73219: Downloading\nunknown blob", "blob-lost"),
    ("manifest blob unknown: blob unknown to registry", "blob-lost"),
    ('err.code=unknown err.detail="unexpected end of JSON input" err.message="unknown error"', "left-empty"),
    ('err.code=unknown err.detail="invalid checksum digest format" err.message="unknown error"', "left-empty"),
    (
        (
            "Error: reading blob sha256:696bd0d73219: Error fetching blob: invalid status code from registry 404 (Not "
            "Found)"
        ),
        "blob-lost",
    ),
    ("696bd0d73219: Retrying in 1 second\nunexpected EOF", "cut-off"),
    ("Error response from daemon: manifest for 192.168.0.12/app:1 not found: manifest unknown", "no-image"),
    ("invalid reference format: repository name must be lowercase", "capitals"),
    ("docker: invalid reference format.", "reference"),
    ("Error response from daemon: tls: failed to find any PEM data in certificate input", "client-pair"),
    ("docker pull [fd00::5]:5000/app\ninvalid reference format", "reference-ipv6"),
    ("read /etc/docker/certs.d/10.0.0.5:5000/ca.crt: is a directory", "no-file"),
    ("HTTPS_PROXY=https://p:3128 curl https://10.0.0.5\ncurl: (35) wrong version number", "proxy-scheme-set"),
    ("write /var/lib/registry/x: no space left on device", "disk"),
    ("received unexpected HTTP status: 500 Internal Server Error", "server-error"),
    ("#5 ERROR: unexpected status: 502 Bad Gateway", "gateway"),
    (
        'ctr: failed to resolve "localhost:5001/app:1": dial tcp [::1]:5001: connect: connection refused',
        "refused-in-node",
    ),
    ("Error determining upload URL: http: no Location header in response", "front-rewrites"),
    ('level=error msg="failed to decode hosts.toml" error="invalid `host` tree"', "hosts-toml"),
    ("error: build error: Failed to push image: blob upload unknown", "upload-lost"),
    ('{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}', "unsupported"),
    ("PUT https://192.168.0.12/v2/app/manifests/1: MANIFEST_INVALID: manifest invalid", "refused-form"),
    ('media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported', "old-form"),
    (
        "Error saving credentials: error storing credentials - err: exit status 1, out: `pass store is uninitialized`",
        "credential-locked",
    ),
    (
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "engine-refuses-user",
    ),
    (
        (
            'level=fatal msg="reading JSON file \\"/run/containers/1000/auth.json\\": open '
            '/run/containers/1000/auth.json: permission denied"'
        ),
        "login-file",
    ),
    (
        'ctr: failed to dial "/run/containerd/containerd.sock": context deadline exceeded: connection error',
        "no-containerd",
    ),
    ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "no-engine"),
    (
        (
            "failed to load plugin io.containerd.grpc.v1.cri: invalid plugin config: `mirrors` cannot be set when "
            "`config_path` is provided"
        ),
        "containerd-mirrors",
    ),
    ("rpc error: code = Unimplemented desc = unknown service runtime.v1.ImageService", "no-cri"),
    (
        (
            "Error: pinging container registry 192.168.0.12: open /etc/containers/certs.d/192.168.0.12/ca.crt: "
            "permission denied"
        ),
        "unreadable",
    ),
    ('level=fatal msg="open /config/domain.key: permission denied"', "key-unreadable"),
    (f"k3s crictl pull 192.168.0.12/app:1: rpc error: desc = {UNKNOWN}", "unknown-authority-k3s"),
    (f"rke2-agent: {CTR.removeprefix('ctr: ')}{UNKNOWN}", "unknown-authority-rke2"),
    (f"microk8s.{CTR}{UNKNOWN}", "unknown-authority-microk8s"),
    (
        f'error checking push permissions: checking push permission for "192.168.0.12/app:1": {DOCKER[28:]}{UNKNOWN}',
        "unknown-authority-kaniko",
    ),
    (
        (
            f'{DOCKER}{UNKNOWN} (possibly because of "x509: invalid signature: parent certificate cannot sign this '
            f"kind of "
            'certificate" while trying to verify candidate authority certificate "registry")'
        ),
        "not-signing",
    ),
    (f"{DOCKER}remote error: tls: certificate required", "client-certificate"),
    (
        "curl: (35) schannel: next InitializeSecurityContext failed: CRYPT_E_NO_REVOCATION_CHECK (0x80092012)",
        "no-revocation",
    ),
    ('level=fatal msg="tls: found a certificate rather than a key in the PEM for the private key"', "swapped"),
    ("open /etc/docker/certs.d/192.168.0.12/ca.crt: no such file or directory", "dangling"),
    ("open /etc/docker/certs.d/192.168.0.12/client.key: permission denied", "unreadable-key"),
    ("error parsing HTTP 413 response body: invalid character '<' looking for beginning of value", "too-large"),
    (
        (
            'error during connect: Get "https://10.0.0.5:2376/v1.24/containers/json": x509: certificate signed by '
            "unknown "
            "authority"
        ),
        "engine-tls",
    ),
    (
        (
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character '}' looking "
            "for "
            "beginning of object key string"
        ),
        "daemon-json",
    ),
    (
        (
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are "
            "specified "
            "both as a flag and in the configuration file: insecure-registries"
        ),
        "daemon-json-twice",
    ),
    ("containerd: failed to load TOML: /etc/containerd/config.toml: (148, 4): duplicated tables", "toml-twice"),
    (f'Error: Get "https://quay.io/v2/": {UNKNOWN}', "public-certificate"),
    ('Error: Get "https://quay.io/v2/": dial tcp 198.51.100.7:443: i/o timeout', "public-unreachable"),
    ('Error: Get "https://quay.io/v2/": proxyconnect tcp: dial tcp 10.9.9.9:3128: i/o timeout', "public-proxy"),
    ('Error: Get "https://quay.io/v2/app/manifests/1": unauthorized: access denied', "public-login"),
    ("Error response from daemon: manifest for app:9 not found: manifest unknown", "public-image"),
]
