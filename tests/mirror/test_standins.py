"""The lab's stand-ins for what a mirror meets outside, tried on loopback."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests import forge
from tests.e2e import standins, upstreams
from tests.e2e.mirror_clients import CLIENTS

if TYPE_CHECKING:
    import socketserver
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = {"ghcr.io": "192.0.2.7"}
HEADER = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0"
"""An id, a wish for recursion, one question (RFC 1035, 4.1.1)."""


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[tuple[str, int]]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(it)]) + it.encode() for it in name.split("."))
    return HEADER + labels + b"\0" + kind.to_bytes(2, "big") + b"\x00\x01"


@pytest.mark.parametrize(
    ("name", "kind", "code", "records"),
    [
        ("ghcr.io", standins.A, 0, 1),
        ("GHCR.io", standins.A, 0, 1),
        ("ghcr.io", standins.AAAA, 0, 0),
        ("io", standins.A, standins.NO_NAME, 0),
        ("pkg.ghcr.io", standins.A, standins.NO_NAME, 0),
    ],
)
def test_a_name_server_knows_its_names_and_no_others(name: str, kind: int, code: int, records: int) -> None:
    question = _question(name, kind)
    with (
        _running(standins.names_at("127.0.0.1", 0, KNOWN)) as at,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(5)
        client.sendto(question, at)
        said = client.recv(512)
    assert said[:2] == question[:2]
    assert said[3] & 15 == code
    assert int.from_bytes(said[6:8], "big") == records
    assert said[12:].startswith(question[12:])
    assert said.endswith(socket.inet_aton(KNOWN["ghcr.io"])) is bool(records)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a company's authority and the server certificate that it signed."""
    folder, authority = tmp_path_factory.mktemp("company"), forge.authority(permitted=None)
    forge.save(authority, folder, "company")
    forge.save(forge.server(authority, names=("127.0.0.1", "ghcr.io")), folder, "upstream")
    return folder


def _asked(folder: Path, kind: str, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    pair, wrong = (str(folder / "upstream.crt"), str(folder / "upstream.key")), partial(standins.Wrong, kind)
    trusts = ssl.create_default_context(cafile=str(folder / "company.crt"))
    with _running(standins.over_tls("127.0.0.1", 0, wrong, pair)) as (host, port):
        connection = http.client.HTTPSConnection(host, port, context=trusts, timeout=5)
        connection.request(method, path, headers={"User-Agent": "docker/1"})
        with connection.getresponse() as said:
            found = said.status, dict(said.getheaders()), said.read()
        connection.close()
    return found


MANIFEST = "/v2/library/x/manifests/1"


def test_a_wrong_registry_refuses_in_the_words_of_the_distribution_specification(company: Path) -> None:
    for kind in ("401", "429", "503"):
        status, headers, body = _asked(company, kind, "GET", MANIFEST)
        assert status == int(kind)
        assert json.loads(body)["errors"][0]["code"].isupper()
        assert ("Retry-After" in headers) is (kind == "429")
        assert ("Www-Authenticate" in headers) is (kind == "401")
    assert _asked(company, "429", "GET", "/v2/")[0] == 200
    assert _asked(company, "503", "GET", "/v2/")[0] == 503


def test_a_page_and_a_redirect_stand_in_a_registrys_place(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert b"<title>" in _asked(company, "html", "GET", MANIFEST)[2]
    status, headers, body = _asked(company, "redirect", "HEAD", f"{MANIFEST}?ns=ghcr.io")
    assert (status, headers["Location"], body) == (307, f"https://{standins.ELSEWHERE}{MANIFEST}", b"")
    assert f'"HEAD {MANIFEST}?ns=ghcr.io HTTP/1.1" 307 0 "" "docker/1"' in capsys.readouterr().out


def test_who_does_not_trust_the_company_is_not_answered(company: Path) -> None:
    (company / "company.crt").rename(company / "kept.crt")
    forge.save(forge.authority(permitted=None, subject="another"), company, "company")
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            _asked(company, "html", "GET", "/v2/")
    finally:
        (company / "kept.crt").replace(company / "company.crt")


def test_a_signature_is_two_numbers_of_32_bytes_whatever_their_der_has() -> None:
    for numbers in ((1 << 255, 3), (3, 1 << 255), (1 << 254, 1 << 254)):
        assert standins.plain(utils.encode_dss_signature(*numbers)) == b"".join(
            it.to_bytes(32, "big") for it in numbers
        )


@pytest.mark.process
def test_a_token_is_signed_by_the_key_of_the_certificate_in_it(company: Path) -> None:
    pair = company / "upstream.crt", company / "upstream.key"
    scopes = ["repository:library/x:pull", "repository:ghcr.io:443/y:pull,push"]
    head, claims, signature = standins.token("upstream", scopes, *map(str, pair)).split(".")
    said = json.loads(_decoded(claims))
    assert [it["name"] for it in said["access"]] == ["library/x", "ghcr.io:443/y"]
    assert said["access"][1]["actions"] == ["pull", "push"]
    (der,) = json.loads(_decoded(head))["x5c"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(der))
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    raw = _decoded(signature)
    numbers = [int.from_bytes(it, "big") for it in (raw[:32], raw[32:])]
    key.verify(utils.encode_dss_signature(*numbers), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


LOG = r"""
time="2026-11-27T23:01:56Z" level=info msg="response completed" http.request.method=GET http.request.uri="/v2/" vars.x="a b"
10.213.0.5 - - [27/Nov/2026:23:01:56 +0000] "HEAD /v2/library/x/manifests/1?ns=docker.io HTTP/1.1" 200 527 "" "containerd/1.6.20~ds1"
10.213.0.5 - - [27/Nov/2026:23:01:57 +0000] "GET /v2/library/x/blobs/sha256:ab HTTP/1.1" 206 9 "" "containerd/1.6.20~ds1"
10.213.0.5 - - [27/Nov/2026:23:01:57 +0000] "GET /v2/library/x/blobs/sha256:cd HTTP/1.1" 404 9 "" "containerd/1.6.20~ds1"
10.213.0.5 - - [27/Nov/2026:23:01:58 +0000] "GET /v2/org/y/manifests/1 HTTP/2.0" 200 9 "" "docker/20.10.24 UpstreamClient(Docker-Client/20 \\(linux\\))"
10.213.0.5 - - [27/Nov/2026:23:01:59 +0000] "GET /v2/org/z/manifests/1 HTTP/1.1" 200 9 "" ""
"""  # noqa: E501 - as registries write it


def test_of_a_log_each_client_is_told_by_what_it_asked_for_and_got() -> None:
    found = upstreams.parsed(LOG)
    assert len(found) == 5
    assert CLIENTS["ctr"].asked(found) == {"/v2/library/x/manifests/1", "/v2/library/x/blobs/sha256:ab"}
    assert CLIENTS["docker"].asked(found) == {"/v2/org/y/manifests/1"}
    assert CLIENTS["skopeo"].asked(found) == set()
