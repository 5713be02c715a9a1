"""The table of clients: what each is asked, and how what it says is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trusted_registry import program
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import CLIENTS, Client, Verdict

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

ADDRESS = "192.168.0.12"


def _named(name: str) -> Client:
    return next(client for client in CLIENTS if client.name == name)


def _asks(name: str, make_settings: MakeSettings, **given: str) -> list[pulls.Pull]:
    return pulls.plan(_named(name), make_settings(**given), "beef", Path("/tmp/proof"), machines.current())  # noqa: S108


def test_each_client_has_a_name_of_its_own_and_reads_a_store_that_there_is() -> None:
    assert len(set(pulls.NAMES)) == len(CLIENTS)
    assert {client.store for client in CLIENTS} <= set(client_stores.NAMES)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_nothing_in_a_command_is_left_to_be_filled_in(client: Client, make_settings: MakeSettings) -> None:
    for pull in _asks(client.name, make_settings):
        said = [word for argv in (pull.argv, *pull.clean) for word in argv if "import ssl" not in word]
        assert not [word for word in (*said, pull.text) if "{" in word or "}" in word]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_pulls_a_name_of_its_own_so_that_none_finds_what_another_fetched(
    client: Client, make_settings: MakeSettings
) -> None:
    for pull in _asks(client.name, make_settings):
        assert any(f"beef-{client.name}" in word for word in (*pull.argv, pull.text))


def test_a_client_of_images_is_asked_by_every_spelling(make_settings: MakeSettings) -> None:
    asks = _asks("podman", make_settings, names="registry.local")
    spelled = ["192.168.0.12", "192.168.0.12:443", "registry.local", "registry.local:443"]
    assert [pull.registry_host for pull in asks] == spelled
    assert [pull.argv[-1] for pull in asks] == [f"{it}/trusted-registry-proof:beef-podman" for it in spelled]


def test_a_client_that_is_given_an_address_is_asked_once_for_each_host(make_settings: MakeSettings) -> None:
    asks = _asks("curl", make_settings, names="registry.local", port="8443")
    path = "/v2/trusted-registry-proof/manifests/beef-curl"
    assert [pull.argv[-1] for pull in asks] == [f"https://{it}:8443{path}" for it in (ADDRESS, "registry.local")]


@pytest.mark.parametrize(
    ("names", "verified"),
    [("registry.local", ("-verify_hostname", "registry.local")), ("fd00::12", ("-verify_ip", "fd00::12"))],
)
def test_openssl_is_told_what_to_verify_a_name_or_an_address(
    names: str, verified: tuple[str, str], make_settings: MakeSettings
) -> None:
    pull = _asks("openssl", make_settings, names=names)[1]
    at = pull.argv.index(verified[0])
    assert pull.argv[at : at + 2] == verified
    bracketed = f"[{names}]" if ":" in names else names
    assert pull.argv[-1] == f"{bracketed}:443"
    assert pull.text.startswith("GET /v2/trusted-registry-proof/manifests/beef-openssl HTTP/1.0\r\n")


def test_containerd_gets_a_namespace_of_its_own_for_each_pull_and_loses_it_again(make_settings: MakeSettings) -> None:
    spaces = []
    for pull in _asks("ctr", make_settings):
        (space,) = {
            word for argv in (pull.argv, *pull.clean) for word in argv if word.startswith("trusted-registry-beef")
        }
        assert pull.clean[-1][-3:] == ("namespaces", "remove", space)
        spaces.append(space)
    assert len(set(spaces)) == len(spaces) == 2


def test_what_root_alone_may_ask_is_asked_by_sudo_that_waits_for_nobody(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_: False)
    (pull, _) = _asks("ctr", make_settings)
    assert {argv[:3] for argv in (pull.argv, *pull.clean)} == {("sudo", "-n", "ctr")}
    assert _asks("podman", make_settings)[0].argv[0] == "podman"
    monkeypatch.setattr(os, "access", lambda *_: True)  # a member of the group that the socket belongs to
    assert _asks("ctr", make_settings)[0].argv[0] == "ctr"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert _asks("crictl", make_settings)[0].argv[0] == "crictl"


GET = f'Get "https://{ADDRESS}/v2/": '
X509 = "x509: certificate signed by unknown authority"
IP_SANS = f"x509: cannot validate certificate for {ADDRESS} because it doesn't contain any IP SANs"
ISSUER = "unable to get local issuer certificate"
FAILED = f"certificate verify failed: {ISSUER}"
MISMATCH = f"SSL: no alternative certificate subject name matches target host name '{ADDRESS}'"
PLAIN = "server gave HTTP response to HTTPS client"
PKIX = (
    "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: "
    "unable to find valid certification path to requested target"
)
REFUSALS = [
    ("docker", f"{GET}{X509}", X509),
    ("docker", f"{GET}tls: failed to verify certificate: {X509}", X509),
    ("docker", f"{GET}{IP_SANS}", IP_SANS),
    ("docker", f"{GET}http: {PLAIN}", PLAIN),
    ("podman", f"Error: initializing source docker://app: pinging container registry: {GET}{X509}", X509),
    ("skopeo", f'time="2026-11-23T15:59:49Z" level=fatal msg="Error parsing image name \\"app\\": {X509}"', X509),
    ("ctr", f'time="1" level=info msg="trying next host" error="request: {X509}" host=app\nctr: {X509}', X509),
    ("curl", f"curl: (60) SSL certificate problem: {ISSUER}\nMore details here: https://curl.se", ISSUER),
    (
        "curl",
        f"curl: (60) SSL certificate OpenSSL verify result: {ISSUER} (20)\nMore details here",
        f"result: {ISSUER}",
    ),
    ("curl", f"curl: (60) {MISMATCH}", MISMATCH),
    ("python3", f"[SSL: CERTIFICATE_VERIFY_FAILED] {FAILED} (_ssl.c:992)\n\nurllib.error.URLError: <urlopen>", FAILED),
    ("openssl", f"depth=0 CN = {ADDRESS}\nverify error:num=20:{ISSUER}\n139:error:0A000086", f"num=20:{ISSUER}"),
    ("java", f"keytool error: javax.net.ssl.SSLHandshakeException: (certificate_unknown) {PKIX}", PKIX),
]
"""What real ones said: Docker 20.10 to 28.5, podman 4.3, skopeo 1.9, containerd 1.6, curl 7.88 and 8.23, Java 17."""


@pytest.mark.parametrize(("name", "said", "reason"), REFUSALS)
def test_a_client_that_does_not_trust_is_heard_as_refusing_with_the_reason_alone(
    name: str, said: str, reason: str
) -> None:
    verdict, heard = pulls.judge(_named(name), ok=False, output=said)
    assert verdict is Verdict.REFUSED
    assert reason in heard
    assert len(heard.splitlines()) == 1
    assert "_ssl.c" not in heard


def test_a_client_that_succeeds_has_accepted_whatever_else_it_says() -> None:
    said = f'level=info msg="trying next host" error="{X509}"'
    assert pulls.judge(_named("ctr"), ok=True, output=said) == (Verdict.ACCEPTED, "")


@pytest.mark.parametrize(
    "said",
    [
        f"dial tcp {ADDRESS}:443: connect: connection refused",
        "lookup registry.local: no such host",
        "curl: (28) Connection timed out",
        f"manifest for {ADDRESS}/proof:1 not found: manifest unknown: manifest unknown",
        "",
    ],
)
def test_what_is_no_question_of_trust_is_a_failure_and_neither_acceptance_nor_refusal(said: str) -> None:
    verdict, reason = pulls.judge(_named("docker"), ok=False, output=said)
    assert verdict is Verdict.FAILED
    assert reason == (said or "it said nothing")


def test_a_failure_that_a_client_logged_is_told_without_time_and_level() -> None:
    said = 'time="2026-11-23T16:00:11Z" level=fatal msg="reading \\"/run/auth.json\\": permission denied\\n"'
    _, reason = pulls.judge(_named("skopeo"), ok=False, output=said)
    assert reason == 'reading "/run/auth.json": permission denied'


@pytest.mark.parametrize(
    "said",
    [
        'Get "https://registry.local/v2/": no basic auth credentials',
        "unauthorized: authentication required",
        "curl: (22) The requested URL returned error: 401",
        "urllib.error.HTTPError: HTTP Error 401: Unauthorized",
        "java.io.IOException: Server returned HTTP response code: 401 for URL",
    ],
)
def test_a_client_that_lacks_nothing_but_a_login_has_accepted(said: str) -> None:
    verdict, reason = pulls.judge(_named("podman"), ok=False, output=said)
    assert verdict is Verdict.ACCEPTED
    assert "login" in reason


def test_that_there_is_no_image_is_acceptance_only_where_none_could_be_put_there() -> None:
    said = f"manifest for {ADDRESS}/proof:1 not found: manifest unknown"
    assert pulls.judge(_named("docker"), ok=False, output=said, empty=True)[0] is Verdict.ACCEPTED
    assert pulls.judge(_named("docker"), ok=False, output=said)[0] is Verdict.FAILED


def test_java_has_accepted_once_it_reads_what_came() -> None:
    said = "keytool error: java.security.cert.CRLException: No CRL data found"
    assert pulls.judge(_named("java"), ok=False, output=said)[0] is Verdict.ACCEPTED
    assert pulls.judge(_named("curl"), ok=False, output=said)[0] is Verdict.FAILED


@pytest.mark.parametrize(
    "said",
    [
        'rpc error: dial unix /run/containerd/containerd.sock: connect: no such file or directory"',
        "unknown service runtime.v1.ImageService",
        "s_client: Unknown option: -verify_ip",
    ],
)
def test_a_client_whose_service_does_not_run_is_not_here(said: str) -> None:
    assert pulls.judge(_named("crictl"), ok=False, output=said)[0] is Verdict.ABSENT


@pytest.mark.process
def test_python_asks_with_its_own_modules_and_with_none_of_the_current_folder(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    (tmp_path / "ssl.py").write_text("open('ran', 'w')\n")
    argv = [str(word) for word in _asks("python3", make_settings)[0].argv]
    result = program.capture([sys.executable, *argv[1:-2], "https://127.0.0.1:1/v2/", "text/plain"], cwd=tmp_path)
    assert ("refused" in result.err, (tmp_path / "ran").exists()) == (True, False)
