"""HTTP server that offers the page, the kit and the certificate on the LAN, for a limited time.

Anyone on the way can change plain HTTP. So the command for the other machine, which a person reads here, holds the
SHA-256 of the download, and nothing downloaded is used before that matches. The page, which has the kit, the
certificate and all commands in it, is saved, and its code compared with the one that is shown here.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import http.server
import io
import shlex
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from trusted_registry import address
from trusted_registry.errors import RegistryError
from trusted_registry.trust import contents
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.remote import connections, kit, page
from trusted_registry.trust.remote.connections import Connections
from trusted_registry.trust.specifics import macos

REQUEST_SECONDS = 30.0
"""Seconds after which a connection is closed, whatever its client does: the kit takes a moment, on a slow link too."""
HEAD_BYTES = 8192
"""Bytes of a request that are read; a browser sends less than a thousand."""
_METHODS = ("GET", "HEAD")
_APART = 'd=$(mktemp -d) && cd "$d"'
"""Shell command that enters a new private folder.

Not `cd "$(mktemp -d)"`, which stays in the present folder if mktemp makes none.
"""


@dataclass(frozen=True)
class Offer:
    """File offered at a path: media type, content, name for saving ("" to display), Content-Security-Policy."""

    path: str
    kind: str
    content: bytes
    name: str = ""
    policy: str = "default-src 'none'"


def offers(
    anchor: TrustAnchor, registry_host: str, at: str, images: Sequence[tuple[str, str]] = ()
) -> tuple[Offer, Offer, Offer]:
    """Return the page, the kit and the certificate, to be offered at a base URL; no key is among them.

    Args:
        anchor: Trust anchor that readers are to install.
        registry_host: Registry host that is named first.
        at: Base URL; see `base`.
        images: Images that the page lists, each with its size in words.
    """
    script, name = kit.render(anchor, registry_host), kit.file_name(anchor, registry_host)
    scripted = Offer(f"/{name}", "application/x-sh", script, name)
    certified = Offer(f"/{contents.AUTHORITY}", "application/pem-certificate-chain", anchor.content, contents.AUTHORITY)
    lines = _download_commands(at, scripted, certified)
    shown = page.render(anchor, registry_host, kit=script, kit_name=name, lines=lines, images=images)
    return Offer("/", "text/html; charset=utf-8", shown, policy=page.policy(shown)), scripted, certified


def base(host: str, port: int) -> str:
    """Return the base URL of all offers, without a final slash."""
    return f"http://{address.bracketed(host)}:{port}"


def download_commands(at: str, offered: tuple[Offer, Offer, Offer]) -> dict[str, str]:
    """Return the download command for each kind of machine, as one line.

    Flags of the kit go to the end of the line. The command works in a new folder, which nobody else may enter, so that
    files in the present folder are neither overwritten nor run.

    Args:
        at: Base URL; see `base`.
        offered: Page, kit and certificate; see `offers`.
    """
    return _download_commands(at, *offered[1:])


def _download_commands(at: str, script: Offer, certificate: Offer) -> dict[str, str]:
    run = f"{page.check_command(script.content, script.name)} && sudo sh {shlex.quote(script.name)}"
    check = page.check_command(certificate.content, certificate.name, "shasum -a 256 -c -")
    trust = shlex.join(macos.add(Path(certificate.name), "system", Path("/var/empty")))
    return {
        "Linux, with curl": f"{_APART} && curl -fsSO {shlex.quote(at + script.path)} && {run}",
        "Linux, with wget": f"{_APART} && wget -qO {shlex.quote(script.name)} {shlex.quote(at + script.path)} && {run}",
        "macOS": f"{_APART} && curl -fsSO {shlex.quote(at + certificate.path)} && {check} && {trust}",
    }


def page_commands(at: str) -> dict[str, str]:
    """Return the command for each kind of machine that saves the page and prints what begins with its code.

    Short enough to be typed, since a line that came with the page could be changed with it.

    Args:
        at: Base URL; see `base`.
    """
    url = shlex.quote(f"{at}/")
    return {
        "Linux": f"curl -fsSo {page.SAVED} {url} && sha256sum {page.SAVED}",
        "macOS": f"curl -fsSo {page.SAVED} {url} && shasum -a 256 {page.SAVED}",
        "Windows, in PowerShell": f"curl.exe -fsSo {page.SAVED} {url}; certutil -hashfile {page.SAVED} SHA256",
    }


Taken = Callable[[str, Offer], None]
"""Receiver of the client's address and the offer after a complete download."""


class Server(socketserver.ThreadingTCPServer):
    """HTTP server of the offers, with a thread for each connection, and limits on their number and time.

    Not HTTPServer, which looks up the host's name in DNS.

    Args:
        family: Address family of `sockaddr`.
        sockaddr: Address to listen on, from `socket.getaddrinfo`.
        offered: Files to serve.
        taken: Told of each complete download.
    """

    request_queue_size = connections.MOST
    allow_reuse_address = daemon_threads = True

    def __init__(self, family: int, sockaddr: tuple[Any, ...], offered: Iterable[Offer], taken: Taken) -> None:
        self.address_family = family
        self.offered = {offer.path: offer for offer in offered}
        self.taken = taken
        self._open = Connections()
        self._telling = threading.Lock()
        super().__init__(sockaddr[:2], _Handler)

    def report(self, client: str, offer: Offer) -> None:
        """Report a complete download, one at a time, and none once the server is closed."""
        with self._telling:
            self.taken(client, offer)

    def server_close(self) -> None:
        """Close the server when nobody tells: a write while Python ends has it abort (cpython issue 129536)."""
        self._telling.acquire()
        super().server_close()

    def offer_for(self, seconds: float) -> None:
        """Answer requests for a number of seconds, then return."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Accept a connection; whoever has more of them than the others makes room for it."""
        if self._open.admit(str(client_address[0]), request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        """Answer a connection; close the socket after REQUEST_SECONDS at most.

        A client that leaves early is no error.
        """
        late = threading.Timer(REQUEST_SECONDS, connections.close, [request])
        late.daemon = True
        late.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._open.forget(request)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        """Answer a request, unless the client has disconnected."""
        with contextlib.suppress(OSError):
            super().finish_request(request, client_address)


def listen(host: str, port: int, offered: Iterable[Offer], taken: Taken) -> Server:
    """Return a server that listens on one address of this machine only.

    Raises:
        RegistryError: The host is not an address of this machine, or the port is taken or needs root.
    """
    found: list[tuple[socket.AddressFamily, tuple[Any, ...]]] = []
    with contextlib.suppress(OSError):
        found = [(it[0], it[4]) for it in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    ours = [it for it in found if it[1][0] in address.own_addresses()]
    if not ours:
        raise RegistryError(
            f"{host} is not an address of this machine, so nothing can be offered there.",
            cure="Run this on the registry's machine, or name an address of this one: --address 192.168.0.12",
        )
    try:
        return Server(*ours[0], offered, taken)
    except OSError as error:
        raise _listen_error(error, host, port) from error


def _listen_error(error: OSError, host: str, port: int) -> RegistryError:
    if error.errno == errno.EADDRINUSE:
        return RegistryError(f"Port {port} of {host} is in use.", cure=f"Use another: --at {port % 65535 + 1}")
    if error.errno == errno.EACCES:
        return RegistryError(f"Port {port} needs root.", cure="Use another: --at 8000")
    return RegistryError(f"Nothing can listen on port {port} of {host}: {error.strerror}.", cure="Look: ip address")


class _BoundedReader:
    """Reading side of a connection, limited to HEAD_BYTES."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - whatever socketserver made
        self._file, self.close = file, file.close
        self._left = HEAD_BYTES

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("request")
        return line


class _Handler(http.server.BaseHTTPRequestHandler):
    """Request handler that serves the offers and refuses all else; nothing that a client sends is displayed."""

    server: Server
    server_version, sys_version = "trusted-registry", ""
    error_content_type, error_message_format = "text/plain; charset=utf-8", "%(code)d\n"
    timeout = REQUEST_SECONDS

    def setup(self) -> None:
        super().setup()
        self.rfile = cast("io.BufferedIOBase", _BoundedReader(self.rfile))

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except http.client.LineTooLong:
            self.requestline, self.request_version, self.command = "", "HTTP/1.0", ""
            self.send_error(431)

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed and self.command not in _METHODS:
            self.send_error(405)
            return False
        return parsed

    def do_GET(self) -> None:
        """Send the offer at this path, or its headers alone for HEAD."""
        offer = self.server.offered.get(self.path)
        if offer is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", offer.kind)
        self.send_header("Content-Length", str(len(offer.content)))
        self.send_header("Content-Security-Policy", offer.policy)
        if offer.name:
            self.send_header("Content-Disposition", f'attachment; filename="{offer.name}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(offer.content)
            self.server.report(str(self.client_address[0]), offer)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def end_headers(self) -> None:
        """Add the headers common to every answer."""
        for name, value in (
            ("Allow", ", ".join(_METHODS)),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_words: object) -> None:
        """Log nothing: the caller reports each download."""
