"""Stands in for what a mirror meets outside: a name server, and a registry that answers wrongly; runs on a host.

standins.py names ADDRESS NAME=ADDRESS…: answers DNS questions at port 53 about these names; of others there are none.
standins.py tokens ADDRESS CERTIFICATE KEY: gives at port 443, as docker.io's does, a token to everybody who asks.
standins.py answers ADDRESS CERTIFICATE KEY KIND: is a registry at port 443 that answers in one of the ways of WRONG.
Python's own library and openssl are all that it needs.
"""

from __future__ import annotations

import base64
import http.server
import ipaddress
import json
import secrets
import socketserver
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from functools import partial

A, AAAA = 1, 28
"""Types of DNS records (RFC 1035, 3.2.2; RFC 3596)."""

NO_NAME = 3
"""Response code of a name that does not exist (RFC 1035, 4.1.1)."""

ELSEWHERE, AUTH = "elsewhere.example.com", "auth.docker.io"
"""Where an upstream leads to that redirects, and where docker.io has everybody fetch a token first."""


def reply(question: bytes, names: Mapping[str, str]) -> bytes:
    """Return the answer to a DNS message that asks one question.

    Args:
        question: The message.
        names: IPv4 addresses by names.
    """
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    kind, asked = int.from_bytes(question[at + 1 : at + 3], "big"), question[12 : at + 5]
    address = names.get(".".join(labels), "")
    record = b""
    if address and kind == A:
        # The name by a pointer to the question's, the class IN, no time to live.
        record = b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\x00\x04" + ipaddress.IPv4Address(address).packed
    flags = 0x8180 | (0 if address else NO_NAME)
    counts = b"\x00\x01" + bool(record).to_bytes(2, "big") + b"\0\0\0\0"
    return question[:2] + flags.to_bytes(2, "big") + counts + asked + record


class Names(socketserver.BaseRequestHandler):
    """Answers one DNS message over UDP."""

    def __init__(self, names: Mapping[str, str], *rest: object) -> None:
        self.names = names
        super().__init__(*rest)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Answer."""
        message, socket = self.request
        socket.sendto(reply(message, self.names), self.client_address)


class Wrong(http.server.BaseHTTPRequestHandler):
    """Answers every request in a way that is no registry's, or that of one which refuses."""

    protocol_version = "HTTP/1.1"

    def __init__(self, kind: str, *rest: object) -> None:
        self.kind = kind
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer, and note who asked for what."""
        status, headers, body = answer(self.kind, urllib.parse.urlsplit(self.path).path)
        agent = self.headers.get("User-Agent", "")
        sys.stdout.write(f'"{self.command} {self.path} {self.request_version}" {status} {len(body)} "" "{agent}"\n')
        sys.stdout.flush()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the base class calls them so

    def log_message(self, *_: object) -> None:
        """Say nothing besides."""


ISSUER, LIFE = "upstream", 300
"""Who signs tokens, and the seconds for which they count."""


def token(service: str, scopes: list[str], certificate: str, key: str) -> str:
    """Return a token for all that is asked for (distribution, docs/spec/auth/jwt.md; RFC 7515).

    Args:
        service: The registry's name for itself.
        scopes: Each kind, name and actions: repository:library/x:pull.
        certificate: Path of the certificate by which the registry knows the signer, with an EC key (RFC 7518, 3.4).
        key: Path of its key.
    """
    with open(certificate, encoding="ascii") as file:  # noqa: PTH123 - of one line
        der = ssl.PEM_cert_to_DER_cert(
            file.read().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
        )
    begun = int(time.time())
    parts = [it.split(":") for it in scopes]
    claims = {
        "iss": ISSUER,
        "sub": "",
        "aud": service,
        "jti": secrets.token_hex(8),
        "iat": begun,
        "nbf": begun - 60,
        "exp": begun + LIFE,
        "access": [
            {"type": kind, "name": ":".join(name), "actions": actions.split(",")} for kind, *name, actions in parts
        ],
    }
    header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
    signed = b".".join(_url_safe(json.dumps(it).encode()) for it in (header, claims))
    argv = ["openssl", "dgst", "-sha256", "-sign", key]
    signature = subprocess.run(argv, input=signed, capture_output=True, check=True).stdout
    return b".".join((signed, _url_safe(plain(signature)))).decode()


def plain(signature: bytes) -> bytes:
    """Return both numbers of an ECDSA signature in DER one after the other (RFC 7518, 3.4)."""
    middle = 4 + signature[3]
    numbers = signature[4:middle], signature[middle + 2 :]
    return b"".join(it.lstrip(b"\0").rjust(32, b"\0") for it in numbers)


def _url_safe(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


class Tokens(http.server.BaseHTTPRequestHandler):
    """Gives tokens (distribution, docs/spec/auth/token.md)."""

    def __init__(self, certificate: str, key: str, *rest: object) -> None:
        self.pair = certificate, key
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Give a token."""
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        scopes = [scope for several in asked.get("scope", []) for scope in several.split()]
        given = token(asked.get("service", [""])[0], scopes, *self.pair)
        body = json.dumps({"token": given, "access_token": given, "expires_in": LIFE}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


REFUSED = {"Content-Type": "application/json", "Docker-Distribution-Api-Version": "registry/2.0"}
TOKEN = f'Bearer realm="https://{AUTH}/token",service="upstream"'
PAGE = b"<!DOCTYPE html><title>Sign in to the network</title>"
WRONG = {
    "401": (401, {**REFUSED, "Www-Authenticate": TOKEN}, "UNAUTHORIZED"),
    "429": (429, {**REFUSED, "Retry-After": "1"}, "TOOMANYREQUESTS"),
    "503": (503, REFUSED, "UNAVAILABLE"),
    "html": (200, {"Content-Type": "text/html"}, ""),
    "redirect": (307, {"Location": f"https://{ELSEWHERE}"}, ""),
}
"""Status, headers and the error's code, by kind of answer."""


def answer(kind: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer.

    A limit is one of images: the Hub says at /v2/ that all is well (docs.docker.com/docker-hub/usage/pulls).
    """
    if kind == "429" and path == "/v2/":
        return 200, REFUSED, b"{}"
    status, headers, code = WRONG[kind]
    if "Location" in headers:
        return status, {**headers, "Location": headers["Location"] + path}, b""
    error = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    return status, dict(headers), error if code else PAGE


def names_at(address: str, port: int, names: Mapping[str, str]) -> socketserver.BaseServer:
    """Return a name server, to be run."""
    return socketserver.ThreadingUDPServer((address, port), partial(Names, names))


def over_tls(
    address: str, port: int, handler: Callable[..., http.server.BaseHTTPRequestHandler], pair: tuple[str, str]
) -> http.server.ThreadingHTTPServer:
    """Return a server over TLS, to be run.

    Args:
        address: Its address.
        port: Its port.
        handler: Maker of what answers a connection.
        pair: Paths of its certificate and key.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*pair)
    server = http.server.ThreadingHTTPServer((address, port), handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main() -> None:
    """Do what the words say."""
    deed, address, *rest = sys.argv[1:]
    if deed == "names":
        names_at(address, 53, dict(word.split("=") for word in rest)).serve_forever()
    certificate, key, *kind = rest
    handler = partial(Tokens, certificate, key) if deed == "tokens" else partial(Wrong, *kind)
    over_tls(address, 443, handler, (certificate, key)).serve_forever()


if __name__ == "__main__":
    main()
