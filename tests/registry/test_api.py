"""The client of the registry's HTTP API: what a registry has is read whole, and what it only claims to have is not."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from trusted_registry.errors import AnswerError, LoginRequiredError
from trusted_registry.registry import api, users
from trusted_registry.registry.api import MANIFESTS, Manifest, RegistryClient
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Canned = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer."""

BODY = b'{"schemaVersion": 2}'
DIGEST = api.digest(BODY)
INDEX = MANIFESTS[-1]


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Answers each method and path as told, and notes what was asked."""

    server: _Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length)
        self.server.asked.append((f"{self.command} {self.path}", dict(self.headers), sent))
        status, headers, body = self.server.answers.get(f"{self.command} {self.path}", (404, {}, b"nothing here"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_words: object) -> None:
        """Keep quiet."""


class _Server(http.server.ThreadingHTTPServer):
    answers: dict[str, Canned]
    asked: list[tuple[str, dict[str, str], bytes]]

    @property
    def client(self) -> RegistryClient:
        """A client of this server."""
        return RegistryClient(Endpoint(loopback.HOST, int(self.server_address[1])), None)


@pytest.fixture
def server() -> Iterator[_Server]:
    """A registry that says what a test has it say."""
    with _Server((loopback.HOST, 0), _Scripted) as made:
        made.answers, made.asked = {}, []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def _names(*names: str, link: str = "", key: str = "repositories") -> Canned:
    return 200, {"Link": link} if link else {}, json.dumps({key: names}).encode()


CATALOG, TAGS = "GET /v2/_catalog", "GET /v2/app/tags/list"


@pytest.mark.parametrize(
    "link",
    [
        '</v2/_catalog?last=b&n=100>; rel="next"',
        "<?last=b&n=100>;rel=next",
        '<http://elsewhere.example:1/v2/_catalog?last=b&n=100>; rel="next"',
        '<//elsewhere.example/other?last=b&n=100#here>; REL="next"',
    ],
)
def test_every_page_of_the_catalog_is_read_and_all_from_the_same_endpoint(link: str, server: _Server) -> None:
    server.answers = {f"{CATALOG}?n=100": _names("a", "b", link=link), f"{CATALOG}?last=b&n=100": _names("c/d-e__f.g")}
    assert list(server.client.catalog()) == ["a", "b", "c/d-e__f.g"]


@pytest.mark.parametrize("link", ["", '</v2/_catalog?last=b&n=100>; rel="prev"', "nothing", "<", "rel=next"])
def test_a_list_without_a_next_page_ends(link: str, server: _Server) -> None:
    server.answers = {f"{CATALOG}?n=100": _names("a", "b", link=link)}
    assert list(server.client.catalog()) == ["a", "b"]


@pytest.mark.parametrize("link", ["</v2/_catalog?n=100>; rel=next", "<>; rel=next", "<?n=100#x?n=7>; rel=next"])
def test_pages_that_go_in_a_circle_are_an_error_after_what_they_had(link: str, server: _Server) -> None:
    again = _names("a", "b", link=link)
    server.answers = {f"{CATALOG}?n=100": again, f"{CATALOG}?": again}
    found = server.client.catalog()
    assert [next(found), next(found)] == ["a", "b"]
    with pytest.raises(AnswerError, match="did not list its repositories: the list has no end"):
        next(found)
    assert len(server.asked) == 2


def test_pages_without_end_are_an_error(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_PAGES", 3)
    server.answers = {f"{CATALOG}?n={n}": _names(f"a{n}", link=f"<?n={n + 1}>; rel=next") for n in range(100, 110)}
    with pytest.raises(AnswerError, match="no end"):
        list(server.client.catalog())
    assert len(server.asked) == 3


def test_pages_that_end_before_the_most_are_none(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_PAGES", 3)
    server.answers = {f"{CATALOG}?n={n}": _names(f"a{n}", link=f"<?n={n + 1}>; rel=next") for n in (100, 101)}
    server.answers[f"{CATALOG}?n=102"] = _names("last")
    assert list(server.client.catalog()) == ["a100", "a101", "last"]


def test_a_repository_without_tags_has_none(server: _Server) -> None:
    server.answers = {f"{TAGS}?n=100": (200, {}, b'{"name": "app", "tags": null}')}
    assert list(server.client.tags("app")) == []


def test_all_tags_in_one_large_page_are_read(server: _Server) -> None:
    tags = [f"{number:032}" for number in range(50_000)]  # 1.8 MB: version 2.8 knows no pages of tags
    server.answers = {f"{TAGS}?n=100": _names(*tags, key="tags")}
    assert list(server.client.tags("app")) == tags


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"7", b"null", b"{}", b'{"tags": 7}', b'{"tags": "app"}', b'{"tags": {"a": 1}}'),
        *(b'{"tags": [1]}', b'{"tags": [null]}', b'{"tags": [["a"]]}', b'{"tags": [""]}', b'{"tags": ["../a"]}'),
        *(b'{"tags": ["a b"]}', b'{"tags": ["a\\n"]}', b'{"tags": ["\\u001b[2J"]}', b'{"tags": ["\\ud800"]}'),
        *(b"\xff\xfe", b"[" * 100_000, b'{"tags": ["%s"]}' % (b"x" * 129), b'{"tags": ["a"', b'{"tags": NaN}'),
        b'{"tags": ["%s' % (b"x" * (5 << 20)),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_list_of_names_is_an_error_and_no_list(body: bytes, server: _Server) -> None:
    server.answers = {f"{TAGS}?n=100": (200, {}, body)}
    with pytest.raises(AnswerError, match="is no list of names"):
        list(server.client.tags("app"))


@pytest.mark.parametrize("name", ["App", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a" * 256, "a:1", "a?b"])
def test_what_is_no_name_of_a_repository_is_an_error(name: str, server: _Server) -> None:
    server.answers = {f"{CATALOG}?n=100": _names("app", name)}
    with pytest.raises(AnswerError, match="is no list of names"):
        list(server.client.catalog())


def test_a_status_that_was_not_asked_for_is_an_error_that_tells_it(server: _Server) -> None:
    server.answers = {f"{TAGS}?n=100": (404, {}, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')}
    with pytest.raises(AnswerError, match=r"GET was answered with status 404 .*NAME_UNKNOWN") as caught:
        list(server.client.tags("app"))
    assert caught.value.status == 404


def test_a_login_that_is_required_is_an_error_of_its_own(server: _Server) -> None:
    server.answers = {f"{CATALOG}?n=100": (401, {}, b"")}
    with pytest.raises(LoginRequiredError):
        list(server.client.catalog())


def test_a_login_goes_with_every_request(server: _Server) -> None:
    login = users.Login("ada", "secret")
    server.answers = {"GET /v2/": (200, {}, b"{}")}
    client = RegistryClient(server.client.at, None, login)
    assert client.ping() == 200
    client.delete_manifest("app", DIGEST)
    assert [headers.get("Authorization") for _, headers, _ in server.asked] == [login.header["Authorization"]] * 2


def test_a_user_is_admitted_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_ADMITTED", 0.3)
    users.save(tmp_path, users.Login("ada", "secret"))
    with loopback.registry(None, users=tmp_path) as port:
        at = Endpoint(loopback.HOST, port)
        assert RegistryClient(at, None, users.Login("ada", "secret")).admits()
        assert not RegistryClient(at, None, users.Login("ada", "another")).admits()
        assert not RegistryClient(at, None).admits()


# Manifests

AT = "GET /v2/app/manifests/1"


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_of_each_kind_comes_with_its_digest(kind: str, server: _Server) -> None:
    said = {"Content-Type": f"{kind}; charset=utf-8", "Docker-Content-Digest": DIGEST}
    server.answers = {AT: (200, said, BODY), f"GET /v2/app/manifests/{DIGEST}": (200, {"Content-Type": kind}, BODY)}
    assert server.client.manifest("app", "1") == server.client.manifest("app", DIGEST) == Manifest(kind, DIGEST, BODY)
    (_, asked, _) = server.asked[0]
    assert asked["Accept"].split(", ") == list(MANIFESTS)


@pytest.mark.parametrize(
    ("said", "body", "told"),
    [
        ({"Content-Type": INDEX, "Docker-Content-Digest": api.digest(b"other")}, BODY, "another one"),
        ({"Content-Type": INDEX, "Docker-Content-Digest": ""}, BODY, "another one"),
        ({"Content-Type": INDEX, "Docker-Content-Digest": DIGEST}, BODY + b" ", "another one"),
        ({"Content-Type": "text/html"}, BODY, "no manifest that is known .text/html"),
        ({}, BODY, "no manifest that is known"),
        ({"Content-Type": INDEX}, b" " * ((4 << 20) + 1), "no manifest that is known"),
    ],
)
def test_a_manifest_that_is_not_what_it_is_said_to_be_is_an_error(
    said: dict[str, str], body: bytes, told: str, server: _Server
) -> None:
    server.answers = {AT: (200, said, body)}
    with pytest.raises(AnswerError, match=f"did not give the manifest 1 of app: .*{told}"):
        server.client.manifest("app", "1")


def test_a_manifest_of_another_digest_than_the_one_asked_for_is_an_error(server: _Server) -> None:
    server.answers = {f"GET /v2/app/manifests/{DIGEST}": (200, {"Content-Type": INDEX}, BODY + b" ")}
    with pytest.raises(AnswerError, match="another one"):
        server.client.manifest("app", DIGEST)


def test_a_manifest_is_put_with_its_media_type(server: _Server) -> None:
    server.answers = {"PUT /v2/app/manifests/1": (201, {}, b"")}
    server.client.put_manifest("app", "1", Manifest(INDEX, DIGEST, BODY))
    ((_, headers, sent),) = server.asked
    assert (headers["Content-Type"], sent) == (INDEX, BODY)


# Blobs

BLOB = b"0123456789" * 20_000
OF_BLOB = api.digest(BLOB)
GET_BLOB = f"GET /v2/app/blobs/{OF_BLOB}"


def test_a_blob_comes_whole_in_chunks(server: _Server) -> None:
    server.answers = {GET_BLOB: (200, {}, BLOB), f"HEAD /v2/app/blobs/{OF_BLOB}": (200, {}, BLOB)}
    size = server.client.blob_size("app", OF_BLOB)
    chunks = list(server.client.blob("app", OF_BLOB, size))
    assert (size, b"".join(chunks), len(chunks) > 1) == (len(BLOB), BLOB, True)


@pytest.mark.parametrize(
    "sent", [BLOB[:-1] + b"x", BLOB[:-1], BLOB + b"x", b""], ids=["other", "short", "long", "none"]
)
def test_a_blob_of_other_bytes_is_an_error_at_its_end(sent: bytes, server: _Server) -> None:
    server.answers = {GET_BLOB: (200, {}, sent)}
    with pytest.raises(AnswerError, match="what came is something else"):
        list(server.client.blob("app", OF_BLOB, len(BLOB)))


def test_a_blob_that_is_not_there_is_an_error_with_its_status(server: _Server) -> None:
    with pytest.raises(AnswerError, match="status 404 nothing here") as caught:
        list(server.client.blob("app", OF_BLOB, 1))
    assert caught.value.status == 404
    with pytest.raises(AnswerError, match="HEAD was answered with status 404"):
        server.client.blob_size("app", OF_BLOB)


@pytest.mark.parametrize("length", ["-1", "1_0", "ten", "", "9" * 16])
def test_a_length_that_is_none_is_an_error(length: str, server: _Server) -> None:
    server.answers = {f"HEAD /v2/app/blobs/{OF_BLOB}": (200, {"Content-Length": length}, b"")}
    with pytest.raises(AnswerError, match="has no length"):
        server.client.blob_size("app", OF_BLOB)


PLACES = [
    ("/v2/app/blobs/uploads/1?state=x%2Fy", "/v2/app/blobs/uploads/1?state=x%2Fy&"),
    ("https://elsewhere.example:8443/v2/app/blobs/uploads/1?state=x", "/v2/app/blobs/uploads/1?state=x&"),
    ("//elsewhere.example/v2/app/blobs/uploads/1", "/v2/app/blobs/uploads/1?"),
    ("1?state=x", "/v2/app/blobs/uploads/1?state=x&"),
]


@pytest.mark.parametrize(("location", "place"), PLACES)
def test_an_upload_goes_to_the_place_that_was_named_and_to_no_other_endpoint(
    location: str, place: str, server: _Server
) -> None:
    put = f"PUT {place}digest={OF_BLOB}"
    server.answers = {"POST /v2/app/blobs/uploads/": (202, {"Location": location}, b""), put: (201, {}, b"")}
    server.client.upload("app", BLOB)
    assert [(what, sent) for what, _, sent in server.asked][1:] == [(put, BLOB)]


@pytest.mark.parametrize("location", ["", "https://[", "https://elsewhere.example", "mailto:someone"])
def test_an_upload_without_a_place_is_an_error_and_sends_nothing(location: str, server: _Server) -> None:
    server.answers = {"POST /v2/app/blobs/uploads/": (202, {"Location": location}, b"")}
    with pytest.raises(AnswerError, match="names no place"):
        server.client.upload("app", BLOB)
    assert len(server.asked) == 1


# The address that a connection goes to


def test_a_name_is_insisted_on_while_the_connection_goes_via_an_address(server: _Server) -> None:
    server.answers = {"GET /v2/": (200, {}, b"{}")}
    port = server.client.at.port
    assert RegistryClient(Endpoint("registry.invalid", port, via=loopback.HOST), None).ping() == 200
    assert server.asked[0][1]["Host"] == f"registry.invalid:{port}"
    with pytest.raises(OSError, match=r"not known|failure"):
        RegistryClient(Endpoint("registry.invalid", port), None).ping()
