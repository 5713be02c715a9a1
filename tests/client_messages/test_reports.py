"""Cures that people were given for another trouble than theirs, one of each kind with others of its kind."""

from __future__ import annotations

import re
import shlex

import pytest

from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.catalogue import LocalContext, Match
from trusted_registry.client_messages.message import Kind

LOCAL = LocalContext(registry="192.168.0.12")
UNKNOWN = "x509: certificate signed by unknown authority"
PODMAN = 'Error: initializing source docker://{0}/app: pinging container registry {0}: Get "https://{0}/v2/": '
EVENT = (
    'Failed to pull image "10.0.0.5:5000/app:1": rpc error: code = Unknown desc = failed to pull and unpack image '
    '"10.0.0.5:5000/app:1": failed to do request: Head "https://10.0.0.5:5000/v2/app/manifests/1": '
)
SITES = [
    "registry-1.docker.io",
    "index.docker.io",
    "production.cloudflare.docker.com",
    "k8s.gcr.io",
    "registry.k8s.io",
    "quay.io",
    "ghcr.io",
    "github.com",
    "objects.githubusercontent.com",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "registry.gitlab.com",
    "europe-docker.pkg.dev",
    "nvcr.io",
    "registry.access.redhat.com",
    "wiki.debian.org",
    "someone.azurecr.io",
    "lscr.io",
    "codeberg.org",
    "cgr.dev",
    "registry.opensource.zalan.do",
    "docker.mirrors.ustc.edu.cn",
]
TASKS = re.compile(r"\./inv (trust|cert)|--cacert|certs\.d/|INVOKE_REGISTRY_ADDRESS")


def only(said: str, local: LocalContext = LOCAL) -> Match:
    """Return the only message in a text."""
    (found,) = catalogue.find(said, local)
    return found


def commands(said: str) -> list[str]:
    """Return the commands of its cure."""
    return [step.command for step in only(said).cure]


@pytest.mark.parametrize(
    "fault",
    [
        "tls: first record does not look like a TLS handshake",
        "tls: oversized record received with length 20527",
        "http: server gave HTTP response to HTTPS client",
    ],
)
@pytest.mark.parametrize("host", ["10.91.0.9", "registry-1.docker.io"])
def test_a_proxy_whose_address_says_https_is_not_a_registry_without_tls(fault: str, host: str) -> None:
    found = only(f"{PODMAN.format(host)}proxyconnect tcp: {fault}")
    assert (found.key, "http://${HTTPS_PROXY#*://}" in found.cure[0].command) == ("proxy-scheme", True)
    assert not any("PLAIN" in step.command or step.command.startswith("./inv") for step in found.cure)
    assert ("NO_PROXY" in found.one_line) is (host == "10.91.0.9"), "a public site is reached by the proxy alone"


@pytest.mark.parametrize(
    "said",
    [
        "HTTPS_PROXY=https://p.corp:3128 curl https://10.0.0.5/v2/\ncurl: (35) error:0A00010B::wrong version number",
        'Environment="https_proxy=https://10.0.0.1:8080"\nssl.SSLError: [SSL: RECORD_LAYER_FAILURE] docker login',
        "port=443): /v2/ (Caused by ProxyError('Your proxy appears to only use HTTP and not HTTPS, try changing it",
        "docker: ProxyError('Cannot connect to proxy.', SSLError(1, '[SSL: WRONG_VERSION_NUMBER] (_ssl.c:1131)'))",
    ],
)
def test_another_program_s_words_of_such_a_proxy_are_of_the_proxy_too(said: str) -> None:
    found = only(said)
    assert found.key.startswith("proxy-scheme")
    assert not any("PLAIN" in step.command or step.command.startswith("./inv") for step in found.cure)
    assert found.registry in ("", "10.0.0.5"), "the proxy's own address is no registry's"


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize(
    "fault",
    [
        UNKNOWN,
        "x509: certificate is valid for *.proxy.corp, not {}",
        "x509: certificate has expired or is not yet valid: current time a is after b",
        "x509: cannot validate certificate for {} because it doesn't contain any IP SANs",
        "http: server gave HTTP response to HTTPS client",
    ],
)
def test_a_public_site_never_gets_a_certificate_of_one_s_own(site: str, fault: str) -> None:
    found = only(f'Error response from daemon: Get "https://{site}/v2/": {fault.format(site)}')
    assert (found.key, site in found.cause) == ("public-certificate", True)
    assert [step.command for step in found.cure if TASKS.search(step.command)] == []


def test_a_public_site_keeps_the_kind_by_which_a_proof_judges() -> None:
    said = 'Get "https://quay.io/v2/": '
    kinds = [only(said + fault).kind for fault in (UNKNOWN, "dial tcp 1.2.3.4:443: connect: connection refused")]
    assert kinds == [Kind.DISTRUST, Kind.REFUSED]


@pytest.mark.parametrize("own", ["registry.gitlab.com", "registry.lan.github.com:8443"])
def test_this_checkout_s_own_registry_is_none_of_the_public_sites(own: str) -> None:
    assert only(f'Get "https://{own}/v2/": {UNKNOWN}', LocalContext(registry=own)).key == "unknown-authority"


@pytest.mark.parametrize("host", ["docker.lan", "github.local", "mydocker.io", "quay.io.example.com", "docker"])
def test_a_name_that_only_looks_like_a_public_site_s_is_one_s_own(host: str) -> None:
    assert only(f'Get "https://{host}:8443/v2/": {UNKNOWN}').key == "unknown-authority"


@pytest.mark.parametrize(
    ("said", "key", "command"),
    [
        (f"k3s[7]: {EVENT}{UNKNOWN}", "k3s", "./inv trust.linux --only k3s --address 10.0.0.5 --port 5000"),
        (f"/var/lib/rancher/k3s/agent\n{EVENT}{UNKNOWN}", "k3s", "sudo systemctl restart k3s"),
        (f"rke2-server[7]: {EVENT}{UNKNOWN}", "rke2", "./inv trust.linux --only rke2 --address 10.0.0.5 --port 5000"),
        (f"/var/lib/rancher/rke2/agent\n{EVENT}{UNKNOWN}", "rke2", "sudo systemctl restart rke2-server || "),
        (
            f"snap.microk8s.daemon-containerd\n{EVENT}{UNKNOWN}",
            "microk8s",
            "./inv trust.linux --only microk8s",
        ),
        (f"microk8s.ctr: {EVENT}{UNKNOWN}", "microk8s", "--only microk8s --address 10.0.0.5"),
        (f"kaniko: {EVENT}{UNKNOWN}", "kaniko", "--registry-certificate 10.0.0.5:5000="),
        (
            (
                'error checking push permissions: checking push permission for "10.0.0.5:5000/app": Get '
                f'"https://10.0.0.5:5000/v2/": {UNKNOWN}'
            ),
            "kaniko",
            "--registry-certificate 10.0.0.5:5000=",
        ),
        (f"{EVENT}{UNKNOWN}", "kubernetes", "./inv trust.linux --address 10.0.0.5 --port 5000"),
        (f"ErrImagePull: {UNKNOWN} 10.0.0.5:5000", "kubernetes", "./inv trust.linux --address 10.0.0.5 --port 5000"),
    ],
)
def test_what_has_a_containerd_or_a_container_of_its_own_gets_a_cure_of_its_own(
    said: str, key: str, command: str
) -> None:
    assert only(said).key == f"unknown-authority-{key}"
    assert any(command in line for line in commands(said))
    assert "--only containerd" not in only(said).one_line


def test_docker_on_a_node_of_k3s_is_told_by_docker_s_own_store() -> None:
    assert only(f"k3s\nError response from daemon: Get https://10.0.0.5/v2/: {UNKNOWN}").key == "unknown-authority"


@pytest.mark.parametrize(
    ("path", "certs_d"),
    [
        ("/etc/docker/certs.d/10.0.0.5:5000/mydomain.crt", "/etc/docker/certs.d"),
        ("/etc/containers/certs.d/10.0.0.5:5000/ca.crt", "/etc/containers/certs.d"),
        ("/home/dev/.config/containers/certs.d/[fd00::5]:5000/x.cert", "/home/dev/.config/containers/certs.d"),
        ("/etc/docker/certs.d/10.0.0.5", "/etc/docker/certs.d"),
    ],
)
def test_the_file_that_may_not_be_read_is_the_one_that_the_message_names(path: str, certs_d: str) -> None:
    said = f"Error: open {path}: permission denied"
    assert only(said).key == "unreadable"
    words = shlex.split(commands(said)[0])
    assert (words[:3], words[3], words[-1]) == (["sudo", "chmod", "go+rX"], certs_d, path)


@pytest.mark.parametrize("name", ["client.key", "domain.key", "a.b.key"])
def test_a_private_key_is_not_opened_to_everybody(name: str) -> None:
    found = only(f"open /etc/docker/certs.d/10.0.0.5:5000/{name}: permission denied")
    assert (found.key, "private key" in found.cause, "chmod" in found.one_line) == ("unreadable-key", True, False)


@pytest.mark.parametrize(
    "path", ["/etc/docker/certs.d/$(reboot)/ca.crt", "/etc/certs.d/../../shadow", "/certs.d/a;reboot/x"]
)
def test_a_path_that_was_made_to_harm_reaches_no_command(path: str) -> None:
    for match in catalogue.find(f"open {path}: permission denied", LOCAL):
        assert not re.search(r"reboot|\.\./", match.one_line)


PAIRS = [
    "failed to find any PEM data in certificate input",
    "failed to find any PEM data in key input",
    "private key does not match public key",
    "failed to parse private key",
    "found a certificate rather than a key in the PEM for the private key",
    'failed to find PEM block with type ending in "PRIVATE KEY" in key input: [ENCRYPTED]',
]


@pytest.mark.parametrize("fault", PAIRS)
@pytest.mark.parametrize(
    "words",
    [
        "docker pull 10.0.0.5:5000/x\nError response from daemon: {}",
        "Error: initializing source docker://10.0.0.5:5000/x: {}",
    ],
)
def test_a_client_s_pair_that_is_none_is_told_from_the_registry_s_own(words: str, fault: str) -> None:
    found = only(words.format(f"tls: {fault}"))
    assert (found.key, found.kind, found.registry) == ("client-pair", Kind.CLIENT, "10.0.0.5:5000")
    assert commands(words.format(f"tls: {fault}"))[0].startswith(
        "cd '/etc/docker/certs.d/10.0.0.5:5000' && sudo mkdir unused && sudo mv "
    )
    assert not any("cert.renew" in step.command for step in found.cure)


@pytest.mark.parametrize("fault", PAIRS)
def test_the_registry_s_own_log_speaks_of_its_own_pair(fault: str) -> None:
    assert "./inv cert.renew && ./inv registry.tls" in commands(f'level=fatal msg="tls: {fault}" go.version=go1.20.8')


@pytest.mark.parametrize(
    ("said", "key"),
    [
        (f'error during connect: Get "https://10.0.0.5:2376/v1.24/containers/json": {UNKNOWN}', "engine-tls"),
        (f'error during connect: Post "https://docker.lan:2376/v1.41/build": {UNKNOWN}', "engine-tls"),
        (
            "error during connect: Get https://10.0.0.5:2376/v1.40/info: remote error: tls: bad certificate",
            "engine-tls",
        ),
        ("invalid reference format: repository name must be lowercase", "capitals"),
        ("invalid reference format: repository name (library/App) must be lowercase", "capitals"),
        ('repository name "App" must be lower case', "capitals"),
        ("docker: invalid reference format.", "reference"),
        ("docker pull https://10.0.0.5/app\ninvalid reference format", "reference"),
        (
            (
                f'{UNKNOWN} (possibly because of "x509: invalid signature: parent certificate cannot sign this kind of '
                'certificate" while trying to verify candidate authority certificate "R")'
            ),
            "not-signing",
        ),
    ],
)
def test_a_false_friend_is_told_from_what_it_looks_like(said: str, key: str) -> None:
    assert only(said).key == key
    assert not any("cert.renew" in line or "--names" in line for line in commands(said))


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:8443", "reg.lan", "[fd00::5]", "[fd00::5]:5000"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_self_signed_certificate_made_anew_is_told_from_one_that_may_not_sign(host: str, quote: str) -> None:
    said = (
        f'Get {quote}https://{host}/v2/{quote}: {UNKNOWN} (possibly because of "x509: invalid signature: parent '
        'certificate cannot sign this kind of certificate" while trying to verify candidate authority certificate "{}")'
    )
    own = host.partition("]")[0].strip("[") if "[" in host else host.partition(":")[0]
    assert only(said.format(own)).key == "another-authority"
    assert only(said.format("QNAP")).key == only(said.format(f"{own}1")).key == "not-signing"


def test_the_address_of_an_engine_is_not_trusted_as_a_registry_s() -> None:
    said = f'error during connect: Get "https://10.0.0.5:2376/v1.24/containers/json": {UNKNOWN}'
    assert not any("2376" in line for line in commands(said))


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("tls: found a certificate rather than a key in the PEM for the private key", "swapped"),
        ("tls: failed to find certificate PEM data in certificate input, but did find a private key", "swapped"),
        (
            (
                'failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of '
                "the following types: [CERTIFICATE]"
            ),
            "swapped",
        ),
        ('tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input: [EC PARAMETERS]', "no-pem"),
        ("stat /etc/docker/certs.d/10.0.0.5/ca.crt: too many levels of symbolic links", "dangling"),
        ("read /etc/docker/certs.d/10.0.0.5:5000/x.crt: is a directory", "no-file"),
        ("Certificate for <10.0.0.5> doesn't match common name of the certificate subject: a", "other-name"),
        ("Host name '10.0.0.5' does not match the certificate subject provided by the peer (CN=a)", "other-name"),
        ("docker push: 413 Payload Too Large", "too-large"),
        ("crypto/tls: failed to parse key PEM data", "no-pem"),
        ("unable to configure the Docker daemon with file /etc/docker/daemon.json: EOF", "daemon-json"),
        ("directives are specified both as a flag and in the configuration file: debug", "daemon-json-twice"),
        ("tls: failed to parse certificate from server: x509: negative serial number", "unparsable"),
        ("Get https://10.0.0.5/v2/: remote error: tls: certificate required", "client-certificate"),
        ("curl: (56) OpenSSL SSL_read: error:1409445C: tlsv13 alert certificate required", "client-certificate"),
        ("open /etc/docker/certs.d/10.0.0.5/ca.crt: no such file or directory", "dangling"),
        ("schannel: next InitializeSecurityContext failed: CRYPT_E_NO_REVOCATION_CHECK (0x80092012)", "no-revocation"),
        ("hostname in certificate didn't match: <10.0.0.5> != <registry>", "other-name"),
        ("Certificate for <10.0.0.5> doesn't match any of the subject alternative names: [a]", "other-name"),
        ("containerd: /etc/containerd/config.toml: (148, 4): duplicated tables", "toml-twice"),
        ("failed to copy: unexpected status code: 413 Request Entity Too Large", "too-large"),
        ("Get https://10.0.0.5/v2/: Forbidden", "proxy"),
        ("server message: insufficient_scope: authorization failed", "login"),
        ("dial tcp: lookup registry.lan: getaddrinfow: This is usually a temporary error", "unknown-name"),
        ("dial tcp 10.0.0.5:443: connectex: the connected party did not properly respond", "silence"),
        ("wsarecv: An existing connection was forcibly closed by the remote host.", "cut-off"),
    ],
)
def test_what_was_not_known_is(said: str, key: str) -> None:
    assert only(said).key == key


@pytest.mark.parametrize(
    "said",
    [
        f'Failed to pull image "10.0.0.5:5000/redis:7": Error response from daemon: {UNKNOWN}',
        f"docker pull 10.0.0.5:5000/ansible/awx:1\nError response from daemon: {UNKNOWN}",
        f'Get "https://10.0.0.5:5000/v2/simple/composer/manifests/1": {UNKNOWN}',
        'connect() failed (111: Connection refused) while connecting to upstream, request: "GET /v2/ HTTP/1.1"',
        f'level=info msg="redis not configured"\n{UNKNOWN}',
    ],
)
def test_an_image_of_another_trade_s_program_is_an_image(said: str) -> None:
    assert catalogue.find(said, LOCAL)


@pytest.mark.parametrize(
    "said",
    [
        "SQLSTATE[HY000] [2002] Connection refused",
        f"vault: Get https://10.0.0.5:8200/ui/: {UNKNOWN}",
        "dial tcp 10.0.0.5:5432: connect: connection refused",
        "java.net.UnknownHostException: db.internal",
        "rsync error: unexpected EOF",
        f'Get "https://10.0.0.5/api/v4/projects": {UNKNOWN}',
        f"git pull\n{UNKNOWN}",
        "Post https://alertmanager:9093/api/v2/alerts: dial tcp: lookup alertmanager: no such host",
        f'helm upgrade: Kubernetes cluster unreachable: Get "https://10.0.0.5:6443/version": {UNKNOWN}',
        'go: github.com/a/b@v1: Get "https://proxy.golang.org/github.com/a/b": dial tcp: i/o timeout',
        f'helm: "https://charts.lan" is not a valid chart repository: Get "https://charts.lan/index.yaml": {UNKNOWN}',
    ],
)
def test_another_service_s_message_is_not_explained(said: str) -> None:
    assert catalogue.find(said, LOCAL) == []


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("verify error:num=64:IP address mismatch", "192.168.0.12"),
        ("verify error:num=62:hostname mismatch", "192.168.0.12"),
        ("curl: (60) SSL certificate OpenSSL verify result: IP address mismatch (64)", "192.168.0.12"),
        ("certificate verify failed: IP address mismatch, certificate is not valid for '10.0.0.5'.", "10.0.0.5"),
    ],
)
def test_openssl_s_words_of_another_name_are_explained(said: str, name: str) -> None:
    found = catalogue.find(said, LOCAL)
    assert [it.key for it in found] == ["other-name"]
    assert name in found[0].cause


@pytest.mark.parametrize(
    "said",
    [
        'Error: parsing reference "[2001:db8::7]:443/app:1": invalid reference format',
        r'level=fatal msg="Error parsing image name \"docker://[2001:db8::7]:443/app:1\": invalid reference format"',
    ],
    ids=["podman", "skopeo"],
)
def test_who_takes_no_ipv6_address_is_named(said: str) -> None:
    found = catalogue.find(said, LOCAL)
    assert ([it.key for it in found], "podman and skopeo" in found[0].cause) == (["reference-ipv6"], True)


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to access 'https://192.168.0.12/x.git/': SSL certificate problem: self-signed certificate",
        "connect ECONNREFUSED 192.168.0.12",
        f"vault: https://192.168.0.12/ui/: {UNKNOWN}",
    ],
)
def test_what_any_program_says_of_the_own_registry_is_explained(said: str) -> None:
    assert catalogue.find(said, LOCAL)
    assert not catalogue.find(said, LocalContext(registry="10.0.0.1"))
